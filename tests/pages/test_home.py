"""Home lists what is yours, and leads to a first event."""

from django.test import Client

from keys.models import Project
from tests.pages import rows


def test_a_member_sees_the_project_its_personas_and_the_way_in(
    shop: Project, other_project: Project, as_bob: Client
) -> None:
    rows.make_persona(shop)
    gone = rows.make_persona(shop, "gone")
    gone.deleted_at = gone.created_at
    gone.save()
    text = as_bob.get("/").content.decode()
    assert "Alice&#x27;s shop" in text
    assert '<td class="num" data-label="Personas">1</td>' in text
    assert 'href="/projects/shop/"' in text
    assert 'href="/quickstart"' in text
    assert other_project.name not in text


def test_charlie_sees_an_empty_list(shop: Project, as_charlie: Client) -> None:
    text = as_charlie.get("/").content.decode()
    assert "member of no project" in text
    assert "shop" not in text


def test_a_superuser_sees_all(shop: Project, other_project: Project, as_alice: Client) -> None:
    assert 'href="/projects/elsewhere/"' in as_alice.get("/").content.decode()


def test_only_operators_are_led_to_the_admin(shop: Project, as_alice: Client, as_bob: Client) -> None:
    assert 'href="/admin/"' in as_alice.get("/").content.decode()
    assert 'href="/admin/"' not in as_bob.get("/").content.decode()
