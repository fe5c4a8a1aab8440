"""People of a project: invited by a link that works once, with a role that holds, and never without an owner."""

import html
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from keys.models import AuditEntry, Invitation, Member, Project
from tests.pages import rows

pytestmark = pytest.mark.django_db

OWNERS = [
    "/projects/{}/people/invite/",
    "/projects/{}/people/invitations/{invitation}/withdraw/",
    "/projects/{}/people/{member}/",
    "/projects/{}/people/{member}/remove/",
    "/projects/{}/settings/",
    "/projects/{}/audit/",
]


@pytest.fixture(autouse=True)
def fresh_counters(db: None) -> None:
    cache.clear()


def link_in(answer: Any) -> str:
    found = re.search(r'<code id="secret">http://testserver(.+?)</code>', answer.content.decode())
    assert found, answer.content.decode()
    return html.unescape(found[1])


def invited(owner: Client, role: str = "viewer", email: str = "") -> str:
    return link_in(owner.post("/projects/shop/people/invite/", {"role": role, "email": email}))


def join(visitor: Client, form: dict[str, str] | None = None) -> Any:
    """Presses the button of the invitation that the page shows."""
    found = re.search(r'name="invitation" value="(\d+)"', visitor.get("/invitation/").content.decode())
    assert found
    return visitor.post("/invitation/", {**(form or {}), "invitation": found[1]})


def role_of(user: User) -> str | None:
    return Member.objects.filter(user=user, project__slug="shop").values_list("role", flat=True).first()


def member_pk(user: User) -> int:
    return Member.objects.get(user=user, project__slug="shop").pk


def test_a_link_makes_a_member_once(project: Project, as_alice: Client, as_charlie: Client, charlie: User) -> None:
    link = invited(as_alice, "editor")
    page = as_charlie.get(link, follow=True)
    assert page.redirect_chain == [("/invitation/", 302)]  # the token has left the address bar
    assert "Join Alice&#x27;s shop" in page.content.decode()
    assert role_of(charlie) is None  # opening it does nothing yet
    assert join(as_charlie)["Location"] == "/projects/shop/"
    assert role_of(charlie) == "editor"
    assert Client().get(link, follow=True).status_code == 404
    joined = AuditEntry.objects.get(action="member.joined")
    assert (joined.actor, joined.address, joined.detail["invited_by"]) == ("charlie", "127.0.0.1", "alice")
    assert link.split("/")[-2] not in "".join(str(entry.detail) for entry in AuditEntry.objects.all())


def test_who_has_no_account_makes_one(project: Project, as_alice: Client, client: Client) -> None:
    client.get(invited(as_alice, "viewer", "dora@example.com"))
    form = {"username": "dora", "email": "dora@example.com", "password1": "x", "password2": "x"}
    assert join(client, form).status_code == 422
    good = {**form, "password1": "Correct-Horse-7", "password2": "Correct-Horse-7"}
    assert join(client, good)["Location"] == "/projects/shop/"
    dora = User.objects.get(username="dora")
    assert role_of(dora) == "viewer"
    assert not dora.is_staff
    assert client.get("/projects/shop/people/").status_code == 200


def test_an_invitation_waits_for_who_signs_in_first(
    project: Project, as_alice: Client, client: Client, charlie: User
) -> None:
    client.get(invited(as_alice))
    form = {"username": "charlie", "password": "charlie-password", "next": "/invitation/"}
    assert client.post("/signin/", form)["Location"] == "/invitation/"
    join(client)
    assert role_of(charlie) == "viewer"


def test_another_link_does_not_take_the_place_of_the_one_shown(
    project: Project, other_project: Project, as_alice: Client, as_charlie: Client, bob: User, client: Client
) -> None:
    client.get(invited(as_alice, "editor"))
    shown = Invitation.objects.get().pk
    client.get(link_in(as_charlie.post("/projects/elsewhere/people/invite/", {"role": "owner", "email": ""})))
    client.force_login(bob)
    assert client.post("/invitation/", {"invitation": shown}).status_code == 422
    assert not Member.objects.filter(user=bob, project=other_project).exists()


def test_who_stops_being_an_owner_leaves_no_way_back(
    project: Project, as_alice: Client, as_bob: Client, bob: User, client: Client
) -> None:
    as_alice.post(f"/projects/shop/people/{member_pk(bob)}/", {"role": "owner"})
    hidden, kept = invited(as_bob, "owner"), invited(as_alice, "viewer")
    as_alice.post(f"/projects/shop/people/{member_pk(bob)}/remove/")
    assert client.get(hidden, follow=True).status_code == 404
    assert client.get(kept, follow=True).status_code == 200
    assert AuditEntry.objects.get(action="member.removed").detail == {"role": "owner", "invitations_withdrawn": 1}


def test_a_link_ends_after_a_week(project: Project, as_alice: Client, client: Client) -> None:
    link = invited(as_alice)
    rows.run("update keys_invitation set expires_at = now() - interval '1 second'")
    assert client.get(link, follow=True).status_code == 404
    assert "Open invitations" not in as_alice.get("/projects/shop/people/").content.decode()


def test_an_invitation_is_withdrawn(project: Project, as_alice: Client, client: Client) -> None:
    link = invited(as_alice, email="dora@example.com")
    assert "dora@example.com" in as_alice.get("/projects/shop/people/").content.decode()
    as_alice.post(f"/projects/shop/people/invitations/{Invitation.objects.get().pk}/withdraw/")
    assert client.get(link, follow=True).status_code == 404


def test_an_invitation_never_takes_a_role_away(project: Project, as_alice: Client, alice: User) -> None:
    as_alice.get(invited(as_alice, "viewer"))
    join(as_alice)
    assert role_of(alice) == "owner"


def test_it_is_sent_where_mail_is_set_up(project: Project, as_alice: Client, settings: Settings) -> None:
    invited(as_alice, email="dora@example.com")
    assert mail.outbox == []
    settings.EMAIL_URL = "smtp://localhost"
    Project.objects.filter(pk=project.pk).update(name="Shop\nBcc: everybody@example.com")
    link = invited(as_alice, email="dora@example.com")
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["dora@example.com"], "Invitation to Shop Bcc: everybody@example.com")
    assert link in sent.body


def test_the_last_owner_cannot_go(project: Project, as_alice: Client, alice: User, bob: User) -> None:
    for page, form in (("", {"role": "viewer"}), ("remove/", {})):
        answer = as_alice.post(f"/projects/shop/people/{member_pk(alice)}/{page}", form)
        assert answer.status_code == 422
        assert "is the only owner" in answer.content.decode()
    as_alice.post(f"/projects/shop/people/{member_pk(bob)}/", {"role": "owner"})
    as_alice.post(f"/projects/shop/people/{member_pk(alice)}/remove/")
    assert (role_of(alice), role_of(bob)) == (None, "owner")
    assert list(AuditEntry.objects.order_by("id").values_list("action", "target")) == [
        ("member.changed", "bob"),
        ("member.removed", "alice"),
    ]


def test_who_is_removed_sees_nothing(project: Project, as_alice: Client, as_bob: Client, bob: User) -> None:
    assert as_bob.get("/projects/shop/people/").status_code == 200
    as_alice.post(f"/projects/shop/people/{member_pk(bob)}/remove/")
    assert as_bob.get("/projects/shop/people/").status_code == 404


@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_only_owners_manage_people_and_settings(role: str, project: Project, as_alice: Client, bob: User) -> None:
    invited(as_alice)
    Member.objects.filter(user=bob).update(role=role)
    as_bob = Client()
    as_bob.force_login(bob)
    for page in OWNERS:
        address = page.format("shop", member=member_pk(bob), invitation=Invitation.objects.get().pk)
        assert as_bob.get(address).status_code == as_bob.post(address, {"role": "owner"}).status_code == 403
    seen = as_bob.get("/projects/shop/people/").content.decode()
    assert "alice" in seen
    assert "alice@example.com" not in seen
    assert role_of(bob) == role


@pytest.mark.parametrize("method", ["get", "post"])
def test_for_charlie_there_is_nothing(method: str, project: Project, as_alice: Client, as_charlie: Client) -> None:
    invited(as_alice)
    names = {"member": Member.objects.all()[0].pk, "invitation": Invitation.objects.get().pk}
    ask = getattr(as_charlie, method)
    for page in OWNERS:
        hidden, missing = ask(page.format("shop", **names)), ask(page.format("no-such", **names))
        assert hidden.status_code == missing.status_code == 404
        assert hidden.content == missing.content
    assert as_charlie.get("/projects/shop/people/").status_code == 404


def test_people_of_another_project_are_not_found(
    project: Project, other_project: Project, as_alice: Client, as_charlie: Client, bob: User
) -> None:
    invited(as_alice)
    for page in OWNERS[1:4]:
        address = page.format("elsewhere", member=member_pk(bob), invitation=Invitation.objects.get().pk)
        assert as_charlie.post(address, {"role": "owner"}).status_code == 404
    assert role_of(bob) == "editor"


def test_deeds_are_paced(project: Project, as_alice: Client) -> None:
    answers = [as_alice.post("/projects/shop/people/invite/", {"role": "x"}).status_code for _ in range(32)]
    assert answers == [422] * 30 + [429] * 2
