"""What the Segments tab shows of Klaviyo: `{% load klaviyo %}`.

The pages of segments lie below this app and know nothing of it; their templates take these pieces in.
"""

from typing import Any
from uuid import uuid4

from django import template
from django.template.context import RequestContext
from django.utils.html import format_html
from django.utils.safestring import SafeString

from channels.models import Channel
from integrations import shown
from segments.models import Segment

register = template.Library()


@register.inclusion_tag("integrations/_sync_actions.html", takes_context=True)
def klaviyo_actions(context: RequestContext, channel: Channel) -> dict[str, Any]:
    """Show "Sync from Klaviyo" and "Preview changes", or "Connect Klaviyo"."""
    return of_page(context) | {"channel": channel, "seen": seen(context, channel)}


@register.inclusion_tag("integrations/_way.html", takes_context=True)
def klaviyo_way(context: RequestContext, channel: Channel) -> dict[str, Any]:
    """Show Klaviyo as the first way into an empty channel."""
    return of_page(context) | {"channel": channel, "seen": seen(context, channel)}


@register.inclusion_tag("integrations/_sync.html", takes_context=True)
def klaviyo_sync(context: RequestContext, channel: Channel) -> dict[str, Any]:
    """Show how the newest sync stands."""
    hidden = context["request"].session.get(shown.HIDDEN, {}).get(channel.slug, "")
    return of_page(context) | {"channel": channel, **shown.region(channel, seen(context, channel), hidden)}


@register.inclusion_tag("integrations/_last_sync.html", takes_context=True)
def klaviyo_last_sync(context: RequestContext, channel: Channel) -> dict[str, Any]:
    """Show the account and when the channel was last synced, at the end of the channel's head."""
    return {"channel": channel, "seen": seen(context, channel)}


@register.simple_tag
def one_time_token() -> SafeString:
    """Return the hidden field that makes sending a form twice one change; no browser may fill an old one in."""
    return format_html('<input type="hidden" name="form_token" value="{}" autocomplete="off">', uuid4())


@register.inclusion_tag("integrations/_segment_facts.html", takes_context=True)
def klaviyo_facts(context: RequestContext, segment: Segment) -> dict[str, Any]:
    """Show what Klaviyo says of a segment: its state, and where a manual override differs."""
    return of_page(context) | {
        "segment": segment,
        "overrides": shown.overrides(segment),
        "states": segment.klaviyo_state.split(),
    }


def seen(context: RequestContext, channel: Channel) -> shown.Glance:
    """Return how Klaviyo stands in the channel, asked once for a page: its two pieces share the answer."""
    request: Any = context["request"]
    if not hasattr(request, "klaviyo"):
        request.klaviyo = shown.glance(channel)
    found: shown.Glance = request.klaviyo
    return found


def of_page(context: RequestContext) -> dict[str, Any]:
    """Return what a piece needs of the page around it."""
    return {name: context.get(name) for name in ("request", "csrf_token", "can_change", "is_admin")}
