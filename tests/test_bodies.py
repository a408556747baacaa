"""How large a request may be: refused by the size it names, before anything of it is read."""

from io import BytesIO
from typing import Any

import pytest
from django.test import Client

from accessaudience import bodies, receiving

pytestmark = pytest.mark.django_db

MIB = 1024 * 1024


class Untouched(BytesIO):
    """A body that must not be read."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Fail."""
        raise AssertionError("the body is read")

    readline = read


def send(client: Client, path: str, length: int | str, body: BytesIO | None = None) -> Any:
    kind = "multipart/form-data; boundary=here"
    given = {"CONTENT_LENGTH": str(length), "wsgi.input": body or Untouched(), "CONTENT_TYPE": kind}
    return client.generic("POST", path, **given)


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/password/reset/", "/accounts/invitation/"])
def test_a_form_of_a_stranger_beyond_its_limit_is_refused_unread(client: Client, path: str) -> None:
    answer = send(client, path, MIB + 1)
    assert answer.status_code == 413
    assert "<h1>This is too large</h1>" in answer.content.decode()


@pytest.mark.parametrize("path", ["/accounts/login/", "/admin/login/", "/people/"])
def test_a_stranger_sends_no_more_than_the_web_server_takes_in_by_itself(client: Client, path: str) -> None:
    assert bodies.STRANGERS_MOST == receiving.BODY_KEPT
    answer = send(client, path, receiving.BODY_KEPT + 1)
    assert answer.status_code == 413
    assert "<h1>This is too large</h1>" in answer.content.decode()


def test_a_form_of_somebody_beyond_its_limit_is_refused_unread(as_admin: Client) -> None:
    for path in ("/channels/email/segments/add/", "/people/", "/admin/channels/channel/add/"):
        assert send(as_admin, path, MIB + 1).status_code == 413


def test_a_file_far_beyond_its_limit_is_refused_unread(as_marketer: Client, settings: Any) -> None:
    answer = send(as_marketer, "/data/upload/", 4 * settings.IMPORT_MAX_BYTES + 2 * MIB)
    assert answer.status_code == 413
    assert "<h1>This file is too large</h1>" in answer.content.decode()


def test_a_file_of_who_may_not_send_one_is_not_read(client: Client, as_viewer: Client, settings: Any) -> None:
    size = settings.IMPORT_MAX_BYTES
    assert send(client, "/data/upload/", size).status_code == 302
    assert send(as_viewer, "/data/upload/", size).status_code == 403


def test_a_length_that_is_no_number_is_none(client: Client) -> None:
    assert send(client, "/accounts/login/", "many", BytesIO()).status_code == 200


def test_a_file_that_breaks_off_is_not_kept_and_its_sender_told(as_marketer: Client, settings: Any) -> None:
    class BreaksOff(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            """Give what there is, then fail as a connection does."""
            data = super().read(size)
            if not data:
                raise ConnectionResetError
            return data

    begun = (
        b'--here\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nSegment name\r\n'
        + b"VIP\r\n" * 50_000
    )
    answer = send(as_marketer, "/data/upload/", MIB, BreaksOff(begun))
    assert answer.status_code == 408
    assert "This file came in too slowly" in answer.content.decode()
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []
