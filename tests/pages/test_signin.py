"""One way in for pages and admin, with so many tries a minute."""

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
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


def test_the_admin_lets_out_and_leads_to_one_form_for_passwords(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get("/admin/password_change/")["Location"] == "/account/password/change/"
    assert client.post("/admin/logout/").status_code == 200
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "http:///evil.example", "http://localhost/"]
)
def test_nobody_is_led_away(target: str, client: Client, alice: User) -> None:
    """Neither by the form, nor by confirming, nor by signing out; other hosts of this server are elsewhere too."""
    form = {"username": "alice", "password": "alice-password", "next": target}
    assert client.post("/signin/", form)["Location"] == "/"
    confirmed = client.post("/account/confirm/", {"password": "alice-password", "next": target})
    assert confirmed["Location"] == "/"
    assert client.post("/signout/", {"next": target})["Location"] == "/signin/"
    assert "evil" not in client.get("/admin/login/", {"next": target}, follow=True).redirect_chain[-1][0].split("?")[0]


def test_a_name_is_one_name_however_it_is_written(client: Client, alice: User) -> None:
    """Blanks around it and letters of another width are taken as the same name by the form."""
    written = ["alice", " alice", "alice  ", "\u2003alice", "\uff41lice", "a\uff4cice", "al\uff49ce"] * 2
    answers = [attempt(client, name, "wrong", f"192.0.2.{number}") for number, name in enumerate(written)]
    assert answers == [200] * 10 + [429] * 4
    token = {"username": "alice ", "password": "alice-password"}
    assert client.post("/api/auth/token/", token, "application/json", REMOTE_ADDR="192.0.2.99").status_code == 429


def test_a_session_from_before_is_none_afterwards(client: Client, alice: User) -> None:
    client.get("/account/login/passkey/", headers={"accept": "application/json"})
    before = client.session.session_key
    assert attempt(client, "alice", "alice-password") == 302
    assert client.session.session_key != before
    assert not Session.objects.filter(session_key=before).exists()
