"""Template tags of every page: `{% load aa %}`.

Goes in: a name of an icon, a number, a time. Comes out: the markup or words of the design.
Must not know: any app of the project.
"""

import re
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """Return the icon `name` of the sprite (static/img/icons.txt names them), with more classes in `extra`."""
    return format_html(
        '<svg class="{}" aria-hidden="true" viewBox="0 0 24 24"><use href="{}#i-{}"/></svg>',
        f"icon {extra}".strip(),
        static("img/icons.svg"),
        name,
    )


@register.filter
def num(value: int | None) -> str:
    """Return a whole number with a comma at each thousand: 1,220."""
    return f"{value or 0:,}"


@register.filter
def num_to(value: int, cap: int) -> str:
    """Return a whole number, or that it is more than `cap`: 10,000+."""
    return f"{num(cap)}+" if value > cap else num(value)


@register.filter
def host(link: str) -> str:
    """Return where a link leads: www.klaviyo.com."""
    return urlsplit(link).netloc


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """Return how long ago `moment` was, in the words of the design, in a <time> with the full date."""
    if moment is None:
        return ""
    local = timezone.localtime(moment)
    full = f"{local.day} {local:%b %Y, %H:%M}"
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), full, in_words(moment))


def in_words(moment: datetime) -> str:
    """Return "2 h ago", "Today, 14:07", "Yesterday, 18:02", "12 Nov" or "12 Nov 2025" for `moment`."""
    local, now = timezone.localtime(moment), timezone.localtime()
    passed = timezone.now() - moment  # local times of one zone are subtracted as its clocks show them
    if timedelta(0) <= passed < timedelta(minutes=1):
        return "just now"
    if timedelta(0) <= passed < timedelta(hours=1):
        return f"{passed.seconds // 60} min ago"
    if timedelta(0) <= passed < timedelta(hours=4):
        return f"{passed.seconds // 3600} h ago"
    if local.date() == now.date():
        return f"Today, {local:%H:%M}"
    if local.date() == now.date() - timedelta(days=1):
        return f"Yesterday, {local:%H:%M}"
    return f"{local.day} {local:%b}" if local.year == now.year else f"{local.day} {local:%b %Y}"


@register.simple_tag
def marked(text: str, searched: str) -> SafeString | str:
    """Return `text` with each place marked that is `searched`, or a word of it, whatever the case of its letters."""
    words = [re.escape(word) for word in searched.split()]
    if not words:
        return text
    looked_for = "|".join([r"\s+".join(words), *words])
    parts = re.split(f"({looked_for})", text, flags=re.IGNORECASE)
    pieces = ("<mark>{}</mark>" if number % 2 else "{}" for number in range(len(parts)))
    return format_html("".join(pieces), *parts)


@register.filter
def undo_of(extra_tags: str | None) -> int | None:
    """Return the change set that a message offers to undo: `extra_tags="undo:12"` gives 12."""
    tag = next((tag for tag in (extra_tags or "").split() if tag.startswith("undo:")), "")
    number = tag.removeprefix("undo:")
    return int(number) if number.isdigit() else None
