"""API tokens on one's own account, in a browser: made, copied, used, revoked."""

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from tests.e2e.test_axe import reported

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/api/v1/channels/email/segments"


def test_a_token_is_made_copied_used_and_revoked(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/accounts/")
    page.get_by_label("Name of the program").fill("Campaign builder")
    page.get_by_role("button", name="Make a token").click()
    expect(page.get_by_text("Copy this token now.")).to_be_visible()
    assert not list(reported(page))
    page.get_by_role("button", name="Copy token").click()
    text = page.evaluate("navigator.clipboard.readText()")
    program = Client(headers={"Authorization": f"Bearer {text}"})
    assert program.get(LIST).status_code == 200
    page.goto("/accounts/")
    expect(page.get_by_text("Copy this token now.")).to_be_hidden()
    page.get_by_role("link", name="Revoke Campaign builder").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.locator("#toasts")).to_contain_text("The token “Campaign builder” is revoked.")
    assert program.get(LIST).status_code == 401


def test_a_name_that_is_taken_is_said_beside_it(plain_page: Page) -> None:
    for _ in range(2):
        plain_page.goto("/accounts/")
        plain_page.get_by_label("Name of the program").fill("Builder")
        plain_page.get_by_role("button", name="Make a token").click()
    expect(plain_page.get_by_role("alert")).to_have_text("You have a token of that name. Use another name.")
