"""Personas in the admin: saved by the services, so that versions, audit and judging follow."""

import json
from typing import Any

import pytest
from django.test import Client

from keys.models import AuditEntry, Project
from segments.models import BackfillJob, Persona, PersonaVersion
from tests.pages import rows

RULE = {"v": 1, "rule": {"op": "event", "event": "product_viewed", "cmp": "gte", "value": 1}}


def form(project: Project, **changed: Any) -> dict[str, Any]:
    given = {"project": project.pk, "slug": "viewers", "name": "Viewers", "status": "live", "rule": RULE, **changed}
    return {**given, "rule": json.dumps(given["rule"])}


def test_adding_makes_a_version_an_audit_entry_and_work(shop: Project, as_alice: Client) -> None:
    answer = as_alice.post("/admin/segments/persona/add/", form(shop))
    assert answer.status_code == 302, answer.content.decode()
    persona = Persona.objects.get(slug="viewers")
    assert (persona.version, persona.status) == (1, "backfilling")
    assert PersonaVersion.objects.filter(persona=persona, author="alice").count() == 1
    assert AuditEntry.objects.filter(action="persona.created", actor="alice").count() == 1
    assert BackfillJob.objects.filter(project=shop, persona_id=persona.pk).count() == shop.shards


def test_a_new_rule_is_a_new_version(shop: Project, as_alice: Client) -> None:
    persona = rows.make_persona(shop, "viewers")
    changed = form(shop, rule={"v": 1, "rule": {"op": "event", "event": "cart_added", "cmp": "gte", "value": 1}})
    answer = as_alice.post(f"/admin/segments/persona/{persona.pk}/change/", changed)
    assert answer.status_code == 302, answer.content.decode()
    persona.refresh_from_db()
    assert (persona.version, persona.rule["rule"]["event"]) == (2, "cart_added")


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"rule": {"v": 1, "rule": {"op": "nonsense"}}}, "rule"), ({"slug": "taken"}, "slug"), ({"slug": "Ä"}, "slug")],
)
def test_what_the_services_would_refuse_is_said_beside_the_field(
    changed: dict[str, Any], field: str, shop: Project, as_alice: Client
) -> None:
    rows.make_persona(shop, "taken")
    answer = as_alice.post("/admin/segments/persona/add/", form(shop, **changed))
    assert list(answer.context["adminform"].form.errors) == [field]


@pytest.mark.parametrize("bulk", [False, True])
def test_deleting_hides_the_row_and_frees_the_slug(bulk: bool, shop: Project, as_alice: Client) -> None:
    persona = rows.make_persona(shop, "viewers")
    if bulk:
        action = {"action": "delete_selected", "_selected_action": [persona.pk], "post": "yes"}
        as_alice.post("/admin/segments/persona/", action)
    else:
        as_alice.post(f"/admin/segments/persona/{persona.pk}/delete/", {"post": "yes"})
    persona.refresh_from_db()
    assert persona.deleted_at is not None
    assert as_alice.get(f"/admin/segments/persona/{persona.pk}/change/").status_code == 302
    assert as_alice.post("/admin/segments/persona/add/", form(shop)).status_code == 302


def test_lists_filters_and_searches_answer(shop: Project, as_alice: Client) -> None:
    rows.make_persona(shop)
    for page in ("persona/?q=high", "persona/?status__exact=live", "persona/", "personaversion/?q=high"):
        assert as_alice.get("/admin/segments/" + page).status_code == 200
    assert 'href="/projects/shop/live/"' in as_alice.get("/admin/segments/persona/").content.decode()


def test_versions_are_read_only(shop: Project, as_alice: Client) -> None:
    version = PersonaVersion.objects.create(persona=rows.make_persona(shop), version=1, rule=RULE)
    page = f"/admin/segments/personaversion/{version.pk}/"
    assert as_alice.get(page + "change/").status_code == 200
    assert as_alice.post(page + "change/", {"version": 9}).status_code == 403
    assert as_alice.post(page + "delete/", {"post": "yes"}).status_code == 403


def test_the_admin_wears_our_colors(as_alice: Client) -> None:
    text = as_alice.get("/admin/").content.decode()
    assert "/static/admin.css" in text
    assert "Persona admin" in text


def test_bob_is_no_operator(shop: Project, as_bob: Client) -> None:
    assert as_bob.get("/admin/segments/persona/").status_code == 302
