"""The client against a Klaviyo that behaves, and one that does not: everything, or one error that says what to do."""

import io
import logging
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from integrations.klaviyo import client
from integrations.klaviyo.client import Account, Klaviyo, KlaviyoError
from tests.klaviyo import fake as faults
from tests.klaviyo.fake import FakeKlaviyo


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between attempts are there, but short."""
    monkeypatch.setattr(client, "BACK_OFF", 0.005)


def connect(klaviyo: FakeKlaviyo, timeout: float = 5.0, patience: float = 30.0) -> Klaviyo:
    return Klaviyo(klaviyo.key, klaviyo.url, timeout=timeout, patience=patience)


def refusal(klaviyo: FakeKlaviyo, **how: float) -> KlaviyoError:
    with pytest.raises(KlaviyoError) as caught:
        connect(klaviyo, **how).everything()
    return caught.value


def ids(objects: list[Any]) -> list[str]:
    return [each["id"] for each in objects]


def test_every_page_of_both_walks_is_read_once(klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_many(43, 20)
    everything = connect(klaviyo).everything()
    assert everything.account == Account("XyZ123", "Fernhill Coffee")
    assert ids(everything.segments) == sorted(klaviyo.objects["segments"])
    assert ids(everything.lists) == sorted(klaviyo.objects["lists"])
    asked = [request.kind for request in klaviyo.requests]
    assert (asked.count("segments"), asked.count("lists"), asked.count("accounts")) == (5, 2, 1)


def test_an_empty_account_is_an_answer(klaviyo: FakeKlaviyo) -> None:
    assert connect(klaviyo).everything() == (Account("XyZ123", "Fernhill Coffee"), [], [])


def test_lists_and_segments_are_read_at_the_same_time(klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_many(10, 10)
    together = threading.Barrier(2, timeout=20)

    def meet(fake: FakeKlaviyo, request: faults.Request, handler: faults.Handler) -> faults.Answer:
        together.wait()
        return fake.proper(request)

    klaviyo.misbehave(meet, kind="lists", times=1)
    klaviyo.misbehave(meet, kind="segments", times=1)
    assert len(connect(klaviyo).everything().lists) == 10


def test_progress_is_told_and_what_it_raises_ends_the_reading(klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_many(30, 10)
    told: list[int] = []
    connect(klaviyo).everything(told.append)
    assert told[-1] == 40

    class StopAskedError(Exception):
        pass

    def stop(read: int) -> None:
        raise StopAskedError

    klaviyo.misbehave(faults.hang, page=2)
    with pytest.raises(StopAskedError):
        connect(klaviyo).everything(stop)


def test_each_request_names_the_revision_and_asks_for_no_more_than_is_needed(klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_many(1, 1)
    connect(klaviyo).everything()
    for request in klaviyo.requests:
        assert request.revision
        assert any(name.startswith("fields[") for name in request.query)


# What a key opens


def test_a_connection_names_the_account_and_its_scopes(klaviyo: FakeKlaviyo) -> None:
    connection = connect(klaviyo).connection()
    assert connection.account == Account("XyZ123", "Fernhill Coffee")
    assert connection.missing == []


@pytest.mark.parametrize("missing", ["accounts:read", "lists:read", "segments:read"])
def test_a_connection_says_which_scope_is_missing(klaviyo: FakeKlaviyo, missing: str) -> None:
    klaviyo.allow(*(faults.READ_ALL - {missing}))
    connection = connect(klaviyo).connection()
    assert connection.missing == [missing]
    assert (connection.account is None) == (missing == "accounts:read")


def test_an_account_without_a_name_is_called_by_its_id(klaviyo: FakeKlaviyo) -> None:
    klaviyo.account_name = " "
    connection = connect(klaviyo).connection()
    assert connection.account == Account("XyZ123", "Account XyZ123")


@pytest.mark.parametrize("identity", ["", " ", "x" * 65, "a\0b", "a b", "\ud800", "é", "../x"])
def test_what_cannot_be_the_id_of_an_account_is_refused(klaviyo: FakeKlaviyo, identity: str) -> None:
    klaviyo.account_id = identity
    with pytest.raises(KlaviyoError) as refused:
        connect(klaviyo).connection()
    assert refused.value.code == "unexpected_answer"


@pytest.mark.parametrize("name", ["Fern\0hill", "Fern\u202ehill", "Fern\ud800hill", "Fern\nhill"])
def test_of_the_name_of_an_account_only_what_can_be_seen_is_kept(klaviyo: FakeKlaviyo, name: str) -> None:
    klaviyo.account_name = name
    assert connect(klaviyo).connection().account == Account("XyZ123", "Fern hill")


# Faults that stay: one error, and what to do


@pytest.mark.parametrize("missing", ["accounts:read", "lists:read", "segments:read"])
def test_a_missing_scope_is_named_and_not_tried_again(klaviyo: FakeKlaviyo, missing: str) -> None:
    klaviyo.allow(*(faults.READ_ALL - {missing}))
    error = refusal(klaviyo)
    assert (error.code, error.scope, error.permanent) == ("scope_missing", missing, True)
    assert missing in error.message
    assert [request.kind for request in klaviyo.requests].count(missing.partition(":")[0]) == 1


def test_a_key_revoked_in_the_middle_is_refused_and_not_tried_again(klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_many(50, 0)
    klaviyo.misbehave(faults.status(401), kind="segments", page=3)
    error = refusal(klaviyo)
    assert (error.code, error.permanent) == ("key_refused", True)
    assert "Settings → API keys" in error.message
    assert sum(request.page == 3 for request in klaviyo.requests) == 1


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (faults.status(500), "klaviyo_fault", "status.klaviyo.com"),
        (faults.status(503), "klaviyo_fault", "(503)"),
        (faults.reset, "unreachable", "Try again in a few minutes"),
        (faults.broken_off, "unreachable", "Try again in a few minutes"),
        (faults.html, "unexpected_answer", "not JSON"),
        (faults.cut, "unexpected_answer", "cut short"),
    ],
)
def test_a_fault_that_stays_is_tried_five_times_and_told(
    klaviyo: FakeKlaviyo, fault: faults.Fault, code: str, says: str
) -> None:
    klaviyo.add_many(30, 0)
    klaviyo.misbehave(fault, kind="segments", page=2)
    error = refusal(klaviyo)
    assert (error.code, error.permanent) == (code, False)
    assert says in error.message
    assert sum(request.page == 2 for request in klaviyo.requests) == client.ATTEMPTS


@pytest.mark.parametrize("fault", [faults.hang, faults.drip])
def test_an_answer_that_does_not_come_is_not_waited_for(klaviyo: FakeKlaviyo, fault: faults.Fault) -> None:
    klaviyo.misbehave(fault, kind="lists")
    assert refusal(klaviyo, timeout=0.2).code == "unreachable"


def test_an_answer_without_end_is_not_read_into_memory(klaviyo: FakeKlaviyo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_BYTES", 1_000_000)
    klaviyo.misbehave(faults.huge, kind="lists")
    assert refusal(klaviyo).code == "unreachable"


def test_a_server_that_is_not_there_is_unreachable(klaviyo: FakeKlaviyo) -> None:
    with pytest.raises(KlaviyoError) as caught:
        Klaviyo(klaviyo.key, "http://127.0.0.1:1", timeout=5, patience=5).everything()
    assert caught.value.code == "unreachable"


def test_a_limit_for_ever_ends_with_the_patience(klaviyo: FakeKlaviyo) -> None:
    klaviyo.misbehave(faults.limited(None), kind="segments")
    error = refusal(klaviyo, patience=0.3)
    assert (error.code, error.permanent) == ("rate_limited", False)


def test_a_limit_of_no_seconds_is_not_answered_by_a_hail_of_requests(klaviyo: FakeKlaviyo) -> None:
    klaviyo.misbehave(faults.limited("0"), kind="segments")
    assert refusal(klaviyo, patience=0.3).code == "rate_limited"
    assert len(klaviyo.requests) < 30


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("600", 600), ("99999999999999", 366 * 86_400), ("Wed, 01 Jan 2200 00:00:00 GMT", None)],
)
def test_a_limit_longer_than_the_patience_is_told_at_once(
    klaviyo: FakeKlaviyo, retry_after: str, seconds: int | None
) -> None:
    klaviyo.misbehave(faults.limited(retry_after), kind="segments")
    error = refusal(klaviyo)
    assert error.code == "rate_limited"
    assert error.retry_after is not None
    assert error.retry_after == seconds or seconds is None
    if seconds == 600:
        assert "in 10 minutes" in error.message
    assert sum(request.kind == "segments" for request in klaviyo.requests) == 1


@pytest.mark.parametrize("retry_after", ["soon", "-5", "1.5", "", "Wed, 01 Jan 2020 00:00:00 GMT"])
def test_a_retry_after_that_says_nothing_is_taken_for_none(klaviyo: FakeKlaviyo, retry_after: str) -> None:
    klaviyo.add_many(1, 0)
    klaviyo.misbehave(faults.limited(retry_after), kind="segments", times=1)
    assert len(connect(klaviyo).everything().segments) == 1


# Answers that make no sense


@pytest.mark.parametrize(
    "fault",
    [
        faults.document([]),
        faults.document(None),
        faults.document({}),
        faults.document({"data": None}),
        faults.document({"data": {"id": "A"}}),
        faults.document("text"),
        faults.status(204),
        faults.status(404),
        faults.next_link(5),
        faults.next_link(["x"]),
        faults.next_link("/api/segments"),
        faults.next_link("http://[bad"),
        faults.next_link("http://127.0.0.1:port/"),
        faults.repeating,
        faults.leading_to(1),
        faults.leading_to(2),
    ],
)
def test_nonsense_is_refused(klaviyo: FakeKlaviyo, fault: faults.Fault) -> None:
    klaviyo.add_many(30, 0)
    klaviyo.misbehave(fault, kind="segments")
    error = refusal(klaviyo)
    assert error.code == "unexpected_answer"
    assert len(klaviyo.requests) < 20


def test_pages_without_end_are_given_up(klaviyo: FakeKlaviyo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_PAGES", 25)
    klaviyo.misbehave(faults.endless, kind="segments")
    assert refusal(klaviyo).code == "unexpected_answer"
    assert sum(request.kind == "segments" for request in klaviyo.requests) == 25


def test_a_page_that_answers_an_account_with_none_is_refused(klaviyo: FakeKlaviyo) -> None:
    klaviyo.misbehave(faults.document({"data": []}), kind="accounts")
    assert refusal(klaviyo).code == "unexpected_answer"


@pytest.mark.parametrize("how", [faults.other_host, faults.redirect])
def test_the_key_is_never_sent_to_another_host(klaviyo: FakeKlaviyo, how: Callable[[str], faults.Fault]) -> None:
    klaviyo.add_many(30, 30)
    with FakeKlaviyo(klaviyo.key).serving() as other:
        klaviyo.misbehave(how(other.url), kind="lists")
        assert refusal(klaviyo).code == "unexpected_answer"
        assert other.requests == []


# Faults that pass: everything, once


def test_faults_that_pass_end_with_everything_once(klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_many(60, 40)
    klaviyo.misbehave(faults.status(500), kind="segments", page=2, times=1)
    klaviyo.misbehave(faults.limited("0"), kind="segments", page=4, times=2)
    klaviyo.misbehave(faults.reset, kind="lists", page=1, times=1)
    klaviyo.misbehave(faults.cut, kind="lists", page=2, times=1)
    klaviyo.misbehave(faults.status(502), kind="accounts", times=2)
    klaviyo.misbehave(faults.status(400), kind="lists", page=4, times=1)  # the cursor has expired
    everything = connect(klaviyo).everything()
    assert ids(everything.segments) == sorted(klaviyo.objects["segments"])
    assert ids(everything.lists) == sorted(klaviyo.objects["lists"])


def test_a_cursor_that_always_expires_is_told(klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_many(30, 0)
    klaviyo.misbehave(faults.status(400), kind="segments", page=2)
    assert refusal(klaviyo).code == "cursor_refused"


def test_an_item_that_comes_twice_is_kept_once(klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_many(25, 0)
    klaviyo.odd["segments"] = [{"type": "segment", "id": "S00003", "attributes": {"name": "Again"}}]
    assert ids(connect(klaviyo).everything().segments) == sorted(klaviyo.objects["segments"])


def test_odd_items_are_handed_on_as_they_are(klaviyo: FakeKlaviyo) -> None:
    klaviyo.odd["lists"] = [None, 5, {"id": 7}, {"id": 7}]
    assert connect(klaviyo).everything().lists == [None, 5, {"id": 7}]


# The key


@pytest.mark.parametrize(
    "fault",
    [None, faults.status(401), faults.status(500), faults.hang, faults.html, faults.reset, faults.next_link(5)],
)
def test_the_key_is_in_no_log_repr_or_traceback(
    klaviyo: FakeKlaviyo,
    fault: faults.Fault | None,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    if fault:
        klaviyo.misbehave(fault, kind="lists")
    told = io.StringIO()
    talking = connect(klaviyo, timeout=0.3)
    try:
        talking.everything()
    except KlaviyoError as error:
        steps = traceback.TracebackException.from_exception(error, capture_locals=True)
        told.write("".join(steps.format()))
        chain: BaseException | None = error
        while chain:
            told.write(repr(chain) + str(chain) + repr(vars(chain)))
            assert chain.__context__ is None  # nothing of the request hangs on to it
            chain = chain.__cause__
    said = told.getvalue() + repr(talking) + caplog.text + "".join(capfd.readouterr())
    assert klaviyo.key not in said
    assert klaviyo.key[3:] not in said
