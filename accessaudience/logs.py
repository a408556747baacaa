"""What is logged, and how a line looks: for people, or JSON for programs.

Goes in: the settings LOG_LEVEL and LOG_JSON. Comes out: a configuration for logging.config. A line names the request
or the job that it is about, and is one line, whatever text from outside is in it. Must not know: any app.
"""

import io
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, TextIO

import structlog

REQUEST_ID = "request_id"  # of a record
ANSWERED_ID = "{x-request-id}o"  # what gunicorn calls that header of an answer
QUIET_PATHS = ("/static/", "/health/")
ONE_TIME = re.compile(r"(?<=/accounts/password/reset/)[0-9A-Za-z]+-[^/]+")  # the key of a link, good until it is used

# What could begin a line, move the cursor or turn the direction of writing around.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# What PostgreSQL adds to an error: the row that it was about, with its cells.
QUOTED_ROW = re.compile(r"\n(?:DETAIL|CONTEXT):.*?(?=\n\n(?:The above|During handling)|\Z)", re.DOTALL)
NOTHING: Mapping[str, str] = MappingProxyType({})
_about: ContextVar[Mapping[str, str]] = ContextVar("what lines are about", default=NOTHING)


@contextmanager
def telling(**about: str) -> Iterator[None]:
    """Have every line that this thread logs meanwhile say what it is `about`; what is blank is not said."""
    token = _about.set({**_about.get(), **{name: value for name, value in about.items() if value}})
    try:
        yield
    finally:
        _about.reset(token)


def about() -> Mapping[str, str]:
    """Return what lines are about just now."""
    return _about.get()


def on_one_line(text: str) -> str:
    """Return `text` with what is unprintable in it written out, as in \\n."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def _add_what_it_is_about(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A processor: add `request` and `job`. The server logs a request when the application is done with it."""
    request = getattr(event.get("_record"), REQUEST_ID, "")
    return {**event, **about(), **({"request": request} if request else {})}


def _print_on_one_line(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A processor: let no text begin a line of its own. JSON does so by itself."""
    return {name: on_one_line(value) if isinstance(value, str) else value for name, value in event.items()}


def _indented_traceback(to: TextIO, error: structlog.typing.ExcInfo) -> None:
    """Write a traceback whose lines, the message of the exception among them, cannot be taken for lines of the log."""
    whole = io.StringIO()
    structlog.dev.plain_traceback(whole, error)
    for line in QUOTED_ROW.sub("", whole.getvalue().strip()).splitlines():
        to.write(f"\n    {on_one_line(line)}")


def _leave_out_quoted_rows(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A processor of JSON: take the row out of what a database's error says."""
    for error in event.get("exception") or []:
        error["exc_value"] = QUOTED_ROW.sub("", error["exc_value"])
    return event


class WorthLogging(logging.Filter):
    """Leaves out of gunicorn's access log what is asked for all day long and was answered well, and one-time keys."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the request of `record` deserves a line."""
        request = record.args
        if not isinstance(request, dict):
            return True
        setattr(record, REQUEST_ID, str(request.get(ANSWERED_ID, "")).strip("-"))
        record.args = {**request, "U": ONE_TIME.sub("…", str(request.get("U")))}
        return str(request.get("s")) >= "400" or not str(request.get("U")).startswith(QUIET_PATHS)


def configuration(level: str, *, as_json: bool) -> dict[str, Any]:
    """Return the logging configuration: everything from `level` upward, to standard error."""
    added: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_what_it_is_about,
    ]
    # Neither kind of traceback shows the values of variables: one of them may be a key.
    written: list[Any] = (
        [
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            _leave_out_quoted_rows,
            structlog.processors.JSONRenderer(),
        ]
        if as_json
        else [
            _print_on_one_line,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=_indented_traceback
            ),
        ]
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"worth_logging": {"()": WorthLogging}},
        "formatters": {
            "lines": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": added,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *written],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.request": {"level": "ERROR"},  # a 404 is in the access log
            "celery": {"level": "WARNING"},  # it tells of each message, jobs tell of themselves
            "gunicorn.error": {"handlers": [], "propagate": True},
            "gunicorn.access": {"handlers": [], "propagate": True, "filters": ["worth_logging"]},
        },
    }
