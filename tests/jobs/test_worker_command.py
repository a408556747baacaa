"""Pages that say how to start a worker name the one that TASKS_BACKEND needs."""

from typing import Any

import pytest
from django.template.loader import render_to_string

WAITS = {"no_worker": True}
PAGES: dict[str, dict[str, Any]] = {
    "overview/_attention.html": {"attention": WAITS},
    "imports/_no_worker.html": {},
    "integrations/_sync_running.html": {**WAITS, "job": {"status": "waiting", "step": "writing", "created_at": None}},
    "segments/_bulk_job.html": {**WAITS, "job": {"status": "waiting", "is_over": True}},
    "segments/_undo_job.html": {**WAITS, "job": {"status": "waiting"}, "change_set": {"pk": 1}},
}


@pytest.mark.once
@pytest.mark.parametrize(
    ("backend", "command", "other"),
    [
        ("database", "manage.py worker", "celery --app jobs.celery worker"),
        ("celery", "celery --app jobs.celery worker", "manage.py worker"),
    ],
)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_the_command_that_starts_a_worker(
    settings: Any, name: str, backend: str, command: str, other: str
) -> None:
    settings.TASKS_BACKEND = backend
    page = render_to_string(name, PAGES[name])
    assert command in page
    assert other not in page
