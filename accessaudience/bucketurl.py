"""The address of a bucket, taken apart: s3://key:secret@bucket/folder?endpoint=…&region=…&addressing=…

Goes in: the text of STORAGE_URL. Comes out: the options of accessaudience.objectstore, or ImproperlyConfigured with a
sentence that repeats nothing of the address, as a secret may stand anywhere in it. Must not know: boto3.
"""

import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

ADDRESSING = ("auto", "path", "virtual")
WRONG = (
    "STORAGE_URL must be like s3://key:secret@bucket?endpoint=https://s3.example.com&region=eu-central-1. Key and "
    "secret may be left to the AWS environment; a / in them is written %2F."
)


def bucket_options(address: str) -> dict[str, Any]:
    """Return the options of the bucket at `address`, none if that is empty."""
    if not address:
        return {}
    try:
        parts = urlsplit(address)
        _must(parts.scheme == "s3" and not parts.fragment)
        credentials, _, bucket = parts.netloc.rpartition("@")
        _must(re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket))
        folder = parts.path.strip("/")
        _must(all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name) for name in folder.split("/") if folder))
        return {"bucket_name": bucket, "location": folder, **_credentials(credentials), **_choices(parts.query)}
    except ValueError:
        raise ImproperlyConfigured(WRONG) from None


def bucket_in_use() -> str:
    """Return what people call the bucket that uploads are kept in, "" if they are kept in a folder."""
    storages: dict[str, Any] = settings.STORAGES
    options = storages["default"].get("OPTIONS", {})
    name = options.get("bucket_name")
    return f"the bucket {name} of {options['endpoint_url'] or 'Amazon S3'}" if name else ""


def _credentials(text: str) -> dict[str, Any]:
    if not text:
        return {}  # the AWS environment's
    key, _, secret = map(unquote, text.partition(":"))
    _must(key and secret)
    return {"access_key": key, "secret_key": secret, "security_token": None}


def _choices(query: str) -> dict[str, Any]:
    asked = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    given = dict(asked)
    _must(len(given) == len(asked))
    endpoint, region = given.pop("endpoint", ""), given.pop("region", "")
    addressing = given.pop("addressing", ADDRESSING[0])
    _must(not given and addressing in ADDRESSING and re.fullmatch(r"[a-z0-9-]*", region))
    if endpoint:
        server = urlsplit(endpoint)
        _must(server.scheme in ("http", "https") and server.hostname and not server.username and server.port != 0)
        _must(endpoint.rstrip("/") == f"{server.scheme}://{server.netloc}")
    return {"endpoint_url": endpoint.rstrip("/") or None, "region_name": region or None, "addressing": addressing}


def _must(condition: object) -> None:
    if not condition:
        raise ValueError
