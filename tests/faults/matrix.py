"""A pytest plugin that notes what came of each fault, for the matrix that `make faults` prints.

Goes in: reports of tests. Comes out: a file of JSON, named by AA_FAULTS_OUT: {fault: outcome}. A fault is the name of
its test, which is a rule, in words; nothing that was not tried is left out, and why is said.
"""

import json
import os
from pathlib import Path

import pytest

found: dict[str, str] = {}


def in_words(node: str) -> str:
    """The test's name as a sentence: what it is given comes last."""
    name, _, given = node.rpartition("::")[2].partition("[")
    words = name.removeprefix("test_").replace("_", " ")
    return f"{words} ({given.removesuffix(']')})" if given else words


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how a test ended: what failed before or after it counts as its failure."""
    fault = in_words(report.nodeid)
    if report.failed:
        found[fault] = "FAILED"
    elif report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        found[fault] = f"not run: {reason.removeprefix('Skipped: ')}"
    elif report.when == "call":
        found.setdefault(fault, "all right")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write down what was found; with several processes the one that started them does."""
    if not hasattr(session.config, "workerinput"):
        Path(os.environ["AA_FAULTS_OUT"]).write_text(json.dumps(found), "utf-8")
