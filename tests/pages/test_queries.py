"""No page asks more of the database because there is more to show: not one query a row."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from delivery.models import Attempt, Destination
from delivery.services import create_destination
from ingestion.models import Alias, Batch, DeadLetter
from keys.audit import record
from keys.models import ApiKey, Invitation, Member, Project
from keys.people.invitations import invite
from keys.services import issue_key
from segments.models import Membership, PersonaVersion
from tests.browser.shop import addresses
from tests.pages import rows

pytestmark = pytest.mark.django_db

FEW, MANY = 2, 7  # more than twice FEW: one a row is more than what may come besides


@pytest.fixture(autouse=True)
def fresh_counters(db: None) -> None:
    cache.clear()


def grow(project: Project, owner: User, numbers: Iterable[int]) -> None:
    """One of everything for each number."""
    for n in numbers:
        person = User.objects.create_user(f"person-{n}")
        Member.objects.create(project=project, user=person, role=Member.Role.VIEWER)
        invite(project=project, role="viewer", email=f"{n}@example.com", actor=owner)
        record(project=project, actor=person, action="key.issued", target=str(n))
        issue_key(project=project, kind="pk", name=f"Key {n}", actor=person)
        moved(project, n)
        failed(project, n)
        told(project, owner, n)


def moved(project: Project, n: int) -> None:
    """Somebody did something and entered a persona of two versions."""
    profile, persona = rows.make_profile(project, f"u_{n}"), rows.make_persona(project, f"p{n}")
    Alias.objects.create(project=project, kind="user", external_id=f"user-{n}", profile_id=profile.pk)
    PersonaVersion.objects.create(persona=persona, version=n + 2, rule=persona.rule, author="somebody")
    for other in project.personas.all():
        given = {"shard": 0, "is_member": True, "since": rows.now(), "revision": 1}
        Membership.objects.create(project=project, profile_id=profile.pk, persona_id=other.pk, **given)
    rows.store(project, profile, uid=n.to_bytes(16), name="product_viewed", props={})
    rows.apply(project, rows.as_applied(n.to_bytes(16).hex(), profile=profile.public_id))
    rows.change(persona, profile, trigger=n.to_bytes(16))


def failed(project: Project, n: int) -> None:
    """A dead letter, and a batch that was set aside."""
    given: dict[str, Any] = {"project": project, "dialect": "pipeline", "body": b"{}", "received_at": rows.now()}
    DeadLetter.objects.create(
        batch_id=f"b_{n}", index=0, code="event.field_missing", detail="x", at=rows.now(), **given
    )
    Batch.objects.create(batch_id=f"b_{n}", n=1, parked=True, error="x", **given)


def told(project: Project, owner: User, n: int) -> None:
    """A destination of its own, and one more delivery of the first."""
    create_destination(project=project, kind="webhook", name=f"hook {n}", url="https://x.example/", actor=owner)
    first = Destination.objects.filter(project=project).order_by("id")[0]
    tries = [{"at": rows.now(), "status": 200, "ms": 4, "error": None, "answer": "ok"}]
    Attempt.objects.create(
        project=project, destination_id=first.pk, kind="change", status="delivered", first_seq=n + 1, seq=n + 1, n=1,
        op="enter", body="{}", tries=tries, next_at=0, created_at=rows.now(),
        profile_id=n + 1, persona_id=project.personas.order_by("-id")[0].pk,
    )  # fmt: skip


def pages(project: Project) -> dict[str, str]:
    """Every page of the product, and every list of the admin."""
    first: dict[str, Any] = {
        "letter.number": DeadLetter.objects.order_by("id")[0].pk,
        "delivery.number": Attempt.objects.order_by("id")[0].pk,
        "invitation-withdraw.pk": Invitation.objects.order_by("id")[0].pk,
    }
    known = {
        "slug": project.slug, "persona": "p0", "profile": "u_0", "lookup": ApiKey.objects.order_by("id")[0].lookup,
        "version": 2, "code": "event.field_missing", "docs.name": "errors", "pk": project.members.order_by("id")[0].pk,
        "destination": Destination.objects.order_by("id")[0].public_id, **first,
    }  # fmt: skip
    lists = {
        f"admin:{model._meta.model_name}": reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    }
    return {
        **addresses(known),
        **lists,
        "live rows": f"/projects/{project.slug}/live/rows?after_event=0&after_change=0",
    }


def counts(client: Client, addresses: dict[str, str]) -> Iterator[tuple[str, int]]:
    for name, address in addresses.items():
        with CaptureQueriesContext(connections["default"]) as asked:
            answer = client.get(address)
        assert answer.status_code in (200, 302, 404), (name, answer.status_code)
        yield name, len(asked)


def test_no_page_asks_once_a_row(shop: Project, as_alice: Client, alice: User) -> None:
    grow(shop, alice, range(FEW))
    asked = pages(shop)
    dict(counts(as_alice, asked))  # what a process keeps is kept from now on
    few = dict(counts(as_alice, asked))
    grow(shop, alice, range(FEW, MANY))
    many = dict(counts(as_alice, asked))
    # What is asked only when there is something to ask it for may come once more, but not once a row.
    assert {name: (few[name], many[name]) for name in asked if many[name] > few[name] + FEW} == {}
    assert len(asked) > 60
    assert max(many.values()) < 40, many
