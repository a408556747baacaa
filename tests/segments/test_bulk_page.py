"""The bar above the list: what it asks, what it does at once, what it leaves to a worker."""

import re
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from channels.models import Channel
from jobs.models import Status
from jobs.worker import Worker
from people.models import Person
from segments.bulk import acting, outlook
from segments.models import BulkJob, ChangeSet, Segment, Source
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db

URL = "/channels/email/segments/bulk/"
LIST = "/channels/email/segments/"


@pytest.fixture
def email() -> Channel:
    return Channel.objects.get(slug="email")


@pytest.fixture
def segments(email: Channel) -> list[Segment]:
    return [SegmentFactory(name=f"VIP {n}", active=n < 3) for n in range(5)] + [SegmentFactory(name="Lapsed")]


def send(client: Client, do: str, segments: list[Segment] | None = None, **data: object) -> HttpResponse:
    fields = {"do": do, "ids": [segment.pk for segment in segments or []], "form_token": uuid4(), **data}
    return client.post(URL, fields)  # type: ignore[return-value]


def messages(response: HttpResponse) -> list[str]:
    return [str(message) for message in response.wsgi_request._messages]  # type: ignore[attr-defined]


def test_rows_that_were_ticked_are_switched_at_once(as_marketer: Client, segments: list[Segment]) -> None:
    response = send(as_marketer, "deactivate", segments[:4], next=f"{LIST}?q=vip")
    assert response.status_code == 302
    assert response["Location"] == f"{LIST}?q=vip"
    assert messages(response) == ["Deactivated 3 segments."]
    assert Segment.objects.filter(active=True).count() == 1


def test_htmx_closes_the_panel_and_loads_the_list_again(as_marketer: Client, segments: list[Segment]) -> None:
    fields = {"do": "activate", "ids": [segments[3].pk], "form_token": uuid4()}
    response = as_marketer.post(URL, fields, headers={"HX-Request": "true"})
    assert response.status_code == 204
    assert "segmentsChanged" in response["HX-Trigger"]


def test_all_that_match_are_asked_about_first(as_marketer: Client, segments: list[Segment]) -> None:
    response = send(as_marketer, "deactivate", segments[:1], all="1", q="vip")
    html = response.content.decode()
    assert response.status_code == 200
    assert "Deactivate 3 segments in Email?" in html
    assert "5 are selected; 2 of them are inactive already" in html
    changing = [segment.name for segment in segments if segment.active and "vip" in segment.name.lower()]
    assert re.findall(r"<li><bdi>(.*?)</bdi></li>", html) == sorted(changing)
    assert "more</li>" not in html
    assert not ChangeSet.objects.filter(kind="bulk").exists()
    send(as_marketer, "deactivate", [], all="1", q="vip", sure="1")
    assert list(Segment.objects.filter(active=True).values_list("name", flat=True)) == ["Lapsed"]


def test_where_nothing_would_change_there_is_nothing_to_confirm(as_marketer: Client, segments: list[Segment]) -> None:
    Segment.objects.update(active=False)
    html = send(as_marketer, "deactivate", [], all="1", q="vip").content.decode()
    assert "Nothing to deactivate in Email" in html
    assert "5 are selected; 5 of them are inactive already." in html
    assert ">Deactivate 0 segments</button>" not in html


def test_a_filter_that_is_not_understood_chooses_nothing(as_marketer: Client, segments: list[Segment]) -> None:
    response = send(as_marketer, "delete", [], all="1", source="nowhere", sure="1")
    assert messages(response) == ["Search again, then select them all."]
    assert Segment.objects.count() == 6


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"do": "delete"}, "Select at least one segment first."),
        ({"do": "delete", "ids": ["1", "x"]}, "Select the segments in the list again."),
        ({"do": "delete", "ids": ["9" * 30]}, "Select the segments in the list again."),
        ({"do": "delete", "ids": [str(n) for n in range(101)]}, "Select one page at most."),
        ({"ids": ["1"]}, "Choose what to do with them."),
    ],
)
def test_what_was_sent_wrong_is_said(as_marketer: Client, segments: list[Segment], data: dict, words: str) -> None:
    response = as_marketer.post(URL, {"sure": "1", **data})
    assert response.status_code == 302
    assert messages(response)[0].startswith(words)
    assert Segment.objects.count() == 6


def test_deleting_is_asked_about_with_names(as_marketer: Client, segments: list[Segment]) -> None:
    Segment.objects.filter(pk=segments[0].pk).update(klaviyo_id="k", klaviyo_account=1, segment_id="k")
    html = send(as_marketer, "delete", segments[:2]).content.decode()
    assert "Delete 2 segments from Email?" in html
    assert "VIP 0" in html
    assert "1 of them comes from Klaviyo." in html
    assert Segment.objects.count() == 6
    response = send(as_marketer, "delete", segments[:2], sure="1")
    assert messages(response) == ["Deleted 2 segments."]
    assert Segment.objects.count() == 4


def test_adding_says_for_each_channel_what_it_would_do(as_marketer: Client, segments: list[Segment]) -> None:
    sms, meta = Channel.objects.get(slug="sms"), Channel.objects.get(slug="meta")
    SegmentFactory(channel=sms, name="vip 1")
    SegmentFactory(channel=meta, name="VIP 0")
    SegmentFactory(channel=meta, name="VIP 1")
    html = send(as_marketer, "add", segments[:2]).content.decode()
    assert "Add 2 segments to another channel" in html
    assert "1 new, 1 is already there and will be skipped" in html
    assert "All of them are already there" in html
    refused = send(as_marketer, "add", segments[:2], sure="1")
    assert refused.status_code == 422
    assert "Choose at least one channel." in refused.content.decode()
    done = send(as_marketer, "add", segments[:2], sure="1", channels=[sms.pk])
    assert messages(done) == ["Added 1 segment to SMS."]


@pytest.mark.parametrize("number", ["9" * 25, "-1", "0", "x", "\0"])
def test_a_channel_that_is_not_there_is_refused(as_marketer: Client, segments: list[Segment], number: str) -> None:
    refused = send(as_marketer, "add", segments[:1], sure="1", channels=[number])
    assert refused.status_code == 422


def test_what_is_there_already_is_named_and_linked(as_marketer: Client) -> None:
    sms, meta = Channel.objects.get(slug="sms"), Channel.objects.get(slug="meta")
    by_name = SegmentFactory(channel=sms, name="vip", segment_id="v-1")
    by_id = SegmentFactory(channel=meta, name="<b>Best</b>", segment_id="v-1")
    chosen = [SegmentFactory(name="VIP"), SegmentFactory(name="Lapsed", segment_id="v-1")]
    [of_sms] = messages(send(as_marketer, "add", chosen[:1], sure="1", channels=[sms.pk]))
    assert of_sms == f'Already in SMS: <a href="{by_name.get_absolute_url()}"><bdi>vip</bdi></a>.'
    of_both = messages(send(as_marketer, "add", chosen[1:], sure="1", channels=[sms.pk, meta.pk]))[-1]
    link = f'<a href="{by_id.get_absolute_url()}"><bdi>&lt;b&gt;Best&lt;/b&gt;</bdi></a>'
    assert of_both == f"{of_sms} Already in Meta: {link}."
    assert of_both in as_marketer.get(LIST).content.decode()


def test_of_many_that_are_there_a_few_are_named(as_marketer: Client, segments: list[Segment]) -> None:
    sms = Channel.objects.get(slug="sms")
    for _ in range(2):
        response = send(as_marketer, "add", [], all="1", q="vip", sure="1", channels=[sms.pk])
    said = messages(response)[-1]
    assert said.startswith("Already in SMS: ")
    assert [f"<bdi>VIP {number}</bdi>" in said for number in range(5)] == [True, True, True, False, False]
    assert said.endswith(" and 2 more.")


def test_a_name_that_several_have_there_is_not_added_and_leads_to_them(as_marketer: Client) -> None:
    sms = Channel.objects.get(slug="sms")
    for number in range(2):
        SegmentFactory(channel=sms, name="VIP & co", segment_id=f"v-{number}")
    response = send(as_marketer, "add", [SegmentFactory(name="vip & co")], sure="1", channels=[sms.pk])
    link = '<a href="/channels/sms/segments/?q=vip+%26+co"><bdi>vip &amp; co</bdi></a>'
    assert messages(response) == [
        f"Not added to SMS: several segments there are named {link}. A Segment ID would say which one is meant."
    ]


def test_a_form_sent_twice_acts_once(as_marketer: Client, segments: list[Segment]) -> None:
    token = uuid4()
    for _ in range(2):
        response = send(as_marketer, "delete", segments[:1], sure="1", form_token=token)
        assert response.status_code == 302
    assert ChangeSet.objects.filter(kind="bulk").count() == 1


def test_a_segment_of_another_channel_is_not_touched(as_marketer: Client, segments: list[Segment]) -> None:
    elsewhere = SegmentFactory(channel=Channel.objects.get(slug="sms"))
    send(as_marketer, "delete", [elsewhere], sure="1")
    assert Segment.objects.filter(pk=elsewhere.pk).exists()


def test_export_of_ticked_rows_holds_them_alone(as_viewer: Client, segments: list[Segment]) -> None:
    response = as_viewer.get(f"{LIST}export/", {"ids": [segments[0].pk, segments[5].pk], "q": ""})
    text = b"".join(response.streaming_content).decode()  # type: ignore[arg-type]
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == ["Lapsed", "VIP 0"]
    everything = as_viewer.get(f"{LIST}export/", {"ids": [segments[0].pk], "all": "1", "q": "vip"})
    assert len(b"".join(everything.streaming_content).splitlines()) == 6  # type: ignore[arg-type]
    assert as_viewer.get(f"{LIST}export/", {"ids": "x"}).status_code == 400


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acting, "IN_REQUEST", 2)


def test_very_many_are_done_by_a_worker_and_sent_twice_by_one_job(
    as_marketer: Client, segments: list[Segment], large: None
) -> None:
    token = uuid4()
    for _ in range(2):
        response = send(as_marketer, "deactivate", [], all="1", q="vip", sure="1", form_token=token)
    job = BulkJob.objects.get()
    assert response["Location"] == f"{URL}{job.pk}/"
    assert job.chosen == {"q": "vip", "status": "", "source": "", "only": ""}
    assert "This waits for the worker." in as_marketer.get(f"{URL}{job.pk}/").content.decode()
    assert Segment.objects.filter(active=True).count() == 4


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("do", ["deactivate", "delete", "add"])
def test_a_worker_does_it_and_its_page_says_so(
    as_marketer: Client, segments: list[Segment], large: None, do: str
) -> None:
    sms = Channel.objects.get(slug="sms")
    response = send(as_marketer, do, [], all="1", q="vip", sure="1", channels=[sms.pk])
    Worker("bulk").work(drain=True)
    page = as_marketer.get(response["Location"]).content.decode()
    words = {
        "deactivate": "Deactivated 3 segments.",
        "delete": "Deleted 5 segments.",
        "add": "Added 5 segments to SMS.",
    }
    assert words[do] in page
    assert "hx-trigger" not in page[page.index('id="bulk-job"') :]
    change_set = BulkJob.objects.get().change_set
    assert change_set
    assert f"/activity/{change_set.pk}/undo/" in page


@pytest.mark.django_db(transaction=True)
def test_a_job_that_finds_nothing_to_do_says_so(as_marketer: Client, segments: list[Segment], large: None) -> None:
    response = send(as_marketer, "activate", [], all="1", q="vip", sure="1")
    Segment.objects.update(active=True)
    Worker("bulk").work(drain=True)
    assert "they are all active already" in as_marketer.get(response["Location"]).content.decode()


def test_more_than_were_told_of_are_asked_about_again(as_marketer: Client, segments: list[Segment]) -> None:
    SegmentFactory(name="VIP of an import")
    sms = Channel.objects.get(slug="sms")
    for do, told, found in (("delete", 5, 6), ("deactivate", 3, 4), ("add", 5, 6)):
        response = send(as_marketer, do, [], all="1", q="vip", sure="1", told=told, channels=[sms.pk])
        assert response.status_code == 422
        html = response.content.decode()
        assert f"{found} segments match by now, not {told}. Nothing was changed." in html
        assert f'name="told" value="{found}"' in html
    assert not ChangeSet.objects.filter(kind="bulk").exists()
    assert send(as_marketer, "delete", [], all="1", q="vip", sure="1", told=7).status_code == 302
    assert [segment.name for segment in Segment.objects.all()] == ["Lapsed"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("do", ["deactivate", "delete", "add"])
def test_a_job_changes_nothing_where_more_match_by_now(
    as_marketer: Client, segments: list[Segment], large: None, do: str
) -> None:
    sms = Channel.objects.get(slug="sms")
    told = 3 if do == "deactivate" else 5
    response = send(as_marketer, do, [], all="1", q="vip", sure="1", told=told, channels=[sms.pk])
    SegmentFactory(name="VIP of an import")
    Worker("bulk").work(drain=True)
    assert f"{told + 1} segments match by now, not {told}." in as_marketer.get(response["Location"]).content.decode()
    assert not ChangeSet.objects.filter(kind="bulk").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("chosen", [{"q": "", "status": "gone-from-klaviyo"}, {"q": "", "tag": "vip"}])
def test_a_job_chosen_by_a_filter_that_there_is_no_more_changes_nothing(
    as_marketer: Client, segments: list[Segment], email: Channel, marketer: Person, chosen: dict[str, str]
) -> None:
    job = BulkJob.objects.create(channel=email, action="delete", chosen=chosen, user=marketer)
    Worker("bulk").work(drain=True)
    page = as_marketer.get(f"{URL}{job.pk}/").content.decode()
    assert "chosen by a filter that there is no more" in page
    assert Segment.objects.count() == 6


@pytest.mark.django_db(transaction=True)
def test_a_job_that_waits_can_be_cancelled(as_marketer: Client, segments: list[Segment], large: None) -> None:
    page = send(as_marketer, "delete", [], all="1", q="vip", sure="1")["Location"]
    assert f'action="{page}cancel/"' in as_marketer.get(page).content.decode()
    assert as_marketer.post(f"{page}cancel/").status_code == 302
    assert "Cancelled before anything was written." in as_marketer.get(page).content.decode()
    Worker("bulk").work(drain=True)
    assert Segment.objects.count() == 6
    BulkJob.objects.update(status=Status.DONE)
    assert "too late to cancel" in messages(as_marketer.post(f"{page}cancel/"))[-1]


def test_what_is_gone_meanwhile_is_said(as_marketer: Client, segments: list[Segment]) -> None:
    Segment.objects.filter(pk=segments[0].pk).delete()
    assert "they are gone" in messages(send(as_marketer, "deactivate", segments[:1]))[0]


def test_those_that_the_next_sync_adds_again_are_told(as_marketer: Client) -> None:
    of_klaviyo = {"klaviyo_kind": "list", "source": Source.KLAVIYO}
    comes_back = SegmentFactory(name="VIP", segment_id="a", klaviyo_id="a", **of_klaviyo)
    gone = SegmentFactory(name="Gone", segment_id="b", klaviyo_id="b", missing_since=timezone.now(), **of_klaviyo)
    one, one_of = "It comes from Klaviyo.", "1 of them comes from Klaviyo."
    for chosen, said in (([comes_back], one), ([gone], ""), ([comes_back, gone], one_of)):
        html = send(as_marketer, "delete", chosen).content.decode()
        assert [words for words in (one, one_of) if words in html] == ([said] if said else [])
    assert one in as_marketer.get(f"{LIST}{comes_back.pk}/delete/").content.decode()
    assert one not in as_marketer.get(f"{LIST}{gone.pk}/delete/").content.decode()


def test_only_channels_that_got_some_are_named(as_marketer: Client, segments: list[Segment]) -> None:
    sms, meta = (Channel.objects.get(slug=slug) for slug in ("sms", "meta"))
    SegmentFactory(channel=meta, name="Lapsed")
    response = send(as_marketer, "add", segments[-1:], sure="1", channels=[sms.pk, meta.pk])
    assert messages(response) == ["Added 1 segment to SMS."]


@pytest.mark.parametrize("number", [1, 2])
def test_what_cannot_be_added_as_several_have_its_name_is_not_called_there(as_marketer: Client, number: int) -> None:
    chosen = [SegmentFactory(name=name) for name in ("VIP", "Lapsed")[:number]]
    for segment_id in "ab":
        SegmentFactory(channel=Channel.objects.get(slug="sms"), name="VIP", segment_id=segment_id)
    html = send(as_marketer, "add", chosen).content.decode()
    said = "Several segments there have its name", "1 new, 1 cannot be added, as several there have the name"
    assert said[number - 1] in html


def test_of_very_many_it_is_not_compared_what_is_there(
    as_marketer: Client, segments: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlook, "COMPARED", 4)
    html = send(as_marketer, "add", [], all="1", q="vip").content.decode()
    assert html.count("Up to 5 new segments") == 2


def test_the_question_leads_back_to_pages_of_ours_alone(as_marketer: Client, segments: list[Segment]) -> None:
    html = send(as_marketer, "delete", segments[:1], next="https://evil.example/").content.decode()
    assert "evil.example" not in html


def test_nothing_secret_gets_into_an_address(as_marketer: Client, segments: list[Segment]) -> None:
    html = as_marketer.get(LIST).content.decode()
    for form in re.findall(r"<form.*?</form>", html, re.DOTALL):
        if "csrfmiddlewaretoken" in form:
            assert 'method="post"' in form
            assert 'formmethod="get"' not in form
    response = as_marketer.post(f"{LIST}export/", {"ids": [segments[0].pk]})
    assert len(b"".join(response.streaming_content).splitlines()) == 2  # type: ignore[arg-type]


def test_a_viewer_can_tick_and_export_and_nothing_else(as_viewer: Client, segments: list[Segment]) -> None:
    html = as_viewer.get(LIST).content.decode()
    assert 'name="ids"' in html
    assert 'name="do"' not in html
