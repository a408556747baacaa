"""Every URL, every role, every method: one expected answer each.

The URLs come from the resolver: one without an entry in EXPECTED fails. A new URL is one line there, with
`reads`, `form` or `posts`, the lowest role that may, and what a right answer is.
"""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from pytest_django import DjangoDbBlocker

from accessaudience.roles import ADMIN, MARKETER, ROLES, VIEWER
from channels.models import Channel
from imports.models import ImportJob
from integrations.models import ChannelSync, KlaviyoAccount, SyncJob
from people.models import AccessEvent, Person
from segments import changes
from segments.models import BulkJob, ChangeSet, Segment
from segments.values import SegmentValues
from tests.factories import PersonFactory

pytestmark = [pytest.mark.django_db, pytest.mark.once]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
EVERYBODY, ANY_ROLE = "everybody", "anybody signed in"
CALLERS = ("stranger", "no role", *ROLES)


@dataclass(frozen=True)
class Entry:
    """Who may, and what is answered to each method that there is."""

    role: str
    answers: dict[str, int]
    args: tuple[str, ...] = ()
    data: dict[str, str] = field(default_factory=dict, hash=False)
    once_in: int = 0  # what somebody who is signed in gets instead


def reads(role: str, *args: str, answer: int = 200) -> Entry:
    """A page: GET and HEAD."""
    return Entry(role, {"GET": answer, "HEAD": answer}, args)


def form(role: str, *args: str, shown: int = 200, sent: int, **data: str) -> Entry:
    """A form: shown by GET, answered with `sent` when sent with `data`."""
    return Entry(role, {"GET": shown, "HEAD": shown, "POST": sent}, args, data)


def posts(role: str, /, *args: str, sent: int, **data: str) -> Entry:
    """An action: POST alone."""
    return Entry(role, {"POST": sent}, args, data)


# The names in `args` are those of `sample`, below.
EXPECTED = {
    "overview": reads(VIEWER),
    "segments:list": reads(VIEWER, "slug"),
    "segments:across": reads(VIEWER),
    "segments:across_export": reads(VIEWER),
    "segments:detail": reads(VIEWER, "slug", "segment"),
    "segments:export": Entry(VIEWER, {"GET": 200, "HEAD": 200, "POST": 200}, ("slug",), {"all": "1"}),
    "segments:add": form(MARKETER, "slug", sent=422),
    "segments:edit": form(MARKETER, "slug", "segment", sent=422),
    "segments:rename": form(MARKETER, "slug", "segment", shown=302, sent=302),  # to the page: only htmx has it in a row
    "segments:status": posts(MARKETER, "slug", "segment", sent=302),
    "segments:delete": form(MARKETER, "slug", "segment", sent=302),
    "segments:restore": posts(MARKETER, "slug", "segment", sent=400),
    "segments:bulk": posts(MARKETER, "slug", sent=302),
    "segments:bulk_job": reads(VIEWER, "slug", "bulk_job"),
    "segments:cancel_bulk": posts(MARKETER, "slug", "bulk_job", sent=302),
    "segments:undo": form(MARKETER, "change_set", sent=302),
    "segments:cancel_undo": posts(MARKETER, "change_set", sent=302),
    "segments:activity": reads(VIEWER),
    "segments:activity_export": reads(ADMIN),
    "segments:access": reads(ADMIN),
    "segments:access_export": reads(ADMIN),
    "segments:change": reads(VIEWER, "change_set"),
    "segments:being_undone": reads(VIEWER, "change_set", answer=302),
    "imports:upload": form(MARKETER, sent=422),
    "imports:sample": reads(VIEWER),
    "imports:list": reads(VIEWER),
    "imports:of_change_set": reads(VIEWER, "change_set", answer=404),  # of an addition by hand
    "imports:mapping": form(MARKETER, "upload", sent=200),
    "imports:stop": posts(MARKETER, "upload", sent=302),
    "imports:start": posts(MARKETER, "upload", sent=302),
    "imports:cancel": posts(MARKETER, "ended", sent=302),
    "imports:discard": posts(MARKETER, "upload", sent=302),
    "imports:dismiss": posts(MARKETER, "ended", sent=302),
    "imports:detail": reads(VIEWER, "ended"),
    "imports:errors": reads(VIEWER, "ended"),
    "integrations:list": reads(ADMIN),
    "integrations:connect": form(ADMIN, sent=422),
    "integrations:test_key": posts(ADMIN, sent=200),
    "integrations:test": posts(ADMIN, "account", sent=302),
    "integrations:key": form(ADMIN, "account", sent=422),
    "integrations:disconnect": form(ADMIN, "account", sent=302),
    "integrations:channel": form(ADMIN, "slug", sent=422),
    "integrations:channel_matches": posts(ADMIN, "slug", sent=200),
    "integrations:begin": posts(MARKETER, "slug", sent=302),
    "integrations:status": reads(VIEWER, "slug", answer=302),
    "integrations:preview": form(MARKETER, "slug", sent=302),
    "integrations:history": reads(VIEWER, "slug"),
    "integrations:sync": reads(VIEWER, "slug", "sync"),
    "integrations:stop": posts(MARKETER, "slug", "sync", sent=302),
    "integrations:hide": posts(VIEWER, "slug", "sync", sent=302),
    "integrations:answer": posts(MARKETER, "slug", "sync", sent=302),
    "integrations:link": posts(MARKETER, "slug", "sync", "line", sent=302),
    "integrations:take_value": posts(MARKETER, "slug", "klaviyo_segment", sent=302),
    "account_login": replace(form(EVERYBODY, sent=200), once_in=302),
    "account_logout": posts(EVERYBODY, sent=302),
    "account_change_password": form(ANY_ROLE, sent=200),
    "account_reset_password": form(EVERYBODY, sent=200),
    "account_reset_password_done": reads(EVERYBODY),
    "account_reset_password_from_key": form(EVERYBODY, "reset_person", "reset_key", shown=302, sent=302),
    "account_reset_password_from_key_done": reads(EVERYBODY),
    "account_reauthenticate": form(ANY_ROLE, sent=200),
    "mfa_authenticate": form(EVERYBODY, shown=302, sent=302),  # to where a password is given
    "mfa_reauthenticate": form(ANY_ROLE, shown=302, sent=302),  # to the password: there is no second proof yet
    "mfa_activate_totp": form(ANY_ROLE, shown=302, sent=302),  # to confirm by the password
    "mfa_deactivate_totp": form(ANY_ROLE, shown=404, sent=404),
    "mfa_view_recovery_codes": reads(ANY_ROLE, answer=404),
    "mfa_generate_recovery_codes": form(ANY_ROLE, shown=302, sent=302),
    "people:list": form(ADMIN, sent=422),
    "people:role": posts(ADMIN, "reader", sent=302, role=MARKETER),
    "people:deactivate": form(ADMIN, "reader", sent=302),
    "people:activate": posts(ADMIN, "reader", sent=302),
    "people:send_again": posts(ADMIN, "reader", sent=404),  # they have no invitation
    "people:turn_off_two_factor": form(ADMIN, "reader", sent=302),
    "people:join": form(EVERYBODY, sent=200),
    "people:account": reads(ANY_ROLE),
    "people:end_session": posts(ANY_ROLE, "session_of_nobody", sent=404),
    "people:end_other_sessions": posts(ANY_ROLE, sent=302),
    "people:make_token": posts(ANY_ROLE, sent=200, name="Campaign builder"),
    "people:revoke_token": form(ANY_ROLE, "session_of_nobody", shown=404, sent=404),
    "people:time_zone": posts(ANY_ROLE, sent=302, time_zone="Europe/Berlin"),
    "people:theme": posts(ANY_ROLE, sent=302, theme="dark"),
    "jobs:notices": reads(VIEWER),
    "jobs:read": posts(VIEWER, sent=302),
    "api:segments": Entry(EVERYBODY, {"GET": 401}, ("slug",)),  # a session does not let in, a token does
    "api:segments_slash": Entry(EVERYBODY, {"GET": 401}, ("slug",)),
    "api:openapi-json": reads(EVERYBODY),
    "api:api-root": Entry(EVERYBODY, dict.fromkeys(METHODS, 404)),
    "health_live": reads(EVERYBODY),
    "health_ready": reads(EVERYBODY, answer=503),  # no worker has been seen
    "metrics": reads(EVERYBODY, answer=404),  # there is no METRICS_TOKEN
}
# Django admin: what an Admin may do with each model; the rest is refused to Admins too.
ACTIONS = {"changelist", "add", "change", "delete", "history"}
ADMIN_MODELS = {
    "people_person": ACTIONS,
    "auth_group": ACTIONS - {"add", "delete"},
    "channels_channel": ACTIONS - {"delete"},  # while it holds segments, as that of `sample` does
    "people_accessevent": ACTIONS - {"add", "delete"},
    "segments_segment": ACTIONS,
    "segments_changeset": ACTIONS - {"add", "delete"},
    "segments_change": ACTIONS - {"add", "delete"},
    "imports_importjob": ACTIONS - {"add", "delete"},
    "integrations_klaviyoaccount": ACTIONS - {"add", "delete"},
    "integrations_channelsync": ACTIONS - {"add", "delete"},
    "integrations_syncjob": ACTIONS - {"add", "delete"},
}
ADMIN_PAGES = {  # its other pages: the argument, and what GET gives an Admin
    "index": ([], 200),
    "login": ([], 302),
    "logout": ([], 405),
    "password_change": ([], 302),
    "password_change_done": ([], 200),
    "autocomplete": ([], 403),
    "jsi18n": ([], 200),
    "view_on_site": (["content_type", "channel"], 302),
    "app_list": (["app"], 200),
    "auth_user_password_change": (["person"], 200),
}


def names() -> Iterator[str]:
    """Every name of the resolver, with its namespaces; a pattern without a name by its route."""

    def walk(patterns: list[Any], prefix: str) -> Iterator[str]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                inner = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
                yield from walk(pattern.url_patterns, inner)
            elif isinstance(pattern, URLPattern):
                yield prefix + (pattern.name or f"({pattern.pattern})")

    yield from walk(get_resolver().url_patterns, "")


OWN = sorted({name for name in names() if not name.startswith("admin:")})
OF_ADMIN = sorted({name.removeprefix("admin:") for name in names() if name.startswith("admin:") and "(" not in name})


@pytest.fixture(autouse=True)
def _no_tries_counted() -> None:
    """Forget how often others tried: the throttle counts per address."""
    cache.clear()


@pytest.fixture(scope="module")
def sample(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[dict[str, Any]]:
    """One of everything that a URL can name, made once: each test looks at it within a transaction of its own."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield one_of_everything()
        transaction.set_rollback(True)


def one_of_everything() -> dict[str, Any]:
    """Make what `sample` is of; return the name of each in URLs."""
    marketer = PersonFactory()
    channel = Channel.objects.get(slug="email")
    segment = changes.add(channel, SegmentValues("VIP", "v-1"), changes.By(marketer))
    changes.set_active(segment, False, changes.By(marketer))
    changes.set_active(segment, False, changes.By(marketer))
    client = Client()
    client.force_login(marketer)
    file = SimpleUploadedFile("segments.csv", b"Segment name\nVIP\n")
    client.post("/data/upload/", {"object_type": "segments", "channel": "sms", "file": file})
    ended = ImportJob.objects.create(file_name="broken.csv", user=marketer, status="failed", message="No header.")
    default_storage.save(f"imports/{ended.pk}/errors.csv", ContentFile(b"Segment name\n"))
    account = KlaviyoAccount.objects.create(account_id="XyZ123", name="Fernhill", encrypted_key="cannot be read")
    ChannelSync.objects.create(channel=channel, account=account)
    sync = SyncJob.objects.create(channel=channel, account=account, status="needs_answer", code="many_missing")
    line = sync.lines.create(outcome="created", kind="list", name="News", segment_id="Xy12Zz")
    Segment.objects.filter(pk=segment.pk).update(klaviyo_id="v-1", synced_name="VIP in Klaviyo")
    reader = Person.objects.create_user("reader@example.com", "secret")
    AccessEvent.objects.create(kind=AccessEvent.Kind.SIGN_IN, person=marketer)
    return {
        "slug": channel.slug,
        "sync": sync.pk,
        "line": line.pk,
        "klaviyo_segment": segment.pk,
        "account": account.pk,
        "channel": channel.pk,
        "content_type": ContentType.objects.get_for_model(Channel).pk,
        "app": "channels",
        "person": marketer.pk,
        "segment": segment.pk,
        "reset_person": user_pk_to_url_str(reader),
        "reset_key": default_token_generator.make_token(reader),
        "session_of_nobody": 1,
        "reader": reader.pk,
        "change_set": ChangeSet.objects.latest("id").pk,
        "upload": ImportJob.objects.exclude(pk=ended.pk).get().pk,
        "ended": ended.pk,
        "bulk_job": BulkJob.objects.create(channel=channel, action="delete", chosen={"ids": []}, status="cancelled").pk,
    }


@pytest.fixture
def caller(sample: dict[str, Any], person_with: Callable[[str], Person]) -> Callable[[str], Client]:
    """Make a client of a role, of somebody without one, or of a stranger."""

    def make(role: str) -> Client:
        client = Client(raise_request_exception=False)
        if role == "no role":
            client.force_login(Person.objects.create_user("new@example.com", "secret"))
        elif role != "stranger":
            client.force_login(Person.objects.get(pk=sample["person"]) if role == MARKETER else person_with(role))
        return client

    return make


def expected(entry: Entry, role: str, method: str) -> int:
    """Strangers are sent to sign in; then the method must be there; then the role must do."""
    if role == "stranger" and entry.role != EVERYBODY:
        return 302
    if method not in entry.answers:
        return 405
    if entry.role in (EVERYBODY, ANY_ROLE):
        return (role != "stranger" and entry.once_in) or entry.answers[method]
    allowed = role in ROLES and ROLES.index(role) >= ROLES.index(entry.role)
    return entry.answers[method] if allowed else 403


def answers(client: Client, path: str, data: dict[str, str], methods: tuple[str, ...]) -> dict[str, int]:
    """What each method gives, each on the data as it was."""
    got = {}
    cookies = copy(client.cookies)
    for method in methods:
        client.cookies = copy(cookies)  # of the session as it was
        with transaction.atomic():
            response = client.generic(method, path) if method != "POST" else client.post(path, data)
            got[method] = response.status_code
            b"".join(response)  # read to its end: a file is open until then
            transaction.set_rollback(True)
    return got


def test_every_url_has_an_entry() -> None:
    assert sorted(EXPECTED) == OWN
    assert sorted([*ADMIN_PAGES, *(f"{model}_{action}" for model in ADMIN_MODELS for action in ACTIONS)]) == OF_ADMIN


@pytest.mark.parametrize("role", CALLERS)
@pytest.mark.parametrize("name", OWN)
def test_each_role_gets_the_expected_answer_to_each_method(
    name: str, role: str, sample: dict[str, Any], caller: Callable[[str], Client]
) -> None:
    entry = EXPECTED[name]
    path = reverse(name, args=[sample[arg] for arg in entry.args])
    wanted = {method: expected(entry, role, method) for method in METHODS}
    assert answers(caller(role), path, entry.data, METHODS) == wanted


@pytest.mark.parametrize("role", CALLERS)
@pytest.mark.parametrize("name", OF_ADMIN)
def test_django_admin_is_for_admins(
    name: str, role: str, sample: dict[str, Any], caller: Callable[[str], Client]
) -> None:
    if name in ADMIN_PAGES:
        args, answer = ADMIN_PAGES[name]
        path = reverse(f"admin:{name}", args=[sample[arg] for arg in args])
    else:
        model, _, action = name.rpartition("_")
        one = admin_site_model(model).objects.latest("pk" if model != "channels_channel" else "segment_count")
        path = reverse(f"admin:{name}", args=[] if action in ("changelist", "add") else [one.pk])
        answer = 200 if action in ADMIN_MODELS[model] else 403
    if role != ADMIN:
        answer = 302 if role == "stranger" else 403
    methods = ("GET", "HEAD") if role == ADMIN else METHODS
    assert set(answers(caller(role), path, {}, methods).values()) == {answer}


def admin_site_model(label: str) -> Any:
    """The model that admin's URL names call `app_model`."""
    return next(m for m in admin.site._registry if f"{m._meta.app_label}_{m._meta.model_name}" == label)
