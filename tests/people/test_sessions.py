"""How long a session lasts, seeing where one is signed in, and ending sessions."""

import time

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client

from people.models import Person
from people.sessions import BEGAN, NOTE_EVERY, SEEN, device, is_phone

pytestmark = pytest.mark.django_db
HOUR, DAY = 3600, 24 * 3600
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) (KHTML, like Gecko) Chrome/140.0 Safari/537.36"


def aged(client: Client, **ages: int) -> None:
    """Let the clocks of the client's session read so many seconds ago."""
    session = client.session
    for name, age in ages.items():
        session[name] = int(time.time()) - age
    session.save()


def elsewhere(person: Person, agent: str = MAC) -> Client:
    client = Client(headers={"user-agent": agent})
    client.force_login(person)
    client.get("/accounts/")
    return client


def test_a_session_that_nobody_used_for_three_days_is_over(as_viewer: Client) -> None:
    aged(as_viewer, **{SEEN: 72 * HOUR - 5})
    assert as_viewer.get("/").status_code == 200
    aged(as_viewer, **{SEEN: 72 * HOUR})
    assert as_viewer.get("/").status_code == 302


def test_a_session_is_over_after_two_weeks_however_much_it_is_used(as_viewer: Client) -> None:
    aged(as_viewer, **{BEGAN: 14 * DAY - 5})
    assert as_viewer.get("/").status_code == 200
    aged(as_viewer, **{BEGAN: 14 * DAY})
    assert as_viewer.get("/").status_code == 302


def test_an_ended_session_leads_to_signing_in_and_back(as_viewer: Client) -> None:
    aged(as_viewer, **{BEGAN: 15 * DAY})
    assert as_viewer.get("/activity/")["Location"] == "/accounts/login/?next=/activity/"


def test_an_ended_session_is_gone_from_the_database(as_viewer: Client, viewer: Person) -> None:
    key = as_viewer.session.session_key
    aged(as_viewer, **{BEGAN: 15 * DAY})
    as_viewer.get("/")
    assert key
    assert not as_viewer.session.exists(key)


def test_signing_in_again_starts_the_clocks_anew(as_viewer: Client, viewer: Person) -> None:
    aged(as_viewer, **{BEGAN: 13 * DAY, SEEN: HOUR})
    as_viewer.force_login(viewer)
    assert time.time() - as_viewer.session[BEGAN] < HOUR


def test_a_session_from_before_there_were_limits_goes_on_and_gets_them(as_viewer: Client) -> None:
    session = as_viewer.session
    del session[BEGAN]
    session.save()
    assert as_viewer.get("/").status_code == 200
    assert BEGAN in as_viewer.session


def test_use_is_noted_now_and_then_not_at_each_request(as_viewer: Client) -> None:
    as_viewer.get("/accounts/password/")
    before = as_viewer.session[SEEN]
    as_viewer.get("/accounts/password/")
    assert as_viewer.session[SEEN] == before
    aged(as_viewer, **{SEEN: NOTE_EVERY})
    as_viewer.get("/accounts/password/")
    assert as_viewer.session[SEEN] >= before


def test_the_account_lists_where_one_is_signed_in_this_session_first(as_viewer: Client, viewer: Person) -> None:
    elsewhere(viewer)
    page = as_viewer.get("/accounts/")
    assert [name for _, name, _ in page.context["sessions"]] == ["A browser", "Chrome on macOS"]
    assert page.content.decode().count("This one") == 1


def test_one_session_is_signed_out_and_only_that(as_viewer: Client, viewer: Person) -> None:
    other = elsewhere(viewer)
    third = elsewhere(viewer, "Firefox/140.0")
    session = UserSession.objects.get(user_agent=MAC)
    as_viewer.post(f"/accounts/sessions/{session.pk}/end/")
    assert [client.get("/").status_code for client in (as_viewer, other, third)] == [200, 302, 200]


def test_sessions_of_others_are_not_there(as_viewer: Client, marketer: Person) -> None:
    other = elsewhere(marketer)
    session = UserSession.objects.get(user=marketer)
    assert as_viewer.post(f"/accounts/sessions/{session.pk}/end/").status_code == 404
    assert other.get("/").status_code == 200


def test_signing_out_everywhere_else_keeps_this_session(as_viewer: Client, viewer: Person) -> None:
    others = [elsewhere(viewer) for _ in range(3)]
    as_viewer.post("/accounts/sessions/end-others/")
    assert as_viewer.get("/").status_code == 200
    assert {client.get("/").status_code for client in others} == {302}
    assert len(as_viewer.get("/accounts/").context["sessions"]) == 1


@pytest.mark.parametrize(
    ("agent", "words", "phone"),
    [
        (MAC, "Chrome on macOS", False),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) Version/19.0 Mobile/15E148 Safari/604.1", "Safari on iPhone", True),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux", False),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android", True),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows", False),
        ("curl/8", "A browser", False),
        ("", "A browser", False),
    ],
)
def test_a_device_is_named_by_browser_and_system(agent: str, words: str, phone: bool) -> None:
    assert (device(agent), is_phone(agent)) == (words, phone)
