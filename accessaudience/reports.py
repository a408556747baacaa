"""Reports of errors to Sentry, where SENTRY_DSN says so: where something failed, and nothing of what it failed on.

Goes in: what sentry_sdk would send. Comes out: types, places in the code, and the names of request and job; no message
of an exception, variable, header, cookie, address, body or breadcrumb, as any of them may hold a key, a person or a
cell of a file. Those are in the log, which stays here: its lines say the same names. Must not know: any app.
"""

from typing import Any

from accessaudience.logs import about

KEPT = ("event_id", "timestamp", "level", "platform", "logger", "transaction", "release", "environment", "sdk")
KEPT_OF_FRAME = ("filename", "abs_path", "module", "function", "lineno", "in_app")
OURS = ("accessaudience", "people", "jobs", "channels", "segments", "imports", "integrations", "overview")

Event = dict[str, Any]


def start(dsn: str, release: str) -> None:
    """Report what is logged as an error, or not caught, from now on. Without a DSN sentry_sdk is not even loaded."""
    if not dsn:
        return
    import sentry_sdk
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.dedupe import DedupeIntegration
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.integrations.excepthook import ExcepthookIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration
    from sentry_sdk.integrations.threading import ThreadingIntegration

    sentry_sdk.init(
        dsn,
        release=release,
        server_name="",
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            AtexitIntegration(callback=lambda pending, timeout: None),  # waits for what is pending, in silence
            DedupeIntegration(),
            DjangoIntegration(middleware_spans=False, signals_spans=False),
            ExcepthookIntegration(),
            LoggingIntegration(),
            ThreadingIntegration(),
        ],
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        send_client_reports=False,
        before_send=_without_contents,  # type: ignore[arg-type]  # a TypedDict of theirs
    )


def _without_contents(event: Event, hint: Event) -> Event:
    """Return what may be sent of `event`: only what is named here, so that nothing new slips through."""
    sent = {name: event[name] for name in KEPT if name in event}
    sent["tags"] = dict(about())
    sent["modules"] = {}
    exceptions = event.get("exception", {}).get("values", [])
    if exceptions:
        sent["exception"] = {"values": [_without_message(each) for each in exceptions]}
    template = event.get("logentry", {}).get("message")
    if template and str(event.get("logger")).partition(".")[0] in OURS:  # others may write values into it
        sent["logentry"] = {"message": template}
    return sent


def _without_message(exception: Event) -> Event:
    frames = (exception.get("stacktrace") or {}).get("frames") or []
    return {
        "type": exception.get("type"),
        "module": exception.get("module"),
        "mechanism": {name: (exception.get("mechanism") or {}).get(name) for name in ("type", "handled")},
        "stacktrace": {"frames": [{name: frame.get(name) for name in KEPT_OF_FRAME} for frame in frames]},
    }
