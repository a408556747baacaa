"""What is logged, and how a line looks: for people, or JSON for programs.

Goes in: the settings LOG_LEVEL and LOG_JSON. Comes out: a configuration for logging.config.
Must not know: any app of the project.
"""

import logging
import re
import sys
from typing import Any

import structlog

QUIET_PATHS = ("/static/", "/health/")
ONE_TIME = re.compile(r"(?<=/accounts/password/reset/)[0-9A-Za-z]+-[^/]+")  # the key of a link, good until it is used


class WorthLogging(logging.Filter):
    """Leaves out of gunicorn's access log what is asked for all day long and was answered well, and one-time keys."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the request of `record` deserves a line."""
        request = record.args
        if not isinstance(request, dict):
            return True
        record.args = {**request, "U": ONE_TIME.sub("…", str(request.get("U")))}
        return str(request.get("s")) >= "400" or not str(request.get("U")).startswith(QUIET_PATHS)


def configuration(level: str, *, as_json: bool) -> dict[str, Any]:
    """Return the logging configuration: everything from `level` upward, to standard error."""
    added: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Neither kind of traceback shows the values of variables: one of them may be a key.
    written: list[Any] = (
        [
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
        if as_json
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
            )
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
            "gunicorn.error": {"handlers": [], "propagate": True},
            "gunicorn.access": {"handlers": [], "propagate": True, "filters": ["worth_logging"]},
        },
    }
