"""What an operator does for somebody who cannot get in: a link for a new password, a lost factor taken off; audited."""

import re
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from keys.models import AuditEntry

pytestmark = pytest.mark.django_db
ADMIN = "/admin/auth/user/"


@pytest.fixture(autouse=True)
def fresh_counters(db: None) -> None:
    cache.clear()


@pytest.fixture
def operator(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def by_command(name: str, *words: str) -> str:
    out = StringIO()
    call_command(name, *words, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def by_admin(operator: Client, action: str, *persons: User, **form: str) -> str:
    picked = {"action": action, "_selected_action": [str(one.pk) for one in persons], **form}
    return operator.post(ADMIN, picked, follow=True).content.decode()


def set_password(link: str, password: str) -> Any:
    """As the person who was handed the link."""
    visitor = Client()
    opened = visitor.get(link)
    if opened.status_code != 302:
        return opened
    return visitor.post(opened["Location"], {"password1": password, "password2": password})


def signs_in(name: str, password: str) -> str:
    return Client().post("/signin/", {"username": name, "password": password}).headers.get("Location", "")


def with_factor(person: User) -> None:
    TOTP.activate(person, generate_totp_secret())
    RecoveryCodes.activate(person)


@pytest.mark.parametrize("way", ["command", "admin"])
def test_a_link_sets_a_password_once(way: str, operator: Client, bob: User) -> None:
    with_factor(bob)
    if way == "command":
        link = by_command("reset_link", "bob", "--url", "https://persona.example/")
        path = link.removeprefix("https://persona.example")
    else:
        assert "whoever has it" in by_admin(operator, "reset_link", bob)  # asks first
        found = re.search(r"http://testserver(/[^<\s]+)", by_admin(operator, "reset_link", bob, confirm="yes"))
        assert found
        path = found[1]
    assert set_password(path, "Correct-Horse-7")["Location"] == "/account/password/done/"
    assert signs_in("bob", "bob-password") == ""
    assert signs_in("bob", "Correct-Horse-7") == "/account/login/code/"  # the second factor stays
    assert b"no longer works" in set_password(path, "Correct-Horse-8").content
    made, used = AuditEntry.objects.order_by("id")
    assert (made.action, made.target) == ("person.reset_link_made", "bob")
    assert (made.actor, made.address) == (("manage.py", None) if way == "command" else ("alice", "127.0.0.1"))
    assert (used.action, used.actor) == ("person.password_reset", "bob")
    key = path.split("-", 1)[1].strip("/")
    assert key not in str(list(AuditEntry.objects.values()))


def test_a_link_is_of_the_public_address_and_dies_with_a_sign_in(bob: User, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://persona.example"
    link = by_command("reset_link", "bob")
    assert link.startswith("https://persona.example/account/password/")
    assert signs_in("bob", "bob-password") == "/"
    assert b"no longer works" in set_password(link.removeprefix(settings.PUBLIC_URL), "Correct-Horse-7").content


@pytest.mark.parametrize("way", ["command", "admin"])
def test_a_lost_factor_is_taken_off_and_sessions_end(way: str, operator: Client, bob: User) -> None:
    phone = Client()
    phone.post("/signin/", {"username": "bob", "password": "bob-password"})
    with_factor(bob)
    if way == "command":
        by_command("remove_factors", "bob")
    else:
        assert "there were 1" in by_admin(operator, "remove_factors", bob, confirm="yes")
    assert not Authenticator.objects.filter(user=bob).exists()
    assert phone.get("/account/").status_code == 302
    assert signs_in("bob", "bob-password") == "/"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.detail) == ("factor.removed", "bob", {"factors": ["totp"]})


def test_one_person_at_a_time(operator: Client, alice: User, bob: User) -> None:
    with_factor(bob)
    assert "select 1 at most" in by_admin(operator, "remove_factors", alice, bob, confirm="yes")
    assert Authenticator.objects.filter(user=bob).exists()


def test_who_is_not_there_or_switched_off_gets_no_link(bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)
    for name, why in (("bob", "may not sign in"), ("nobody", "There is nobody")):
        with pytest.raises(CommandError, match=why):
            by_command("reset_link", name)


def test_accounts_are_changed_with_an_audit_and_by_superusers_alone(operator: Client, bob: User) -> None:
    form = {
        "username": "dora",
        "usable_password": "true",
        "password1": "Correct-Horse-7",
        "password2": "Correct-Horse-7",
    }
    operator.post(f"{ADMIN}add/", form)
    dora = User.objects.get(username="dora")
    changed = {"username": "dora", "email": "dora@example.com", "is_active": "on", "is_staff": "on"}
    dates = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    assert operator.post(f"{ADMIN}{dora.pk}/change/", {**changed, **dates}).status_code == 302
    password = {"usable_password": "true", "password1": "Correct-Horse-8", "password2": "Correct-Horse-8"}
    assert operator.post(f"{ADMIN}{dora.pk}/password/", {**password, "set-password": "x"}).status_code == 302
    visitor = Client()
    visitor.force_login(User.objects.get(pk=dora.pk))
    assert visitor.get(ADMIN).status_code == 403  # of the staff, and no superuser
    assert visitor.post(f"{ADMIN}{dora.pk}/password/", password).status_code == 403
    operator.post(f"{ADMIN}{dora.pk}/delete/", {"post": "yes"})
    entries = list(AuditEntry.objects.order_by("id").values_list("action", "target", "actor"))
    assert entries == [(f"person.{deed}", "dora", "alice") for deed in ("added", "changed", "changed", "deleted")]
    assert "Staff status" in str(AuditEntry.objects.filter(action="person.changed").earliest("id").detail)


def test_the_operator_ends_a_session(operator: Client, bob: User) -> None:
    phone = Client()
    phone.post("/signin/", {"username": "bob", "password": "bob-password"})
    row = re.search(
        r"/admin/usersessions/usersession/(\d+)/change/",
        operator.get("/admin/usersessions/usersession/").content.decode(),
    )
    assert row
    operator.post(f"/admin/usersessions/usersession/{row[1]}/delete/", {"post": "yes"})
    assert phone.get("/account/").status_code == 302
    assert AuditEntry.objects.get().action == "person.sessions_ended"
