"""Files in a bucket of an S3-compatible store, kept as those in a folder are: private, and read from any place.

Goes in: the options that STORAGE_URL says. Comes out: a storage of Django's, whose errors are OSErrors, as those of a
disk are: FileNotFoundError for a file that is not there, FileStoreError for whatever else. Imported only where
STORAGE_URL is set, as boto3 is large. Must not know: what is in the files.

What is read is asked for in ranges, so that the top of a large file, or a page of a plan, costs no more than itself,
nothing is written to a disk, and memory stays flat. Every file is written once, under a name of its own: so none is
overwritten, and nobody needs to ask first whether a name is free.
"""

import io
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

import boto3.exceptions
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)
from django.core.files.base import File
from storages.backends.s3 import S3Storage

from accessaudience.errors import FileStoreError

ATTEMPTS = 3
CONNECT_SECONDS, SILENCE_SECONDS = 3, 10  # of each attempt
LEAST, MOST = 64 * 1024, 4 * 1024 * 1024  # bytes asked for at once: twice as many each time, while reading goes on
PART = 8 * 1024 * 1024  # bytes that a large file goes up in

NO_SUCH_FILE = ("NoSuchKey", "404", "NotFound")
BUCKET_MISSING = ("NoSuchBucket",)
REFUSED = (
    "403",
    "AccessDenied",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "Forbidden",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
)


class Bucket(S3Storage):  # type: ignore[misc]  # django-storages has no types
    """The bucket that STORAGE_URL names. Its files have no address: they are handed out by the application alone."""

    def __init__(self, *, addressing: str = "auto", **options: Any) -> None:
        options["client_config"] = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=SILENCE_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            s3={"addressing_style": addressing},
            # Not every store knows the check sums that Amazon's own asks for.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        # One part after the other: more at once would be held in memory.
        options["transfer_config"] = TransferConfig(
            use_threads=False, multipart_threshold=PART, multipart_chunksize=PART
        )
        options["object_parameters"] = {"ContentType": "application/octet-stream"}
        super().__init__(file_overwrite=True, default_acl=None, **options)
        self._making = threading.Lock()
        self._made: Any = None

    @property
    def connection(self) -> Any:
        """What talks to the store: one for all threads, as each takes some megabytes."""
        with self._making:
            if self._made is None:
                self._made = self._create_session().resource(
                    "s3",
                    region_name=self.region_name,
                    endpoint_url=self.endpoint_url,
                    config=self.client_config,
                    verify=self.verify,
                )
        return self._made

    def url(self, name: str | None, *args: Any, **options: Any) -> str:
        """Refuse: who may have a file is for a page to decide."""
        raise ValueError("A stored file has no address.")

    def exists(self, name: str) -> bool:
        """Return whether there is such a file; a folder is none."""
        with self._as_oserror(name):
            return bool(super().exists(name))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the folders and the files in a folder; none where there is no such folder."""
        with self._as_oserror(path):
            folders, files = super().listdir(path)
        return folders, files

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        with self._as_oserror(name):
            return int(super().size(name))

    def get_modified_time(self, name: str) -> datetime:
        """Return when a file was stored."""
        with self._as_oserror(name):
            modified: datetime = super().get_modified_time(name)
        return modified

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        with self._as_oserror(name):
            super().delete(name)

    def _save(self, name: str, content: "File[bytes]") -> str:
        try:
            with self._as_oserror(name):
                return str(super()._save(name, content))
        except FileNotFoundError as error:  # of what is written none can be missing, nor any folder
            raise FileStoreError(
                "it answers that there is nothing at its address",
                "Look at the endpoint in STORAGE_URL: it must be that of an S3-compatible store.",
            ) from error

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":
        if mode != "rb":
            raise ValueError("A stored file is written as a whole, and read as bytes.")
        return File(io.BufferedReader(StoredObject(self, name), LEAST), name)

    def get_range(self, name: str, start: int, length: int, etag: str) -> tuple[bytes, int, str]:
        """Return up to `length` bytes of a file from `start` on, its size and its ETag.

        With `etag` it must be the file that has it.
        """
        asked = {"Bucket": self.bucket_name, "Key": self._normalize_name(name)}
        asked["Range"] = f"bytes={start}-{start + length - 1}"
        if etag:
            asked["IfMatch"] = etag
        with self._as_oserror(name):
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    return self._ask(asked)
                except (HTTPClientError, IncompleteReadError):  # in the middle of an answer, which boto does not repeat
                    if attempt == ATTEMPTS:
                        raise
        raise AssertionError  # the loop returns or raises

    def _ask(self, asked: dict[str, str]) -> tuple[bytes, int, str]:
        try:
            answer = self.connection.meta.client.get_object(**asked)
        except ClientError as error:
            if error.response["Error"].get("Code") == "InvalidRange":  # an empty file has none
                return b"", 0, ""
            raise
        with closing(answer["Body"]) as body:
            if "ContentRange" not in answer:
                raise FileStoreError("it sends whole files where a part is asked for", "Use another store.")
            return body.read(), int(answer["ContentRange"].rpartition("/")[2]), answer["ETag"]

    @contextmanager
    def _as_oserror(self, name: str) -> Iterator[None]:
        """Raise what goes wrong as a disk would."""
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in NO_SUCH_FILE:
                raise FileNotFoundError(2, "There is no such file in the store", name) from error
            raise self._refused(code) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise FileStoreError(
                "there are no credentials for it",
                "Write key and secret into STORAGE_URL, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            ) from error
        except (BotoCoreError, boto3.exceptions.Boto3Error) as error:
            where = self.endpoint_url or "Amazon S3"
            raise FileStoreError(
                f"it does not answer ({type(error).__name__})",
                f"Start it, and look at the endpoint in STORAGE_URL and at the network between here and {where}.",
            ) from error

    def _refused(self, code: str) -> FileStoreError:
        """Return what the store's own refusal means."""
        if code in BUCKET_MISSING:
            return FileStoreError(
                f"it has no bucket {self.bucket_name}",
                "Create the bucket, closed to the public; or look at the bucket in STORAGE_URL.",
            )
        if code in REFUSED:
            return FileStoreError(
                f"it refuses our credentials ({code})",
                "Look at key and secret in STORAGE_URL, or in the AWS environment. They must be allowed to list the "
                "bucket, and to read, write and delete what is in it.",
            )
        return FileStoreError(f"it refused ({code or 'it did not say why'})", "Look at the log of the store.")


class StoredObject(io.RawIOBase):
    """A file in a bucket, read in ranges: small ones where reading jumps, larger ones while it goes on.

    Raises FileNotFoundError at once if it is not there.
    """

    def __init__(self, bucket: Bucket, name: str) -> None:
        super().__init__()
        self._bucket, self._name = bucket, name
        self._at = self._start = 0
        self._ahead = LEAST
        self._bytes, self._size, self._etag = bucket.get_range(name, 0, LEAST, "")

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be read from any place."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place, without asking for anything yet."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer` as far as there is something at hand, or asked for now; return with how many bytes."""
        if self._at >= self._size:
            return 0
        end = self._start + len(self._bytes)
        if not self._start <= self._at < end:
            self._ahead = min(self._ahead * 2, MOST) if self._at == end else LEAST
            self._bytes = b""  # never two at once
            self._bytes, _, _ = self._bucket.get_range(self._name, self._at, self._ahead, self._etag)
            self._start = self._at
        first = self._at - self._start
        part = self._bytes[first : first + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        """Let go of what was read."""
        self._bytes = b""
        super().close()
