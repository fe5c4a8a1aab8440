"""Who sees a page about a project: its members and superusers. For everybody else it does not exist."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from keys.models import Member, Project

PAGES = ["/projects/{}/", "/projects/{}/live/", "/projects/{}/live/rows?after_event=0&after_change=0"]


@pytest.mark.parametrize("page", PAGES)
def test_charlie_gets_the_answer_of_a_missing_project(page: str, shop: Project, as_charlie: Client) -> None:
    hidden, missing = as_charlie.get(page.format(shop.slug)), as_charlie.get(page.format("no-such"))
    assert hidden.status_code == missing.status_code == 404
    assert hidden.content == missing.content
    assert b"Alice" not in hidden.content


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("role", Member.Role.values)
def test_every_role_may_look(page: str, role: str, shop: Project, bob: User, as_bob: Client) -> None:
    Member.objects.filter(user=bob).update(role=role)
    assert as_bob.get(page.format(shop.slug), follow=True).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_a_superuser_may_look_at_all(page: str, other_project: Project, as_alice: Client) -> None:
    assert as_alice.get(page.format(other_project.slug), follow=True).status_code == 200


@pytest.mark.parametrize("page", [*PAGES, "/"])
def test_a_stranger_is_asked_to_sign_in(page: str, shop: Project, client: Client) -> None:
    answer = client.get(page.format(shop.slug))
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/signin/")


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_only_read(page: str, shop: Project, as_bob: Client) -> None:
    assert as_bob.post(page.format(shop.slug)).status_code == 405


def test_a_member_who_is_no_operator_signs_in_and_out(shop: Project, bob: User, client: Client) -> None:
    entered = client.post("/signin/", {"username": "bob", "password": "bob-password", "next": "/projects/shop/live/"})
    assert entered["Location"] == "/projects/shop/live/"
    assert client.post("/signout/")["Location"] == "/signin/"
    assert client.get("/").status_code == 302


def test_a_wrong_password_is_said_without_saying_which_half(shop: Project, client: Client) -> None:
    answer = client.post("/signin/", {"username": "bob", "password": "wrong"})
    assert "do not match" in answer.content.decode()


def test_signing_in_never_leads_to_another_host(shop: Project, bob: User, client: Client) -> None:
    form = {"username": "bob", "password": "bob-password", "next": "https://elsewhere.example/"}
    assert client.post("/signin/", form)["Location"] == "/"


@pytest.mark.parametrize("address", ["/", "/projects/shop/live/", "/signin/", "/no-such", "/admin/", "/health"])
def test_every_page_has_the_policy_and_obeys_it(address: str, shop: Project, as_alice: Client) -> None:
    answer = as_alice.get(address)
    assert answer["Content-Security-Policy"].startswith("default-src 'self'; ")
    text = answer.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)
