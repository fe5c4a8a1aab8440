"""One way in for pages and admin, with so many tries a minute."""

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_counters(db: None) -> None:
    cache.clear()


def attempt(client: Client, name: str, password: str, address: str = "192.0.2.1") -> int:
    form = {"username": name, "password": password}
    return client.post("/signin/", form, REMOTE_ADDR=address).status_code


def test_the_right_password_leads_in(client: Client, alice: User) -> None:
    assert attempt(client, "alice", "alice-password") == 302
    assert client.get("/admin/").status_code == 200


def test_a_name_can_be_tried_ten_times_a_minute_wherever_from(client: Client, alice: User) -> None:
    answers = [attempt(client, "alice", "wrong", f"192.0.2.{number}") for number in range(12)]
    assert answers == [200] * 10 + [429] * 2
    refused = client.post("/signin/", {"username": "alice", "password": "alice-password"}, REMOTE_ADDR="192.0.2.99")
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 60


def test_an_address_can_try_twenty_times_a_minute_whatever_name(client: Client, bob: User) -> None:
    answers = [attempt(client, f"name-{number}", "wrong") for number in range(22)]
    assert answers == [200] * 20 + [429] * 2
    assert attempt(client, "bob", "bob-password", "192.0.2.2") == 302


def test_the_admin_has_no_form_of_its_own(client: Client, charlie: User) -> None:
    assert client.get("/admin/login/?next=/admin/keys/")["Location"] == "/signin/?next=%2Fadmin%2Fkeys%2F"
    posted = client.post("/admin/login/", {"username": "charlie", "password": "charlie-password"})
    assert posted.status_code == 302
    assert "_auth_user_id" not in client.session
    client.force_login(charlie)
    assert client.get("/admin/", follow=True).status_code == 403
