"""The fake answers as Klaviyo's OpenAPI document says, so what passes against it is worth something.

The document is Klaviyo's, cut to accounts, lists and segments, and lies beside the checkout.
"""

import json
import re
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.klaviyo.fake import FakeKlaviyo

DOCUMENT = Path(__file__).parents[3] / "shared" / "klaviyo" / "openapi-lists-segments-accounts.json"
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    if not DOCUMENT.exists():
        pytest.skip(f"Klaviyo's OpenAPI document is not here: {DOCUMENT}")
    loaded: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return loaded


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "$") -> list[str]:
    """Return where `value` breaks `schema`: as much of OpenAPI 3.0 as this document uses."""
    if "$ref" in schema:
        found = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return [] if value is None and schema.get("nullable") else faults(value, found, root, at)
    if value is None:
        # Live answers carry links.next and links.prev as null (klaviyo-api-python issue 64).
        return [] if schema.get("nullable") or at.endswith((".links.next", ".links.prev")) else [f"{at} is null"]
    if "oneOf" in schema:
        fits = [one for one in schema["oneOf"] if not faults(value, one, root, at)]
        return [] if len(fits) == 1 else [f"{at} fits {len(fits)} of oneOf"]
    wrong = [each for part in schema.get("allOf", []) for each in faults(value, part, root, at)]
    expected = TYPES.get(schema.get("type", ""))
    if expected and (not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool)):
        return [*wrong, f"{at} is {type(value).__name__}, not {schema['type']}"]
    if "enum" in schema and value not in schema["enum"]:
        wrong.append(f"{at} is {value!r}")
    if schema.get("format") == "uri" and not re.match(r"https?://[^\s]+$", value):
        wrong.append(f"{at} is no address")
    if schema.get("format") == "date-time":
        datetime.fromisoformat(value)
    if isinstance(value, dict):
        wrong += [f"{at}.{name} is missing" for name in schema.get("required", []) if name not in value]
        for name, each in value.items():
            if name in schema.get("properties", {}):
                wrong += faults(each, schema["properties"][name], root, f"{at}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, each in enumerate(value):
            wrong += faults(each, schema["items"], root, f"{at}[{number}]")
    return wrong


def get(fake: FakeKlaviyo, path: str, **headers: str) -> tuple[int, Any, Any]:
    sent = {"Authorization": f"Klaviyo-API-Key {fake.key}", "revision": "2026-10-15", **headers}
    request = urllib.request.Request(f"{fake.url}{path}", headers={name: text for name, text in sent.items() if text})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer), answer.headers
    except HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


@pytest.mark.parametrize(
    "path",
    [
        "/api/accounts",
        "/api/accounts?fields[account]=contact_information.organization_name",
        "/api/lists",
        "/api/lists?fields[list]=name&page[size]=10&sort=id",
        "/api/segments",
        "/api/segments?fields[segment]=name,is_active,is_processing,is_starred&page[size]=10&sort=id",
    ],
)
def test_a_page_is_as_klaviyo_documents_it(klaviyo: FakeKlaviyo, openapi: dict[str, Any], path: str) -> None:
    klaviyo.add_many(23, 21)
    klaviyo.add_segment("None00", None)
    status, page, headers = get(klaviyo, path)
    operation = openapi["paths"][path.partition("?")[0]]["get"]
    schema = operation["responses"]["200"]["content"]["application/vnd.api+json"]["schema"]
    assert status == 200
    assert headers["Content-Type"] == "application/vnd.api+json"
    assert headers["RateLimit-Remaining"].isdigit()
    wrong = faults(page, schema, openapi)
    if "fields[" in path:  # asked for some attributes only, it need not have the others
        wrong = [each for each in wrong if not re.search(r"\.attributes.* is missing$", each)]
    assert wrong == []
    known = {parameter["name"] for parameter in operation["parameters"]}
    assert {part.partition("=")[0] for part in path.partition("?")[2].split("&") if part} <= known


@pytest.mark.parametrize(
    ("status", "scopes", "revision"), [(401, (), "x"), (403, ("lists:read",), "x"), (400, None, "")]
)
def test_a_refusal_is_as_klaviyo_documents_it(
    klaviyo: FakeKlaviyo, openapi: dict[str, Any], status: int, scopes: tuple[str, ...] | None, revision: str
) -> None:
    if scopes is not None:
        klaviyo.allow(*scopes)
    answered, document, _headers = get(klaviyo, "/api/segments", revision=revision)
    schema = openapi["components"]["responses"]["ClientError"]["content"]["application/vnd.api+json"]["schema"]
    assert answered == status
    assert faults(document, schema, openapi) == []


@pytest.mark.parametrize(
    "query", ["page[size]=11", "page[size]=0", "sort=size", "fields[list]=secret", "page[number]=2"]
)
def test_what_klaviyo_does_not_know_is_refused(klaviyo: FakeKlaviyo, query: str) -> None:
    assert get(klaviyo, f"/api/lists?{query}")[0] == 400


def test_a_page_has_ten_items_and_an_opaque_cursor_leads_on(klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_many(0, 21)
    page = get(klaviyo, "/api/lists")[1]
    pages = [page]
    while page["links"]["next"]:
        page = get(klaviyo, page["links"]["next"].removeprefix(klaviyo.url))[1]
        pages.append(page)
    assert [len(one["data"]) for one in pages] == [10, 10, 1]
    assert "page%5Bcursor%5D=2" not in pages[0]["links"]["next"]
