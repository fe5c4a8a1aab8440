"""Every list, page by page: complete, each row once, also while rows come; and no cursor but its own."""

import re
from itertools import product
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from delivery import reading, services
from delivery.models import Destination
from delivery.sending import intake
from delivery.sending.queue import clock
from ingestion.models import Batch
from keys.models import Project
from keys.services import issue_key
from segments.services import update_persona
from tests.api.conftest import Api
from tests.ingestion.applying import put, put_body, track
from tests.segments.living import now_ms, persona, settle, viewed

pytestmark = pytest.mark.django_db
ROWS = 5

# By list: what tells its rows apart.
LISTS = {
    "personas/seen/members": "profile", "personas/seen/versions": "version", "profiles/user-1/events": "id",
    "deliveries": "id", "deliveries?destination={hook}": "id", "deliveries?status=waiting&persona=seen": "id",
    "dead-letters": "id", "parked-batches": "batchId", "keys": "lookup", "erasures": "id",
    "settings/versions": "version",
}  # fmt: skip


@pytest.fixture
def full(project: Project, alice: User, api: Api) -> str:
    """More than a page of everything; the id of a webhook."""
    seen = persona(project, "seen", viewed(1))
    for number in range(ROWS):
        seen = update_persona(
            persona=seen, changes={"rule": {"v": 1, "rule": viewed(1, f"P{number + 1}D")}}, actor=alice
        )
    hook, _ = services.create_destination(
        project=project, kind="webhook", name="h", url="https://x.example/", actor=alice
    )
    more(project, alice, api, "first")
    return hook.public_id


def more(project: Project, alice: User, api: Api, word: str) -> None:
    """Some of everything."""
    for number in range(ROWS):
        who = f"{word}-{number}"
        put(project, track(userId="user-1"), track(userId=who), track("", userId=who), received_at=now_ms())
        issue_key(project=project, kind="pk", name=who, actor=alice)
        put_body(project, b"{", batch_id=f"b_{who}")
        tag = api.client.get(api.root + "settings")["ETag"]
        api.client.patch(
            api.root + "settings", {"refresh_after": 50 + number}, "application/json", headers={"if-match": tag}
        )
    Batch.objects.filter(body=b"{").update(parked=True)
    settle()
    found = Destination.objects.select_related("project").get(kind="webhook")
    intake.take_in(found, 0, clock())
    for number in range(ROWS):
        gone = f"gone-{word}-{number}"
        put(project, track(userId=gone), received_at=now_ms())
        settle()
        assert api.ask("POST", "erasures", {"user_id": gone})[0] == 201


def whole(api: Api, path: str, key: str, limit: int) -> list[Any]:
    rows: list[Any] = []
    cursor: str | None = ""
    joint = "&" if "?" in path else "?"
    while cursor is not None:
        page = api.get(f"{path}{joint}limit={limit}&cursor={cursor}")
        assert len(page["results"]) <= limit
        rows, cursor = [*rows, *(row[key] for row in page["results"])], page["next"]
    return rows


def test_each_row_is_seen_once_also_while_others_come(api: Api, full: str, project: Project, alice: User) -> None:
    lists = {path.format(hook=full): key for path, key in LISTS.items()}
    before = {path: whole(api, path, key, 1_000 if "members" in path else 100) for path, key in lists.items()}
    begun = {path: _first(api, path) for path in lists}
    for path, key in lists.items():
        assert len(before[path]) >= ROWS, path
        assert whole(api, path, key, 2) == before[path], path
    more(project, alice, api, "second")
    for path, key in lists.items():
        joint = "&" if "?" in path else "?"
        rest = api.get(f"{path}{joint}limit=100&cursor={begun[path]['next']}")["results"]
        seen = [row[key] for row in (*begun[path]["results"], *rest)]
        assert len(seen) == len(set(seen)), path
        assert set(before[path]) <= set(seen), path


def _first(api: Api, path: str) -> Any:
    return api.get(f"{path}{'&' if '?' in path else '?'}limit=2")


def test_the_cursor_of_another_list_is_refused(api: Api, full: str) -> None:
    lists = [path for path in LISTS if "?" not in path]
    cursors = {path: _first(api, path)["next"] for path in lists}
    for path in lists:
        others = [cursor for other, cursor in cursors.items() if other != path]
        for wrong in (
            *others,
            "x",
            "r1",
            "keys",
            "keys-",
            "keys--1",
            "keys-99999999999999999999",
            "null",
            "'--",
            "e1-2",
        ):
            status, problem = api.ask("GET", f"{path}?cursor={wrong}")
            assert (status, problem["code"]) == (400, "request.cursor_invalid"), (path, wrong)
        assert api.ask("GET", f"{path}?cursor=%00")[0] == 400
    document = Client().get("/api/schema/").json()["paths"]
    for path in lists:
        (listed,) = [one for one in document if re.fullmatch(re.sub("{.*?}", "[^/]+", one), f"{api.root}{path}")]
        (cursor,) = [one["schema"] for one in document[listed]["get"]["parameters"] if one["name"] == "cursor"]
        assert re.search(cursor["pattern"], cursors[path])
        assert not any(re.search(cursor["pattern"], cursors[other]) for other in lists if other != path)


def test_the_cursor_of_another_project_shows_nothing_of_it(
    api: Api, full: str, project: Project, other_project: Project, charlie: User
) -> None:
    _, key = issue_key(project=other_project, kind="sk", name="his", actor=charlie)
    his = Api(other_project.slug, key)
    for path in ("keys", "deliveries", "dead-letters", "parked-batches", "erasures", "settings/versions"):
        page = his.get(f"{path}?cursor={_first(api, path)['next']}")
        whole_list = his.get(path)
        assert [one for one in page["results"] if one not in whole_list["results"]] == [], path


def test_what_is_no_limit_is_refused(api: Api, full: str) -> None:
    lists = [path for path in LISTS if "?" not in path]
    for path, limit in product(lists, ("0", "-1", "1001", "1e2", "\u0661", "9" * 20, "")):
        status, problem = api.ask("GET", f"{path}?limit={limit}")
        assert (status, problem["code"]) == (400, "request.parameter_invalid"), (path, limit)


def test_projects_come_page_by_page(alice: User) -> None:
    for number in range(ROWS):
        Project.objects.create(slug=f"p-{number}", name="p")
    person = Client()
    person.force_login(alice)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = person.get(f"/api/projects?limit=2&cursor={cursor}").json()
        seen, cursor = [*seen, *(one["slug"] for one in page["results"])], page["next"]
    assert seen == [f"p-{number}" for number in reversed(range(ROWS))]


@pytest.mark.parametrize("of", ["destination", "persona"])
def test_the_deliveries_of_one_are_found_along_its_index(of: str, api: Api, full: str, project: Project) -> None:
    """However many it has, and others have since, a page costs its own rows."""
    hook = Destination.objects.get(public_id=full)
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into delivery_attempt (project_id, destination_id, persona_id, kind, status, first_seq, seq, n,"
            " body, next_at, created_at) select %s, %s + i / 1000, 1000000 + i / 1000, 'change', 'delivered', i, i, 1,"
            " '{}', 0, 0 from generate_series(1, 20000) i",
            [project.pk, hook.pk],
        )
        cursor.execute("analyze delivery_attempt")
        rows = reading.deliveries(project, **{of: {"destination": full, "persona": "seen"}[of]})
        plan = rows.filter(id__lt=10**12)[:51].explain()
    assert f"delivery_attempt_{of}" in plan, plan
    assert "Sort" not in plan, plan
