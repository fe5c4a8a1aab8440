"""Second factors, lost passwords and sessions: what a person does with their own account."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from keys.models import AuditEntry
from tests.waiting import until

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_counters(db: None) -> None:
    cache.clear()


def code(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, list(yield_hotp_counters_from_time())[1])))


def enter(client: Client, name: str, password: str, target: str = "/") -> str:
    form = {"username": name, "password": password, "next": target}
    return client.post("/signin/", form).headers.get("Location", "")


def secret_in(page: str) -> str:
    found = re.search(r'<code id="secret">(\w+)</code>', page)
    assert found, page
    return found[1]


def with_factor(client: Client) -> str:
    """Alice signs in and switches a second factor on; its secret."""
    assert enter(client, "alice", "alice-password") == "/"
    asked = client.get("/account/authenticator/")
    assert asked["Location"] == "/account/confirm/?next=%2Faccount%2Fauthenticator%2F"
    assert client.post(asked["Location"], {"password": "alice-password"})["Location"] == "/account/authenticator/"
    page = client.get("/account/authenticator/").content.decode()
    secret = secret_in(page)
    done = client.post("/account/authenticator/", {"code": code(secret)})
    assert done["Location"] == "/account/recovery-codes/"
    return secret


def test_a_second_factor_is_asked_for_before_anything_is_seen(alice: User, client: Client) -> None:
    secret = with_factor(client)
    assert secret not in str(Authenticator.objects.get(type="totp").data)
    cache.clear()
    other = Client()
    assert enter(other, "alice", "alice-password", "/admin/") == "/account/login/code/"
    assert "_auth_user_id" not in other.session
    for page in ("/", "/admin/", "/account/", "/account/authenticator/remove/"):
        assert other.get(page).status_code == 302
    wrong = other.post("/account/login/code/", {"code": "000000"})
    assert wrong.status_code == 200
    assert other.get("/admin/").status_code == 302
    codes = re.findall(r"\b\d{8}\b", client.get("/account/recovery-codes/").content.decode())
    assert other.post("/account/login/code/", {"code": codes[0]})["Location"] == "/admin/"
    assert other.get("/admin/").status_code == 200
    third = Client()
    enter(third, "alice", "alice-password")
    assert third.post("/account/login/code/", {"code": codes[0]}).status_code == 200  # used up


def test_a_code_is_good_for_one_use(alice: User, client: Client) -> None:
    """Also when django-allauth has forgotten it, while the tolerance would still take it."""
    secret = with_factor(client)
    now = code(secret)
    first, second = Client(), Client()
    for visitor in (first, second):
        enter(visitor, "alice", "alice-password")
    assert first.post("/account/login/code/", {"code": now}).status_code == 302
    cache.delete(f"allauth.mfa.totp.used?user={alice.pk}&code={now}")
    assert second.post("/account/login/code/", {"code": f"{now[:3]} {now[3:]}"}).status_code == 200
    assert "_auth_user_id" not in second.session


def test_codes_cannot_be_guessed(alice: User, client: Client) -> None:
    """Five wrong ones of one person, wherever they come from; and they count with the tries at passwords."""
    secret = with_factor(client)
    visitor = Client()
    enter(visitor, "alice", "alice-password")
    for number in range(5):
        visitor.post("/account/login/code/", {"code": "000000"}, REMOTE_ADDR=f"192.0.2.{number}")
    refused = visitor.post("/account/login/code/", {"code": code(secret)}, REMOTE_ADDR="192.0.2.99")
    assert "Too many failed" in refused.content.decode()
    again = [visitor.post("/account/login/code/", {"code": "000000"}, REMOTE_ADDR="192.0.2.7") for _ in range(22)]
    assert [answer.status_code for answer in again] == [200] * 20 + [429] * 2
    assert 1 <= int(again[-1]["Retry-After"]) <= 60


def test_a_password_alone_makes_no_token_and_renews_none(alice: User, client: Client) -> None:
    body = {"username": "alice", "password": "alice-password"}
    former = Client().post("/api/auth/token/", body, "application/json").json()
    with_factor(client)
    asked = [
        Client().post("/api/auth/token/", body, "application/json"),
        Client().post("/api/auth/token/refresh/", {"refresh": former["refresh"]}, "application/json"),
    ]
    assert [answer.status_code for answer in asked] == [403, 403]
    assert all("second factor" in answer.json()["detail"] for answer in asked)
    wrong = Client().post("/api/auth/token/", {**body, "password": "wrong"}, "application/json")
    assert wrong.status_code == 401


def test_what_changes_in_an_account_is_in_the_audit(
    bob: User, client: Client, settings: Settings, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    settings.EMAIL_URL = "smtp://localhost"
    enter(client, "bob", "bob-password")
    confirm = client.get("/account/authenticator/")["Location"]
    client.post(confirm, {"password": "bob-password"})
    page = client.get("/account/authenticator/").content.decode()
    assert page.count("<svg") > page.count('<svg class="icon"')  # the square to scan
    changed = {"oldpassword": "bob-password", "password1": "Correct-Horse-7", "password2": "Correct-Horse-7"}
    deeds: tuple[tuple[str, dict[str, str]], ...] = (
        ("authenticator/", {"code": code(secret_in(page))}),
        ("recovery-codes/new/", {}),
        ("authenticator/remove/", {}),
        ("password/change/", changed),
    )
    for deed, form in deeds:
        with django_capture_on_commit_callbacks(execute=True):
            assert client.post(f"/account/{deed}", form).status_code == 302
    assert client.get("/account/").status_code == 200  # still signed in
    entries = AuditEntry.objects.order_by("id")
    assert [(entry.action, entry.detail.get("factor")) for entry in entries] == [
        ("factor.added", "totp"),
        ("factor.added", "recovery_codes"),
        ("factor.renewed", "recovery_codes"),
        ("factor.removed", "totp"),
        ("factor.removed", "recovery_codes"),
        ("person.password_changed", None),
    ]
    assert {(entry.actor, entry.target, entry.address) for entry in entries} == {("bob", "bob", "127.0.0.1")}
    until(lambda: len(mail.outbox) == 4, "a mail for each change")
    assert all(message.to == ["bob@example.com"] for message in mail.outbox)


def test_a_lost_password_is_mailed_where_mail_is_set_up(bob: User, client: Client, settings: Settings) -> None:
    for address, count in (("bob@example.com", 0), ("nobody@example.com", 0)):
        assert client.post("/account/password/", {"email": address})["Location"] == "/account/password/sent/"
        assert len(mail.outbox) == count
    cache.clear()
    settings.EMAIL_URL = "smtp://localhost"
    client.post("/account/password/", {"email": "nobody@example.com"})
    assert mail.outbox == []
    client.post("/account/password/", {"email": "bob@example.com"})
    until(lambda: mail.outbox, "the mail")
    assert mail.outbox[0].body.endswith("Persona at http://testserver/")
    link = re.search(r"http://testserver(/\S+)", str(mail.outbox[0].body))
    assert link
    form = client.get(link[1])["Location"]
    assert "set-password" in form
    new = {"password1": "Correct-Horse-7", "password2": "Correct-Horse-7"}
    assert client.post(form, new)["Location"] == "/account/password/done/"
    assert "_auth_user_id" not in client.session
    assert enter(client, "bob", "Correct-Horse-7") == "/"
    assert b"no longer works" in Client().get(link[1]).content


def test_sessions_are_seen_and_ended(bob: User, alice: User, client: Client) -> None:
    phone, tablet, hers = Client(headers={"user-agent": "An old phone"}), Client(), Client()
    for visitor in (client, phone, tablet):
        enter(visitor, "bob", "bob-password")
    enter(hers, "alice", "alice-password")
    assert "An old phone" in client.get("/account/sessions/").content.decode()
    foreign = UserSession.objects.get(user=alice).pk
    assert client.post("/account/sessions/", {"session": foreign}).status_code == 404
    named = UserSession.objects.get(user_agent="An old phone").pk
    client.post("/account/sessions/", {"session": named})
    assert [visitor.get("/account/").status_code for visitor in (client, phone, tablet)] == [200, 302, 200]
    client.post("/account/sessions/")
    assert [visitor.get("/account/").status_code for visitor in (client, tablet, hers)] == [200, 302, 200]
    assert list(AuditEntry.objects.values_list("action", "actor")) == [("person.sessions_ended", "bob")] * 2


@pytest.mark.parametrize("page", ["signup/", "email/", "login/email/", "social/"])
def test_pages_that_are_not_ours_do_not_exist(page: str, client: Client) -> None:
    assert client.get(f"/account/{page}").status_code == 404
