"""A workspace as a small company would have filled it, and the pages to look at in it.

PAGES says for each URL name which paths show it; test_axe.py and shots.py go through them. A new page is one
line there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from accessaudience.roles import ADMIN, MARKETER, VIEWER
from channels.models import Channel
from imports.models import ImportChannel, ImportJob
from integrations.models import KlaviyoAccount, SyncJob
from integrations.secrets import Secret
from jobs import lease
from jobs.models import Status
from jobs.runner import perform
from people.invitations import invite
from people.models import ApiToken, Person
from segments import changes
from segments.models import BulkJob, ChangeSet, Segment, Source
from segments.values import SegmentValues
from tests.factories import PersonFactory

IMPORTED = (
    ("Active subscribers – bought in last 60 days", "Tq7RkM"),
    ("Black Friday 2026 – early access", "WnX4pZ"),
    ("Browse abandoners – 3 days", "Vd2LsB"),
    ("Cart abandoners – 7 days", "Xk9PdQ"),
    ("Churn risk – high", "churn_risk_high"),
    ("Coffee club – annual plan", "Rb6YwH"),
    ("Decaf buyers", "Sm3JtC"),
    ("Engaged 30 days – opened or clicked", "Uy8NfG"),
    ("Engaged 90 days – opened or clicked", "Ze5KaV"),
    ("First order, no second after 45 days", "Pc1QxD"),
    ("Gift card holders", "gift_cards"),
    ("Holiday 2025 gift buyers", "Lh4GsT"),
    ("Lapsed 90–180 days", "Kf7BvN"),
    ("Loyalty – gold tier", "loyalty_gold"),
    ("Loyalty – silver tier", "loyalty_silver"),
    ("Newsletter – main list", "RtW3bN"),
    ("Newsletter – wholesale partners", "Hn9McE"),
    ("Panel volunteers – taste tests", "taste_panel"),
    ("Popup sign-ups – summer market", "Jx2DpF"),
    ("Replenish due – 250 g bags", "Gw5TzL"),
)
BY_HAND = (
    "Sunset – no opens in 180 days",
    "Subscribers paused, not cancelled",
    "Test segment (Tom, please ignore)",
    "VIP – 5+ orders in 12 months",
    "Win-back – no order in 365 days",
)
ODD = ("Équipe café – Genève", "東京 – 店舗", "مشترو القهوة", "<b>Not markup</b> & more")
# Rows to be created, updated and left alone; two of the same segment; and three that cannot be.
MIXED = """Segment Name,Segment ID,URL,Status
Texts 01,t-1,https://www.example.com/t-1,active
Texts 02 renamed,t-2,https://www.example.com/t-2,active
Spring texts,spring-1,https://www.example.com/spring,active
Spring texts – VIP,spring-2,,inactive
Spring texts – VIP,spring-2,,inactive
,nameless,,active
Bad link,bad-1,htp:/nowhere,active
Bad status,bad-2,,perhaps
"""
OFF = {"Holiday 2025 gift buyers", "Sunset – no opens in 180 days", "Test segment (Tom, please ignore)"}


@dataclass
class Workspace:
    """What there is to look at. An empty one has nothing but its people."""

    person: Person
    segment: Segment | None = None
    change_set: ChangeSet | None = None
    jobs: dict[str, ImportJob] | None = None
    account: KlaviyoAccount | None = None
    syncs: dict[str, SyncJob] | None = None
    colleague: Person | None = None
    bulk: list[BulkJob] | None = None


def fill(person: Person) -> Workspace:
    """Fill the workspace through the one writer: an import, segments by hand, edits; and imports of every state."""
    email, sms = Channel.objects.get(slug="email"), Channel.objects.get(slug="sms")
    imported = import_rows([email], "shop_segments.csv", rows(IMPORTED), person)
    import_rows([sms], "texts.csv", rows([(f"Texts {n:02}", f"t-{n}") for n in range(1, 61)]), person)
    by = changes.By(person)
    for channel, names in ((email, BY_HAND), (sms, ODD)):
        for name in names:
            changes.add(channel, SegmentValues(name), by)
    segment = Segment.objects.get(channel=email, name="Loyalty – gold tier")
    values = SegmentValues("Loyalty – gold tier", "loyalty_gold", "https://www.klaviyo.com/lists/Gold26")
    changes.edit(segment, values, by)
    for name in OFF:
        changes.set_active(Segment.objects.get(channel=email, name=name), False, by)
    segment.refresh_from_db()
    account = connected(person)
    jobs = jobs_of_every_state(person, sms)
    syncs = syncs_of_every_state(account, person)
    colleague = people_of_every_state(person)
    bulk = bulk_jobs_of_every_state(sms, by)
    return Workspace(person, segment, imported, jobs, account, syncs, colleague, bulk)


LONGEST = (
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk",  # a word that no line can be broken in
    "عملاء القهوة الذين اشتروا أكثر من خمس مرات في السنة الماضية ",
    "Bought the seasonal roast twice and opened none of the last thirty campaigns ",
)
# Columns of text from people or platforms; the rest is made by us.
TEXTS = {
    *("name", "file_name", "label", "header", "value", "message", "says", "was", "user_name", "person_name", "about"),
    *("user_agent", "organisation", "answered_as", "first_name", "last_name", "before_name", "after_name"),
    *("before_segment_id", "after_segment_id", "segment_id", "synced_name"),
}
TEXTS_OF = ("channels", "segments", "imports", "integrations", "people", "usersessions")


def rewrite(text: "Callable[[models.Field[Any, Any], int], str]") -> set[str]:
    """Give every text from outside what `text` says for its column and row; return which columns those are.

    Where it must be unique it ends in the row's number.
    """
    written = set()
    for model in apps.get_models():
        fields = [
            field
            for field in model._meta.concrete_fields
            if isinstance(field, models.CharField | models.TextField) and field.name in TEXTS and not field.choices
        ]
        if model._meta.app_label not in TEXTS_OF or not fields:
            continue
        rows = list(model._base_manager.order_by("pk"))
        for field in fields:
            for number, row in enumerate(rows):
                if getattr(row, field.name) is not None:
                    setattr(row, field.name, text(field, number) + (str(number) if field.unique else ""))
            written.add(f"{model.__name__}.{field.name}")
        model._base_manager.bulk_update(rows, [field.name for field in fields], batch_size=50)
    return written


def stretch(workspace: Workspace) -> None:
    """Make every text from outside as long as it may be: one word, from right to left, and words, in turn."""

    def longest(field: "models.Field[Any, Any]", number: int) -> str:
        length = (field.max_length or 300) - (4 if field.unique else 0)
        return (LONGEST[number % len(LONGEST)] * 10)[:length]

    header = ";".join(f"{text * 3} {n}" for n, text in enumerate(LONGEST))
    cells = "".join(f"{(text * 10)[:255]};{(text * 10)[:250]} {n};htp:/{text}\n" for n, text in enumerate(LONGEST))
    assert workspace.jobs
    workspace.jobs["unmatched"] = upload(workspace.person, "long.csv", f"{header}\n{cells}")
    named = f"Segment name;{header}\n" + "".join(
        f"{text * 2};{line}\n" for text, line in zip(LONGEST, cells.splitlines(), strict=True)
    )
    workspace.jobs["ready"] = upload(workspace.person, "long names.csv", named)
    rewrite(longest)


def bulk_jobs_of_every_state(channel: Channel, by: changes.By) -> list[BulkJob]:
    """An action on many segments that waits, one that is done, one that failed."""
    done = changes.set_active_all(channel.segments.search("texts 0"), channel, False, by)
    given: dict[str, Any] = {"channel": channel, "action": BulkJob.Action.DEACTIVATE, "chosen": {"q": "texts"}}
    return [
        BulkJob.objects.create(**given, status=Status.WAITING),
        BulkJob.objects.create(**given, status=Status.DONE, change_set=done, total=9),
        BulkJob.objects.create(**given, status=Status.FAILED, message="It failed three times. Nothing was changed."),
    ]


def people_of_every_state(by: Person) -> Person:
    """A team: somebody with an app for a second proof, who is returned, and people of each role and state."""
    ApiToken.objects.make(by, "Campaign builder")
    app, *_, gone = [
        PersonFactory(first_name=first, last_name=last, email=f"{first.lower()}@fernhill.example", role=role)
        for first, last, role in (
            ("Alina", "Petrescu", ADMIN),
            ("Priya", "Nair", MARKETER),
            ("Jonas", "Weber", VIEWER),
            ("Sam", "Ellery", MARKETER),
        )
    ]
    TOTP.activate(app, generate_totp_secret())
    gone.deactivate()
    invite("ruth@fernhill.example", MARKETER, by)
    return app


def connected(person: Person) -> KlaviyoAccount:
    """A connected account, whose key nothing asks."""
    account = KlaviyoAccount(account_id="XyZ123", name="Fernhill Coffee", organisation="Fernhill Coffee Ltd")
    account.scopes = ["accounts:read", "lists:read", "segments:read"]
    account.connected_by, account.checked_at = person, timezone.now()
    account.keep_key(Secret("pk_never_asked_4f2a"))
    account.save()
    return account


def rows(segments: Iterable[tuple[str, str]]) -> Iterable[tuple[int, SegmentValues]]:
    """Rows of a file with names and segment IDs, as the reader would give them."""
    for line, (name, segment_id) in enumerate(segments, start=2):
        yield line, SegmentValues(name, segment_id, f"https://www.example.com/{segment_id}", active=name not in OFF)


def import_rows(
    channels: list[Channel], label: str, values: Iterable[tuple[int, SegmentValues]], person: Person
) -> ChangeSet:
    """Import ready rows as an import does."""
    with changes.stage(values) as staged:
        result = changes.apply(
            staged,
            channels,
            changes.Rule.UPDATE,
            kind=ChangeSet.Kind.IMPORT,
            source=Source.CSV,
            by=changes.By(person),
            label=label,
        )
    return result.change_set


def jobs_of_every_state(person: Person, channel: Channel) -> dict[str, ImportJob]:
    """One import in each state that a page shows differently: uploaded and imported as people do, or as left."""
    jobs = {
        "done": upload(person, "attentive_segments_export.csv", MIXED, start=True),
        "ready": upload(person, "spring.csv", MIXED),
        "unmatched": upload(person, "columns_unknown.csv", "a,b\n1,2\n3,4\n"),
        "bytes": upload(person, "latin.csv", "Segment name;Link\nCaf\xe9 du matin;\nGen\xe8ve;\n".encode("latin-1")),
    }
    now = timezone.now()
    left: dict[str, dict[str, Any]] = {
        "failed": {
            "status": Status.FAILED,
            "code": "unclosed_quote",
            "message": "A quotation mark in line 7 is never closed. Close it, then upload the file again.",
            "error_line": 7,
            "finished_at": now,
        },
        "cancelled": {"status": Status.CANCELLED, "finished_at": now},
        "running": {
            "status": Status.RUNNING,
            "progress": 4_000,
            "total": 10_000,
            "step": "reading",
            "heartbeat_at": now,
        },
        "waiting": {"status": Status.WAITING, "created_at": now - timedelta(minutes=4)},
    }
    for state, values in left.items():
        if state in ("running", "cancelled", "failed"):
            values = {"started_at": now, **values}
        job = ImportJob.objects.create(
            user=person, file_name=f"{state}.csv", header=["Segment name"], mapping={"name": {"column": 1}}, **values
        )
        ImportChannel.objects.create(job=job, channel=channel)
        jobs[state] = job
    return jobs


def upload(person: Person, name: str, content: str | bytes, start: bool = False) -> ImportJob:
    """Upload a file into SMS, and with `start` let it be imported by a worker."""
    client = Client()
    client.force_login(person)
    file = SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content, content_type="text/csv")
    answer = client.post("/data/upload/", {"object_type": "segments", "channel": "sms", "file": file})
    assert answer.status_code == 302, answer.content.decode()
    job = ImportJob.objects.get(file_name=name)
    if start:
        client.post(reverse("imports:start", args=[job.pk]))
        client.post(reverse("imports:start", args=[job.pk]))  # it leaves rows out: seen, and started all the same
        while claimed := lease.claim("worker of the test"):
            perform(claimed)
        job.refresh_from_db()
        assert job.status == Status.DONE, (job.status, job.message)
    return job


def of_segment(name: str) -> Callable[[Workspace], list[str]]:
    """The page `name` of the workspace's segment."""
    return lambda w: [reverse(name, args=[w.segment.channel.slug, w.segment.pk])] if w.segment else []


def of_jobs(name: str, *states: str) -> Callable[[Workspace], list[str]]:
    """The page `name` of the imports in `states`."""
    return lambda w: [reverse(name, args=[w.jobs[state].pk]) for state in states] if w.jobs else []


def syncs_of_every_state(account: KlaviyoAccount, person: Person) -> dict[str, SyncJob]:
    """A sync or a preview in each state that a page shows differently, in Meta: as they are left."""
    channel = Channel.objects.get(slug="meta")
    left: dict[str, dict[str, Any]] = {
        "preview": {"status": Status.READY, "goal": "check"},
        "failed": {"status": Status.FAILED, "code": "key_refused", "message": "Klaviyo did not accept the key."},
        "done": {"status": Status.DONE},
        "asks": {"status": Status.NEEDS_ANSWER, "code": "many_missing", "message": "Many are gone.", "missing": 3},
    }
    now = timezone.now()
    counted = {"fetched": 6, "created": 3, "updated": 2, "protected": 1, "known": 5, "answered_as": "“Beans” (XyZ123)"}
    syncs = {}
    for state, values in left.items():
        job = SyncJob.objects.create(
            channel=channel, account=account, user=person, started_at=now, finished_at=now, **counted | values
        )
        for outcome, reason, was, says, inactive in (
            ("missing", "", "", "", False),
            ("updated", "", "Lapsed 3 to 6 months", "", False),
            ("updated", "adopted", "", "VIP", False),
            ("created", "", "", "", False),
            ("created", "returns", "", "", False),
            ("created", "", "", "name contains “SMS”", True),
            ("protected", "inactive", "", "Winback 365d", False),
            ("protected", "override", "", "", False),
            ("error", "name_too_long", "", "Shorten the name to 255 characters; it has 300.", False),
        ):
            job.lines.create(
                outcome=outcome,
                reason=reason,
                kind="list",
                name=f"A {outcome} one",
                was=was,
                says=says,
                inactive=inactive,
            )
        syncs[state] = job
    return syncs


def of_syncs(*states: str) -> Callable[[Workspace], list[str]]:
    """The pages of the syncs in `states`."""
    return lambda w: [w.syncs[state].get_absolute_url() for state in states] if w.syncs else []


def of_bulk_jobs(workspace: Workspace) -> list[str]:
    """The pages of the actions on many segments."""
    return [reverse("segments:bulk_job", args=[job.channel.slug, job.pk]) for job in workspace.bulk or []]


def of_account(name: str) -> Callable[[Workspace], list[str]]:
    """The page `name` of the connected account."""
    return lambda w: [reverse(name, args=[w.account.pk])] if w.account else []


def of_colleague(name: str) -> Callable[[Workspace], list[str]]:
    """The page `name` of somebody else."""
    return lambda w: [reverse(name, args=[w.colleague.pk])] if w.colleague else []


def of_tokens(name: str) -> Callable[[Workspace], list[str]]:
    """The page `name` of each token that one has."""
    return lambda w: [reverse(name, args=[token.pk]) for token in ApiToken.objects.filter(person=w.person.pk)]


def at(*paths: str) -> Callable[[Workspace], list[str]]:
    """Always these paths."""
    return lambda w: list(paths)


LIST = "/channels/email/segments/"
PAGES: dict[str, Callable[[Workspace], list[str]]] = {
    "overview": at("/"),
    "jobs:notices": at("/notifications/"),
    "people:list": at("/people/", "/people/?show=invited"),
    "people:deactivate": of_colleague("people:deactivate"),
    "people:turn_off_two_factor": of_colleague("people:turn_off_two_factor"),
    "people:account": at("/accounts/"),
    "people:revoke_token": of_tokens("people:revoke_token"),
    "account_change_password": at("/accounts/password/"),
    "account_reauthenticate": at("/accounts/confirm/"),
    "segments:list": at(
        LIST, f"{LIST}?q=loyalty&status=active", f"{LIST}?q=nothing-like-it", "/channels/meta/segments/"
    ),
    "segments:across": at("/segments/", "/segments/?show=mixed", "/segments/?q=nothing-like-it"),
    "segments:add": at(f"{LIST}add/"),
    "segments:detail": of_segment("segments:detail"),
    "segments:edit": of_segment("segments:edit"),
    "segments:delete": of_segment("segments:delete"),
    "segments:bulk_job": of_bulk_jobs,
    "segments:undo": lambda w: [reverse("segments:undo", args=[w.change_set.pk])] if w.change_set else [],
    "segments:access": at("/activity/access/", "/activity/access/?q=nothing-like-it"),
    "segments:activity": at("/activity/", "/activity/?q=nothing-like-it"),
    "segments:change": lambda w: [reverse("segments:change", args=[w.change_set.pk])] if w.change_set else [],
    "imports:upload": at("/data/upload/"),
    "imports:list": at("/data/imports/"),
    "imports:detail": of_jobs("imports:detail", "done", "failed", "cancelled", "running", "waiting"),
    "imports:mapping": of_jobs("imports:mapping", "ready", "unmatched", "bytes"),
    "integrations:list": at("/integrations/"),
    "integrations:connect": at("/integrations/klaviyo/"),
    "integrations:channel": at("/integrations/klaviyo/channels/email/"),
    "integrations:preview": at(f"{LIST}sync/preview/"),
    "integrations:history": at("/channels/meta/segments/sync/history/"),
    "integrations:sync": of_syncs("preview", "failed", "done", "asks"),
    "integrations:key": of_account("integrations:key"),
    "integrations:disconnect": of_account("integrations:disconnect"),
}
STRANGERS = {
    "account_login": ["/accounts/login/"],
    "account_reset_password": ["/accounts/password/reset/"],
    "account_reset_password_done": ["/accounts/password/reset/sent/"],
    "account_reset_password_from_key": ["/accounts/password/reset/1-made-up/"],
    "account_reset_password_from_key_done": ["/accounts/password/reset/done/"],
    "people:join": ["/accounts/invitation/?key=made-up"],
    "no such page": ["/nowhere/"],
}
NO_PAGE = {  # answers no GET, or not with a page
    "jobs:read",
    "account_logout",
    "mfa_authenticate",  # the pages of a second proof are used, and checked, in test_accounts.py
    "mfa_reauthenticate",
    "mfa_activate_totp",
    "mfa_deactivate_totp",
    "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes",
    "people:role",
    "people:activate",
    "people:send_again",
    "people:end_session",
    "people:make_token",  # answers with the page of people:account; looked at in test_tokens.py
    "api:api-root",
    "api:openapi-json",
    "api:segments",
    "api:segments_slash",
    "people:end_other_sessions",
    "people:theme",
    "people:time_zone",
    "segments:bulk",  # its question is asked, and checked, in test_bulk.py
    "segments:across_export",
    "segments:export",
    "segments:rename",  # a form in a row of the list
    "segments:cancel_bulk",
    "segments:cancel_undo",
    "segments:status",
    "segments:restore",
    "segments:activity_export",
    "segments:access_export",
    "segments:being_undone",  # a piece of segments:change
    "imports:of_change_set",  # leads to imports:detail
    "imports:sample",
    "imports:start",
    "imports:stop",
    "imports:cancel",
    "imports:discard",
    "imports:dismiss",
    "imports:errors",
    "health_live",
    "health_ready",
    "metrics",
    "integrations:answer",
    "integrations:begin",
    "integrations:channel_matches",
    "integrations:hide",
    "integrations:link",
    "integrations:status",
    "integrations:stop",
    "integrations:take_value",
    "integrations:test",
    "integrations:test_key",
}


def url_names() -> set[str]:
    """Every URL name of the application; Django admin's pages are its own."""

    def walk(patterns: list[Any], prefix: str = "") -> Iterable[str]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                if pattern.namespace != "admin":
                    yield from walk(
                        pattern.url_patterns, f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
                    )
            elif isinstance(pattern, URLPattern) and pattern.name:
                yield prefix + pattern.name

    return set(walk(get_resolver().url_patterns))
