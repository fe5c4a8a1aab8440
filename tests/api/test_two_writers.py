"""`If-Match` on every edit: of those who saw the same state exactly one is heard, whether they change or delete."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from keys.models import Project, SettingsVersion
from segments.models import Persona
from tests.api.conftest import Api
from tests.segments.living import persona, viewed

WRITERS = 4
RULE = {"v": 1, "rule": viewed(2)}
# What is edited, and what each writer says of it.
EDITS: dict[str, Any] = {
    "personas/seen": lambda n: {"name": f"by {n}", "rule": {"v": 1, "rule": viewed(n + 2)}},
    "destinations/{hook}": lambda n: {"name": f"by {n}"},
    "settings": lambda n: {"refresh_after": 100 + n},
}


@pytest.fixture
def address(api: Api, project: Project, request: pytest.FixtureRequest) -> str:
    persona(project, "seen", viewed(1))
    body = {"kind": "webhook", "name": "crm", "url": "https://crm.example/"}
    hook = api.ask("POST", "destinations", body)[1]["id"]
    return str(request.param).format(hook=hook)


def send(api: Api, method: str, path: str, body: Any = None, tag: str | None = None) -> Any:
    headers = {} if tag is None else {"if-match": tag}
    return getattr(api.client, method)(api.root + path, body or {}, content_type="application/json", headers=headers)


def all_at_once(api: Api, asked: list[tuple[str, str, Any, str]]) -> list[Any]:
    start = threading.Barrier(len(asked))

    def one(given: tuple[str, str, Any, str]) -> Any:
        try:
            start.wait(20)
            return send(api, *given)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(one, asked))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", EDITS, indirect=True)
def test_exactly_one_wins(api: Api, address: str) -> None:
    edit = next(edit for path, edit in EDITS.items() if address.startswith(path.partition("{")[0]))
    seen = api.client.get(api.root + address)["ETag"]
    versions = SettingsVersion.objects.count()
    answers = all_at_once(api, [("patch", address, edit(n), seen) for n in range(WRITERS)])
    assert sorted(one.status_code for one in answers) == [200] + [412] * (WRITERS - 1)
    (won,) = [n for n, one in enumerate(answers) if one.status_code == 200]
    now = api.client.get(api.root + address)
    assert {name: value for name, value in now.json().items() if name in edit(won)} == edit(won)
    assert {one["ETag"] for one in answers} == {now["ETag"]}
    if address == "settings":
        assert SettingsVersion.objects.count() == versions + 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", ["personas/seen", "destinations/{hook}"], indirect=True)
def test_a_change_and_a_deletion_at_once(api: Api, address: str) -> None:
    seen = api.client.get(api.root + address)["ETag"]
    changed, deleted = all_at_once(
        api, [("patch", address, {"name": "changed"}, seen), ("delete", address, None, seen)]
    )
    if changed.status_code == 200:
        assert (deleted.status_code, api.get(address)["name"]) == (412, "changed")
    else:
        assert (deleted.status_code, changed.status_code) == (204, 404)
        assert api.ask("GET", address)[0] == 404


@pytest.mark.django_db
@pytest.mark.parametrize("address", EDITS, indirect=True)
def test_which_tags_match(api: Api, address: str) -> None:
    """Its own, weak as a proxy may have made it, in a list, or any; and never that of something else."""
    now = api.client.get(api.root + address)["ETag"]
    for wrong in ('"x"', "x", '"', now.strip('"'), '""'):
        refused = send(api, "patch", address, tag=wrong)
        assert (refused.status_code, refused.json()["code"], refused["ETag"]) == (412, "precondition.failed", now)
    for right in ("{}", "W/{}", '"x", {}', "*"):
        answer = send(api, "patch", address, tag=right.format(now))
        assert answer.status_code == 200, right
        now = answer["ETag"]


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["personas/seen", "destinations/{hook}"], indirect=True)
def test_a_deletion_of_another_state_is_refused(api: Api, address: str) -> None:
    before = api.client.get(api.root + address)["ETag"]
    after = send(api, "patch", address, {"name": "another"})["ETag"]
    assert after != before
    refused = send(api, "delete", address, tag=before)
    assert (refused.status_code, refused["ETag"]) == (412, after)
    assert send(api, "delete", address, tag=after).status_code == 204


@pytest.mark.django_db
def test_where_the_last_one_wins_and_where_it_may_not(api: Api, project: Project) -> None:
    persona(project, "seen", viewed(1))
    assert send(api, "patch", "personas/seen", {"name": "first"}).status_code == 200
    assert send(api, "patch", "personas/seen", {"name": "second"}).status_code == 200
    assert Persona.objects.get().name == "second"
    needed = send(api, "patch", "settings", {"refresh_after": 60})
    assert (needed.status_code, needed.json()["code"]) == (428, "precondition.required")
    assert send(api, "delete", "personas/seen").status_code == 204
