"""The API: what it answers to whom, its pages and ETags, and that it is as its document says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from accessaudience.wsgi import application
from channels.models import Channel
from people.models import ApiToken, Person
from segments import api as own
from segments import changes
from segments.models import ChangeSet, ChangeSetChannel, Source
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db

URL = "/api/v1/channels/email/segments"
DOCUMENT = "/api/v1/openapi.json"


@pytest.fixture
def text(viewer: Person) -> str:
    """The text of a token of a Viewer."""
    return ApiToken.objects.make(viewer, "Campaign builder")[1]


@pytest.fixture
def api(text: str) -> Client:
    """A program that has it."""
    return Client(headers={"Authorization": f"Bearer {text}"})


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [segment["name"] for segment in answer.json()["segments"]]


# ── who ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer aa_read_made-up", "Basic dTpw", "Token x", "é"])
def test_without_a_token_that_is_known_it_says_what_to_send(client: Client, text: str, header: str) -> None:
    answer = client.get(URL, headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthorized"
    assert "Authorization: Bearer" in answer.json()["message"]
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_session_opens_nothing_here(as_admin: Client) -> None:
    assert as_admin.get(URL).status_code == 401


def test_a_token_opens_no_page(api: Client) -> None:
    assert api.get("/channels/email/segments/").status_code == 302


def test_a_revoked_token_is_refused_at_once(api: Client) -> None:
    assert api.get(URL).status_code == 200
    ApiToken.objects.get().delete()
    assert api.get(URL).status_code == 401


def test_the_token_of_somebody_deactivated_is_refused_at_once(
    api: Client, viewer: Person, admin_person: Person
) -> None:
    assert api.get(URL).status_code == 200
    viewer.deactivate()
    assert api.get(URL).status_code == 401


def test_the_token_of_somebody_without_a_role_says_so(api: Client, viewer: Person) -> None:
    viewer.groups.clear()
    answer = api.get(URL)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("path", [URL, DOCUMENT])
def test_it_only_reads(api: Client, method: str, path: str) -> None:
    answer = getattr(api, method)(path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer["Allow"]


@pytest.mark.parametrize("path", ["/api/", "/api/v1/", "/api/v1/channels/", "/api/v2/channels/email/segments"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_address_that_is_none_is_told_in_json(api: Client, client: Client, method: str, path: str) -> None:
    for each in (api, client):
        answer = getattr(each, method)(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_what_went_wrong_here_is_told_in_json(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "page_of", lambda *_: 1 / 0)
    api.raise_request_exception = False
    answer = api.get(URL)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_server_error")
    assert "division" not in answer.content.decode()


def test_a_slash_at_the_end_is_the_same_address(api: Client) -> None:
    SegmentFactory(name="VIP")
    assert names(api.get(f"{URL}/")) == ["VIP"] == names(api.get(URL))


def test_who_asks_too_often_is_told_when_to_go_on_whatever_their_tokens(
    api: Client, viewer: Person, settings: Any
) -> None:
    settings.API_REQUESTS_A_MINUTE = 2
    other = Client(headers={"Authorization": f"Bearer {ApiToken.objects.make(viewer, 'Another')[1]}"})
    answers = [client.get(URL) for client in [api, other] * 3]  # in two minutes, should one end meanwhile
    assert answers[0].status_code == 200
    refused = next(answer for answer in answers if answer.status_code != 200)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert 0 < int(refused["Retry-After"]) <= 60


# ── what ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_segment_is_told_as_the_list_shows_it(api: Client) -> None:
    made = SegmentFactory(name="VIP", segment_id="v-1", link="https://example.com/v", source=Source.CSV)
    told = api.get(URL).json()
    assert told["channel"] == {"slug": "email", "name": "Email"}
    assert told["next_cursor"] is None
    [segment] = told["segments"]
    assert segment.pop("updated_at").startswith(made.updated_at.strftime("%Y-%m-%dT%H:%M:%S"))
    assert segment == {
        "id": made.pk,
        "name": "VIP",
        "segment_id": "v-1",
        "link": "https://example.com/v",
        "active": True,
        "source": "csv",
    }


def test_it_searches_and_filters_as_the_list_does(api: Client) -> None:
    SegmentFactory(name="VIP é club")
    SegmentFactory(name="Cart", segment_id="vip-1", active=False)
    SegmentFactory(name="100% wool")
    SegmentFactory(name="VIP texts", channel=Channel.objects.get(slug="sms"))
    assert names(api.get(URL, {"q": "VIP"})) == ["Cart", "VIP é club"]
    assert names(api.get(URL, {"q": "É CLUB"})) == names(api.get(URL, {"q": "club vip"})) == ["VIP é club"]
    assert names(api.get(URL, {"active": "false"})) == ["Cart"]
    assert names(api.get(URL, {"active": "true", "q": "%"})) == ["100% wool"]


def test_pages_of_a_hundred_give_each_segment_once(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own.PAGE == 100
    monkeypatch.setattr(own, "PAGE", 3)
    for number in range(8):
        SegmentFactory(name=f"s {number}")
    found, cursor = [], ""
    while cursor is not None:
        answer = api.get(URL, {"cursor": cursor})
        assert len(names(answer)) <= 3
        found += names(answer)
        cursor = answer.json()["next_cursor"]
    assert found == [f"s {number}" for number in range(8)]


@pytest.mark.parametrize(
    ("query", "field"),
    [({"active": "perhaps"}, "active"), ({"q": "x" * 256}, "q"), ({"q": "a\x00b"}, "q"), ({"cursor": "x"}, "")],
)
def test_what_is_not_understood_is_named(api: Client, query: dict[str, str], field: str) -> None:
    answer = api.get(URL, query)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid"
    assert [each["field"] for each in answer.json()["fields"]] == ([field] if field else [])


def test_a_channel_that_is_not_there_is_named(api: Client) -> None:
    answer = api.get("/api/v1/channels/fax/segments")
    assert (answer.status_code, answer.json()["message"]) == (404, "There is no channel “fax”.")


def test_hostile_text_stays_json(api: Client) -> None:
    SegmentFactory(name="</script><script>alert(1)</script>")
    answer = api.get(URL)
    assert answer["Content-Type"].startswith("application/json")
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_number_of_queries_does_not_grow_with_rows(api: Client) -> None:
    counts = []
    for more in (1, 30, 0):
        with CaptureQueriesContext(connection) as queries:
            api.get(URL, {"q": "s"})
        counts.append(len(queries))
        for number in range(more):
            SegmentFactory(name=f"s {more} {number}")
    assert counts[2] <= counts[1] <= 6  # the first also notes that the token is used


# ── again ─────────────────────────────────────────────────────────────────────────────────────────


def again(api: Client, answer: Any, query: dict[str, str] | None = None) -> int:
    status: int = api.get(URL, query or {}, headers={"If-None-Match": answer["ETag"]}).status_code
    return status


def test_what_has_not_changed_is_not_sent_again(api: Client, marketer: Person) -> None:
    segment = SegmentFactory(name="VIP")
    first = api.get(URL)
    assert {"private", "no-cache"} == {part.strip() for part in first["Cache-Control"].split(",")}
    assert "Authorization" in first["Vary"]
    assert again(api, first) == 304
    unchanged = api.get(URL, headers={"If-None-Match": first["ETag"]})
    assert unchanged.content == b""
    assert unchanged["ETag"] == first["ETag"]
    changes.set_active(segment, False, changes.By(marketer))
    assert again(api, first) == 200


def test_a_change_elsewhere_changes_nothing_here(api: Client) -> None:
    SegmentFactory(name="VIP")
    first = api.get(URL)
    SegmentFactory(name="Texts", channel=Channel.objects.get(slug="sms"))
    assert again(api, first) == 304


def test_another_question_or_name_of_the_channel_is_another_answer(api: Client) -> None:
    SegmentFactory(name="VIP")
    first = api.get(URL)
    assert again(api, first, {"q": "v"}) == 200
    assert again(api, first, {"active": "true"}) == 200
    Channel.objects.filter(slug="email").update(name="Mail")
    assert again(api, first) == 200


def test_a_number_that_a_restored_backup_gives_out_again_is_another_answer(api: Client) -> None:
    SegmentFactory(name="VIP")
    first = api.get(URL)
    of_channel = ChangeSetChannel.objects.filter(channel__slug="email").latest("id")
    ChangeSet.objects.filter(pk=of_channel.change_set_id).update(at=timezone.now())
    assert again(api, first) == 200


def test_an_etag_is_no_token(api: Client, client: Client) -> None:
    first = api.get(URL)
    assert client.get(URL, headers={"If-None-Match": first["ETag"]}).status_code == 401


# ── as the document says ──────────────────────────────────────────────────────────────────────────


def test_the_document_is_for_everybody_and_names_no_other_address(client: Client) -> None:
    told = client.get(DOCUMENT).json()
    assert list(told["paths"]) == ["/api/v1/channels/{slug}/segments"]
    assert told["openapi"].startswith("3.1")
    assert "http" not in json.dumps(told).replace('"http"', "")


@pytest.fixture
def one_connection() -> Iterator[None]:
    """Have requests use that of the test, in whose transaction everything is, and leave it open."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.usefixtures("one_connection")
@pytest.mark.parametrize("mode", GenerationMode)
def test_the_running_api_is_as_its_document_says(text: str, settings: Any, mode: GenerationMode) -> None:
    settings.API_REQUESTS_A_MINUTE = 1_000_000
    SegmentFactory(name="VIP é", segment_id="v-1")
    document = schemathesis.openapi.from_wsgi(DOCUMENT, application)
    for operation in document.get_all_operations():

        @given(case=operation.ok().as_strategy(generation_mode=mode))
        @examples(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        def is_as_it_says(case: Any) -> None:
            answer = case.call(headers={"Authorization": f"Bearer {text}"})
            # Not that whatever fits the document is taken: it cannot say which cursors are ours.
            case.validate_response(answer, excluded_checks=[positive_data_acceptance])

        is_as_it_says()
