"""The storage of files in a bucket: what is read and asked for, and its errors in the words of a disk."""

import io
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as of_project
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from accessaudience import objectstore
from accessaudience.bucketurl import bucket_options
from accessaudience.errors import FileStoreError
from tests.conftest import use_storage
from tests.store import Bucket

CONTENT = random.Random(7).randbytes(20 * 1024 * 1024 + 17)  # noqa: S311  # no secret


@pytest.fixture
def large(bucket: Bucket) -> str:
    """The name of a file of 20 MiB."""
    return default_storage.save("imports/a/upload-1", ContentFile(CONTENT))


def ranges(bucket: Bucket, name: str) -> list[tuple[int, int]]:
    """Return which ranges of a file were asked for."""
    key = f"/{bucket.name}/audience/{name}"
    asked = [span.removeprefix("bytes=").split("-") for _, path, span in bucket.store.asked if path == key and span]
    return [(int(first), int(last)) for first, last in asked]


def test_reading_on_asks_for_more_each_time_but_never_for_much(bucket: Bucket, large: str) -> None:
    with default_storage.open(large) as file:
        found = b"".join(iter(lambda: file.read(64 * 1024), b""))
    assert found == CONTENT
    sizes = [last - first + 1 for first, last in ranges(bucket, large)]
    assert sizes[0] == objectstore.LEAST
    assert max(sizes) == objectstore.MOST
    assert len(sizes) < 15


def test_a_place_in_the_middle_costs_no_more_than_what_is_read_there(bucket: Bucket, large: str) -> None:
    with default_storage.open(large) as file:
        assert file.seek(-20, io.SEEK_END) == len(CONTENT) - 20
        assert file.read() == CONTENT[-20:]
        file.seek(9_000_001)
        assert file.read(10) == CONTENT[9_000_001:9_000_011]
        assert file.size == len(CONTENT)
    assert [last - first + 1 for first, last in ranges(bucket, large)] == [objectstore.LEAST] * 3


def test_an_empty_file_is_read_as_one(bucket: Bucket) -> None:
    with default_storage.open(default_storage.save("empty", ContentFile(b""))) as file:
        assert file.read() == b""


def test_a_file_that_is_replaced_while_it_is_read_is_not_mixed_with_the_other(bucket: Bucket, large: str) -> None:
    with default_storage.open(large) as file:
        default_storage.save(large, ContentFile(CONTENT[::-1]))
        file.seek(9_000_001)
        with pytest.raises(FileStoreError):
            file.read(10)


def test_what_is_not_there_is_not_found_and_deleting_it_is_no_error(bucket: Bucket) -> None:
    for ask in (default_storage.open, default_storage.size, default_storage.get_modified_time):
        with pytest.raises(FileNotFoundError):
            ask("imports/none/upload")
    assert not default_storage.exists("imports/none/upload")
    assert default_storage.listdir("imports/none") == ([], [])
    default_storage.delete("imports/none/upload")


def test_no_file_has_an_address(bucket: Bucket) -> None:
    with pytest.raises(ValueError, match="no address"):
        default_storage.url("imports/a/upload-1")


def test_every_fault_of_the_store_is_an_error_of_files(bucket: Bucket) -> None:
    asked: list[Any] = [
        lambda: default_storage.open("a"),
        lambda: default_storage.save("a", ContentFile(b"x")),
        lambda: default_storage.listdir(""),
        lambda: default_storage.delete("a"),
        lambda: default_storage.exists("a"),
        lambda: default_storage.size("a"),
        lambda: default_storage.get_modified_time("a"),
    ]
    for ask in asked:
        with bucket.store.away(), pytest.raises(FileStoreError, match="does not answer"):
            ask()
        refusing = bucket.store.refusing("403 Forbidden", "AccessDenied", ("GET", "HEAD", "PUT", "DELETE"))
        with refusing, pytest.raises(FileStoreError, match="refuses our credentials"):
            ask()


def test_a_bucket_that_is_missing_is_no_missing_file(bucket: Bucket, settings: Any) -> None:
    use_storage(settings, bucket.url_with("no-such-bucket"))
    for ask in (lambda: default_storage.open("a"), lambda: default_storage.save("a", ContentFile(b"x"))):
        with pytest.raises(FileStoreError, match="no bucket no-such-bucket"):
            ask()


def test_without_credentials_it_says_where_they_go(
    bucket: Bucket, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nowhere")
    use_storage(settings, f"s3://{bucket.name}?endpoint={bucket.store.address}&region=us-east-1")
    with pytest.raises(FileStoreError, match="no credentials"):
        default_storage.open("a")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    use_storage(settings, f"s3://{bucket.name}?endpoint={bucket.store.address}&region=us-east-1")
    assert default_storage.listdir("") == ([], [])


def test_the_address_says_bucket_folder_key_secret_endpoint_and_region() -> None:
    options = bucket_options(
        "s3://k%2F1:s%2B%2F2@uploads/audience/a?endpoint=https://s3.example.com/&region=eu-central-1"
    )
    assert options == {
        "bucket_name": "uploads",
        "location": "audience/a",
        "access_key": "k/1",
        "secret_key": "s+/2",
        "security_token": None,  # not that of other credentials in the environment
        "endpoint_url": "https://s3.example.com",
        "region_name": "eu-central-1",
        "addressing": "auto",
    }
    assert "access_key" not in bucket_options("s3://uploads")
    assert bucket_options("") == {}


@pytest.mark.parametrize(
    "address",
    [
        "uploads",
        "https://s3.example.com/uploads",
        "s3://",
        "s3://Up_loads",
        "s3://hush@uploads",
        "s3://key:@uploads",
        "s3://key:hu/sh@uploads",
        "s3://key:hu#sh@uploads",
        "s3://uploads/../other",
        "s3://uploads?endpoint=s3.example.com",
        "s3://uploads?endpoint=https://key:hush@s3.example.com",
        "s3://uploads?endpoint=https://s3.example.com/path",
        "s3://uploads?region=EU!",
        "s3://uploads?endpont=https://s3.example.com",
        "s3://uploads?region=a&region=b",
        "s3://uploads?addressing=other",
        "s3://uploads?hush",
        "s3://[uploads",
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_without_being_repeated(address: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^STORAGE_URL must be like s3://key:secret@bucket") as refused:
        bucket_options(address)
    assert "hu" not in str(refused.value)


@pytest.mark.parametrize(("url", "loaded"), [("", False), ("s3://uploads", True)])
def test_boto3_is_loaded_only_where_it_is_needed(tmp_path: Path, url: str, loaded: bool) -> None:
    code = "import sys; from django.core.files.storage import default_storage as d; d.deconstruct"
    code += " if hasattr(d, 'deconstruct') else 0; print('boto3' in sys.modules, 'botocore' in sys.modules)"
    given = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "STORAGE_URL": url}
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    done = subprocess.run(command, cwd=of_project.BASE_DIR, env=given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(loaded)] * 2
