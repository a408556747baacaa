"""Klaviyo accounts: connecting, testing, replacing a key, disconnecting. All of it is for Admins.

Goes in: requests. Comes out: pages, or the fragments of them that htmx asks for. Syncs are in
integrations.sync_views. A private key comes in here and leaves as a Secret: no page shows it again.
"""

from typing import Any, cast

from allauth.decorators import rate_limit
from django.contrib import messages
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accessaudience.htmx import render_fragment
from accessaudience.roles import ADMIN, role_required
from channels.models import Channel
from integrations import accounts
from integrations.arrival import CONTAINS, OPERATORS, ArrivalRule
from integrations.forms import ChannelSyncForm, ConnectForm, KeyForm, ReplaceKeyForm
from integrations.klaviyo.client import SCOPES, WORDS, Connection, KlaviyoError
from integrations.models import ChannelSync, KlaviyoAccount, SyncJob
from integrations.schedule import due_at
from integrations.secrets import Unreadable
from integrations.shown import matches, settings_of
from people.audit import Kind, record
from people.models import Person

SPARE_RULES = 2  # empty rows to write further rules into
form_methods = require_http_methods(["GET", "HEAD", "POST"])
UNREADABLE = "This server cannot read the stored key any more: ENCRYPTION_KEYS was changed. Replace the key."


@require_safe
@role_required(ADMIN)
def account_list(request: HttpRequest) -> HttpResponse:
    """Show the connected accounts, and what each channel takes from them."""
    connected = KlaviyoAccount.objects.connected().select_related("connected_by")
    context = {"accounts": connected, "channels": channel_rows(), "scopes": SCOPES.values()}
    return render(request, "integrations/account_list.html", context)


def channel_rows() -> list[dict[str, Any]]:
    """Return each channel with its settings, its newest sync, and when the next is due."""
    newest = SyncJob.objects.syncs().filter(channel=OuterRef("pk")).values("pk")[:1]
    channels = list(Channel.objects.annotate(newest_sync=Subquery(newest)))
    syncs = SyncJob.objects.in_bulk([each.newest_sync for each in channels if each.newest_sync])
    settings = {each.channel_id: each for each in ChannelSync.objects.select_related("account")}
    return [
        {
            "channel": channel,
            "setting": setting,
            "last": syncs.get(channel.newest_sync),
            "due": due_at(setting) if setting else None,
        }
        for channel in channels
        for setting in [settings.get(channel.pk)]
    ]


@form_methods
@role_required(ADMIN)
@sensitive_post_parameters("key")
def connect(request: HttpRequest) -> HttpResponse:
    """Connect an account by its private key, or show the form for it."""
    form = ConnectForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        user = cast(Person, request.user)
        try:
            account = accounts.connect(form.cleaned_data["key"], form.cleaned_data["name"], user)
        except KlaviyoError as error:
            form.add_error("key", error.message)
        else:
            record(Kind.KEY, request, f"Connected Klaviyo account {account.account_id} by key ••••{account.last_four}")
            messages.success(request, f"“{account}” is connected.")
            return redirect("integrations:list")
    return _connect_page(request, form)


def _connect_page(request: HttpRequest, form: ConnectForm, **more: Any) -> HttpResponse:
    context = {"form": form, "scopes": SCOPES.values(), **more}
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "integrations/account_form.html", context, status=status)


@require_POST
@role_required(ADMIN)
@sensitive_post_parameters("key")
def test_key(request: HttpRequest) -> HttpResponse:
    """Say what a pasted key opens: the account, and which permissions it has. Nothing is kept."""
    form = ConnectForm(request.POST)
    result = test_of(form)
    context = {"form": form, "scopes": SCOPES.values(), "result": result}
    return render_fragment(request, "integrations/account_form.html", "integrations/_key_result.html", context)


@sensitive_variables()
def test_of(form: KeyForm) -> dict[str, Any]:
    """Return what "Test connection" shows: the connection, or why there is none."""
    if not form.is_valid():
        return {"error": form.errors["key"][0]}
    try:
        return shown(accounts.look(form.cleaned_data["key"]))
    except KlaviyoError as error:
        return {"error": error.message}


def shown(connection: Connection) -> dict[str, Any]:
    """Return a connection in the words of the page."""
    checks = [(WORDS[kind], scope in connection.scopes) for kind, scope in SCOPES.items()]
    return {"connection": connection, "checks": checks, "lacks": [word for word, there in checks if not there]}


@require_POST
@role_required(ADMIN)
def test(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask Klaviyo what the stored key of an account opens now."""
    account = _account(pk)
    try:
        connection = accounts.check(account)
    except KlaviyoError as error:
        messages.error(request, error.message)
    except Unreadable:
        messages.error(request, UNREADABLE)
    else:
        if connection.missing:
            messages.error(request, f"The key works, but lacks {', '.join(connection.missing)}. Replace it.")
        elif connection.account and connection.account.id != account.account_id:
            messages.error(request, f"The key opens another account now: “{connection.account.name}”.")
        else:
            messages.success(request, f"“{account}” answers, with all permissions.")
    return redirect("integrations:list")


@form_methods
@role_required(ADMIN)
@rate_limit(action="reauthenticate")  # type: ignore[untyped-decorator]  # counted wherever a password is asked for again
@sensitive_post_parameters("key", "password")
def replace_key(request: HttpRequest, pk: int) -> HttpResponse:
    """Replace the key of an account, after the password was given again."""
    account = _account(pk)
    user = cast(Person, request.user)
    form = ReplaceKeyForm(request.POST if request.method == "POST" else None, user=user)
    if form.is_valid():
        try:
            kept = accounts.connect(form.cleaned_data["key"], "", user, replacing=account)
        except KlaviyoError as error:
            form.add_error("key", error.message)
        except accounts.OtherAccount as other:
            form.add_error(
                "key",
                f"This key opens “{other.name}”, not “{account.organisation}”. Connect that as an account of its own.",
            )
        else:
            record(Kind.KEY, request, f"Replaced that of Klaviyo account {account.account_id} by ••••{kept.last_four}")
            messages.success(request, f"The key of “{account}” is replaced.")
            return redirect("integrations:list")
    context = {"form": form, "account": account, "scopes": SCOPES.values()}
    return render(request, "integrations/account_key.html", context, status=422 if form.errors else 200)


@form_methods
@role_required(ADMIN)
def disconnect(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then forget the key of an account. Its segments stay."""
    account = _account(pk)
    if request.method == "POST":
        record(Kind.KEY, request, f"Deleted that of Klaviyo account {account.account_id}")
        account.forget_key()
        messages.success(request, f"“{account}” is disconnected, and its key is deleted here. Its segments stay.")
        return redirect("integrations:list")
    channels = Channel.objects.filter(klaviyo__account=account)
    return render(request, "integrations/account_confirm_disconnect.html", {"account": account, "channels": channels})


def _account(pk: int) -> KlaviyoAccount:
    return get_object_or_404(KlaviyoAccount.objects.connected(), pk=pk)


@form_methods
@role_required(ADMIN)
def channel(request: HttpRequest, slug: str) -> HttpResponse:
    """Settings of a channel: its account, its schedule, and which segments arrive inactive."""
    setting = settings_of(get_object_or_404(Channel, slug=slug))
    if request.method == "POST":
        form = ChannelSyncForm(request.POST)
        if form.is_valid():
            form.save(setting)
            messages.success(request, f"The settings of {setting.channel} are saved.")
            return redirect("integrations:list")
        rules = form.rules()
    else:
        initial = {"account": setting.account, "bring": setting.bring, "automatic": setting.every_hours > 0}
        form = ChannelSyncForm(initial=initial | ({"every_hours": setting.every_hours} if setting.every_hours else {}))
        rules = setting.arrival_rules
    context = {
        "channel": setting.channel,
        "form": form,
        "choices": [form["account"], form["bring"]],
        "operators": OPERATORS.items(),
        "rules": [*rules, *[ArrivalRule(CONTAINS, "")] * SPARE_RULES],
        "due": due_at(setting) if setting.pk else None,
        "last": SyncJob.objects.syncs().filter(channel=setting.channel).select_related("channel").first(),
        **matches(setting.channel, rules),
    }
    status = 422 if form.is_bound else 200
    return render(request, "integrations/channelsync_form.html", context, status=status)


@require_POST
@role_required(ADMIN)
def channel_matches(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what the rules being written would match, and room for a further one."""
    channel = get_object_or_404(Channel, slug=slug)
    form = ChannelSyncForm(request.POST)
    context = {
        "channel": channel,
        "number": form.further,
        "operators": OPERATORS.items(),
        **matches(channel, form.rules()),
    }
    return render(request, "integrations/_matches_and_rule.html", context)
