"""Of every operation in the OpenAPI document: who may not call it, and that it is safe to repeat."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from pytest_django import DjangoDbBlocker

from keys.models import Member, Project
from keys.scopes import SCOPES
from keys.services import issue_key
from persona.schema import hooks as schema
from persona.schema.parameters import READS
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db

# The scope of each operation; None: no key that is limited to scopes may, and "" is of no project.
NEEDS: dict[str, str | None] = {
    "personas_list": "personas:read", "personas_create": "personas:write", "personas_get": "personas:read",
    "personas_change": "personas:write", "personas_replace": "personas:write",
    "personas_delete": "personas:write", "personas_members": "personas:read",
    "personas_versions": "personas:read", "personas_overlap": "personas:read", "personas_preview": "personas:read",
    "personas_preview_new": "personas:read", "personas_import_segops": "personas:read",
    "personas_explain": "profiles:read", "profiles_get": "profiles:read", "profiles_find": "profiles:read",
    "profiles_history": "profiles:read", "profiles_events": "profiles:read", "profiles_export": "profiles:read",
    "sandbox": "profiles:read", "changes_list": "changes:read",
    "dead_letters_list": "stats:read", "dead_letters_get": "stats:read", "dead_letters_download": "stats:read",
    "dead_letters_discard": "events:write", "dead_letters_redrive": "events:write",
    "dead_letters_redrive_many": "events:write", "parked_batches_list": "stats:read",
    "parked_batches_retry": "events:write", "stats_get": "stats:read",
    "destinations_list": "destinations:read", "destinations_create": "destinations:write",
    "destinations_get": "destinations:read", "destinations_change": "destinations:write",
    "destinations_delete": "destinations:write", "destinations_rotate": "destinations:write",
    "destinations_pause": "destinations:write", "destinations_resume": "destinations:write",
    "destinations_ping": "destinations:write", "destinations_redeliver": "destinations:write",
    "deliveries_list": "destinations:read", "deliveries_get": "destinations:read",
    "deliveries_redeliver": "destinations:write",
    "keys_list": "keys:read", "keys_create": "keys:write", "keys_get": "keys:read", "keys_revoke": "keys:write",
    "keys_rotate": "keys:write", "projects_get": "stats:read",
    "settings_get": None, "settings_change": None, "settings_versions": None,
    "erasures_list": "profiles:read", "erasures_create": "profiles:write", "suppressions_get": "profiles:read",
    "suppressions_add": "profiles:write", "suppressions_lift": "profiles:write",
}  # fmt: skip
OF_NO_PROJECT = {"projects_list", "projects_create"}
NAMES = {
    "slug": "seen", "reference": "ann", "lookup": "sk_live_00000000", "destination": "d_0000000000000000",
    "delivery": "1", "number": "1", "batch": "b_1",
}  # fmt: skip


@lru_cache(maxsize=1)
def operations() -> dict[str, tuple[str, str]]:
    """By operationId: method and address, of the management API."""
    paths = json.loads(schema.document())["paths"]
    return {
        operation["operationId"]: (method.upper(), address)
        for address, item in paths.items()
        if address.startswith("/api/projects")
        for method, operation in item.items()
    }


def ask(client: Client, name: str, project: str) -> tuple[int, Any]:
    method, address = operations()[name]
    path = address.format(project=project, **NAMES)
    response = client.generic(method, path, msgspec.json.encode({}), content_type="application/json")
    body = b"" if response.streaming else response.content
    return response.status_code, msgspec.json.decode(body) if body else None


def program(project: Project, *scopes: str, kind: Any = "sk") -> Client:
    _, key = issue_key(project=project, kind=kind, name="program", actor="test", scopes=scopes)
    return Client(headers={"authorization": f"Bearer {key}"})


def all_but(needed: str | None) -> tuple[str, ...]:
    """The scopes that are not enough."""
    area = needed.partition(":")[0] if needed else ""
    return tuple(scope for scope in SCOPES if scope not in (needed, f"{area}:write"))


class Callers:
    """Of Alice's shop: programs by their scopes, and a page; and those who have nothing to do with it."""

    def __init__(self) -> None:
        shop = Project.objects.create(slug="alices", name="Alice's shop")
        charlie = User.objects.create_user("charlie")
        elsewhere = Project.objects.create(slug="elsewhere", name="Charlie's place")
        Member.objects.create(project=elsewhere, user=charlie, role=Member.Role.OWNER)
        scopes = {given for needed in NEEDS.values() for given in (all_but(needed), (needed,)) if given != (None,)}
        self.by_scopes = {given: program(shop, *given) for given in scopes}
        self.page = program(shop, kind="pk")
        self.outsiders = (program(elsewhere), signed_in(charlie))


@pytest.fixture(scope="module")
def callers(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Callers]:
    """The same for all that only look, each in a savepoint of its own: nobody changes them."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield Callers()
        transaction.set_rollback(True)


def test_every_operation_is_in_the_table() -> None:
    assert set(operations()) == set(NEEDS) | OF_NO_PROJECT


@pytest.mark.parametrize("name", NEEDS)
def test_a_key_needs_the_scope_and_no_more(name: str, callers: Callers) -> None:
    needed = NEEDS[name]
    assert ask(callers.by_scopes[all_but(needed)], name, "alices")[1]["code"] == "auth.scope_missing"
    if needed:
        status, answer = ask(callers.by_scopes[needed,], name, "alices")
        assert (answer or {}).get("code") != "auth.scope_missing", status


@pytest.mark.parametrize("name", NEEDS)
def test_outsiders_get_the_answer_of_what_does_not_exist(name: str, callers: Callers) -> None:
    for outsider in callers.outsiders:
        theirs, absent = ask(outsider, name, "alices"), ask(outsider, name, "no-such-project")
        assert theirs == absent
        assert theirs[0] == 404


@pytest.mark.parametrize("name", NEEDS)
def test_without_a_secret_key_nobody_is_told_anything(name: str, callers: Callers) -> None:
    assert ask(Client(), name, "alices")[1]["code"] == "auth.missing_key"
    assert ask(callers.page, name, "alices")[1]["code"] == "auth.wrong_kind"


def test_every_post_that_writes_takes_an_idempotency_key() -> None:
    paths = json.loads(schema.document())["paths"]
    for name, (method, address) in operations().items():
        named = [one["name"] for one in paths[address][method.lower()].get("parameters", [])]
        assert ("Idempotency-Key" in named) == (method == "POST" and name not in READS), name


def test_what_is_repeated_with_the_key_is_done_once(project: Project) -> None:
    """One that takes its body byte by byte, and one with none; another body is refused."""
    client = program(project)
    address = "/api/projects/shop/suppressions"
    repeated = {"idempotency-key": "once"}
    first = client.post(address, {"user_id": "dan"}, "application/json", headers=repeated)
    client.delete(f"{address}?user_id=dan")
    again = client.post(address, {"user_id": "dan"}, "application/json", headers=repeated)
    assert (first.status_code, again.status_code, again["Idempotency-Replayed"]) == (201, 201, "true")
    assert client.get(f"{address}?user_id=dan").json() == {"suppressed": False}
    other = client.post(address, {"user_id": "eve"}, "application/json", headers=repeated)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.mismatch")
    absent = client.post("/api/projects/shop/dead-letters/1/redrive", "{}", "application/json", headers=repeated)
    assert absent.status_code == 404


@pytest.mark.parametrize("depth", [2_000, 200_000])
def test_a_body_that_is_nested_without_end_is_refused(project: Project, depth: int) -> None:
    client = program(project)
    body = '{"name": "x", "kind": "webhook", "settings": ' + "[" * depth + "]" * depth + "}"
    for path in ("destinations", "sandbox", "dead-letters/redrive"):
        assert client.post(f"/api/projects/shop/{path}", body, "application/json").status_code == 400, path
