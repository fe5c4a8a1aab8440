"""Making a project, its settings and its audit log by pages."""

import re

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from keys.models import AuditEntry, Member, Project, SettingsVersion

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_counters(db: None) -> None:
    cache.clear()


def form_of(client: Client) -> dict[str, str]:
    page = client.get("/projects/shop/settings/").content.decode()
    found = re.search(r'name="etag" value="&quot;(\w+)&quot;"', page)
    assert found
    return {"etag": f'"{found[1]}"', "name": "Alice's shop", "pk_streams": "project"}


def settings_of() -> dict[str, object]:
    return dict(Project.objects.get(slug="shop").settings)


def test_a_new_project_leads_to_its_first_key(as_alice: Client, alice: User) -> None:
    answer = as_alice.post("/new-project/", {"name": "Harbour & Pine", "mode": "test"})
    assert answer["Location"] == "/quickstart?project=harbour-pine"
    made = Project.objects.get()
    assert (made.name, made.mode) == ("Harbour & Pine", "test")
    assert Member.objects.get(project=made).role == "owner"
    assert AuditEntry.objects.get().address == "127.0.0.1"
    taken = as_alice.post("/new-project/", {"name": "Harbour, Pine", "mode": "test"})
    assert taken.status_code == 422
    assert "harbour-pine is taken" in taken.content.decode()
    assert as_alice.post("/new-project/", {"name": "X", "slug": "Not this", "mode": "test"}).status_code == 422


def test_only_operators_make_projects(as_bob: Client) -> None:
    assert as_bob.get("/new-project/").status_code == as_bob.post("/new-project/", {"name": "x"}).status_code == 403
    assert not Project.objects.exists()


def test_settings_are_saved_as_a_version(project: Project, as_alice: Client) -> None:
    flags = '{"new_checkout": {"persona": "high_intent", "on": true}}'
    form = {**form_of(as_alice), "retention_days": "90", "sampling": "page_* 0.5", "flags": flags, "name": "Shop"}
    assert as_alice.post("/projects/shop/settings/", form).status_code == 302
    assert settings_of() == {
        "retention_days": 90,
        "sampling": [{"event": "page_*", "rate": 0.5}],
        "flags": {"new_checkout": {"persona": "high_intent", "on": True}},
    }
    assert Project.objects.get().name == "Shop"
    saved = SettingsVersion.objects.get()
    assert (saved.version, saved.author) == (1, "alice")
    assert [(entry.action, entry.address) for entry in AuditEntry.objects.order_by("id")] == [
        ("project.settings_changed", "127.0.0.1"),
        ("project.renamed", "127.0.0.1"),
    ]
    as_alice.post("/projects/shop/settings/", {**form_of(as_alice), "flags": flags, "sampling": "page_* 0.5"})
    assert "retention_days" not in settings_of()  # emptied: the default again


def test_saving_what_is_already_so_makes_no_version(project: Project, as_alice: Client) -> None:
    assert as_alice.post("/projects/shop/settings/", form_of(as_alice)).status_code == 302
    assert not SettingsVersion.objects.exists()


def test_who_edits_an_old_state_overwrites_nobody(project: Project, as_alice: Client) -> None:
    old = form_of(as_alice)
    as_alice.post("/projects/shop/settings/", {**old, "retention_days": "90"})
    late = as_alice.post("/projects/shop/settings/", {**old, "ingest_rate": "7"})
    assert late.status_code == 422
    assert "Somebody saved other settings" in late.content.decode()
    assert 'value="7"' in late.content.decode()
    assert settings_of() == {"retention_days": 90}


@pytest.mark.parametrize(
    "wrong",
    [
        {"retention_days": "0"},
        {"retention_days": "4000"},
        {"sampling": "page_viewed 2"},
        {"flags": "[1]"},
        {"flags": '{"x": {"persona": 1}}'},
        {"sample_rate": "2"},
        {"pk_streams": "all"},
        {"name": ""},
    ],
)
def test_a_wrong_value_changes_nothing(wrong: dict[str, str], project: Project, as_alice: Client) -> None:
    answer = as_alice.post("/projects/shop/settings/", {**form_of(as_alice), **wrong})
    assert answer.status_code == 422
    assert settings_of() == {}


def test_the_audit_log_is_paged_newest_first(project: Project, other_project: Project, as_alice: Client) -> None:
    for number in range(60):
        AuditEntry.objects.create(project=project, actor="bob", action="key.issued", target=f"t{number:02}")
    AuditEntry.objects.create(project=other_project, actor="charlie", action="key.issued", target="elsewhere-key")
    page = as_alice.get("/projects/shop/audit/").content.decode()
    assert re.findall(r"\bt\d\d\b", page) == [f"t{number:02}" for number in range(59, 9, -1)]
    assert "elsewhere-key" not in page
    older = re.search(r"\?before=(\d+)", page)
    assert older
    rest = as_alice.get(f"/projects/shop/audit/?before={older[1]}").content.decode()
    assert re.findall(r"\bt\d\d\b", rest) == [f"t{number:02}" for number in range(9, -1, -1)]
    assert as_alice.get("/projects/shop/audit/?before=x").status_code == 200


def test_an_editor_changes_no_settings_through_the_api_either(project: Project, as_bob: Client) -> None:
    headers = {"if-match": "*"}
    answer = as_bob.patch("/api/projects/shop/settings", {"retention_days": 3}, "application/json", headers=headers)
    assert answer.status_code == 403
    assert settings_of() == {}
