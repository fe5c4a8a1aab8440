"""Statistics and recent errors: right, of one project alone, and for whoever may see it."""

import random
from datetime import datetime
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client

from ingestion import stats
from ingestion.applying.activity import HOUR_MS
from keys.models import Member, Project
from keys.services import issue_key
from persona.lib.clock import MS_PER_DAY
from tests.ingestion.applying import alias, apply_all, apply_events, put, put_body, track
from tests.segments.timing import Clock, clock

__all__ = ["clock"]  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)

STATS = "/api/ingestion/stats/"
ERRORS = "/api/ingestion/errors/"


def now() -> int:
    with connection.cursor() as cursor:
        cursor.execute(stats.NOW)
        return int(cursor.fetchone()[0])


@pytest.fixture
def noon(clock: Clock) -> None:
    """No hour and no day ends in the middle of a test."""
    clock.pass_by((MS_PER_DAY * 3 // 2 - now() % MS_PER_DAY) % MS_PER_DAY)


def token(client: Client, user: User) -> str:
    given = {"username": user.username, "password": f"{user.username}-password"}
    answer = client.post("/api/auth/token/", given, content_type="application/json")
    assert answer.status_code == 200, answer.content
    return str(answer.json()["access"])


def get(client: Client, path: str, key: str) -> Any:
    return client.get(path, headers={"authorization": f"Bearer {key}"})


@pytest.fixture
def sk(project: Project) -> str:
    return issue_key(project=project, kind="sk", name="stats", actor="test", scopes=["stats:read"])[1]


def test_the_last_day(project: Project, client: Client, sk: str, noon: None) -> None:
    apply_events(project, track(userId="u-1"), track(userId="u-2"), track("other", userId="u-1"), received_at=now())
    apply_events(project, track(userId="u-1"), received_at=now() - 3 * HOUR_MS)
    apply_events(project, track(userId="u-9"), received_at=now() - 25 * HOUR_MS)
    found = get(client, f"{STATS}?window=24h", sk).json()
    assert set(found) == {"window", "total_events", "unique_users", "timeseries", "event_types"}
    assert (found["window"], found["total_events"], found["unique_users"]) == ("24h", 4, 2)
    assert found["event_types"] == [{"event_type": "page_viewed", "count": 3}, {"event_type": "other", "count": 1}]
    series = found["timeseries"]
    assert len(series) == 24
    assert [bucket["event_count"] for bucket in series] == [0] * 20 + [1, 0, 0, 3]
    assert [bucket["unique_users"] for bucket in series] == [0] * 20 + [1, 0, 0, 2]
    assert all(bucket["bucket"].endswith(":00:00Z") for bucket in series)
    assert [bucket["bucket"] for bucket in series] == sorted({bucket["bucket"] for bucket in series})


def test_the_last_week(project: Project, client: Client, sk: str, noon: None) -> None:
    for days in (0, 2, 2, 6, 8):
        apply_events(project, track(userId="u-1"), received_at=now() - days * MS_PER_DAY)
    found = get(client, f"{STATS}?window=7d", sk).json()
    assert (found["total_events"], found["unique_users"]) == (4, 1)
    assert [bucket["event_count"] for bucket in found["timeseries"]] == [1, 0, 0, 0, 2, 0, 1]
    assert [bucket["unique_users"] for bucket in found["timeseries"]] == [1, 0, 0, 0, 1, 0, 1]
    assert all(bucket["bucket"].endswith("T00:00:00Z") for bucket in found["timeseries"])


def test_the_day_is_the_default_and_nothing_else_is_a_window(project: Project, client: Client, sk: str) -> None:
    assert get(client, STATS, sk).json()["window"] == "24h"
    assert get(client, STATS.rstrip("/"), sk).json()["event_types"] == []
    wrong = get(client, f"{STATS}?window=1y", sk)
    assert (wrong.status_code, wrong.json()["code"]) == (400, "request.parameter_invalid")


def test_what_is_counted(project: Project, client: Client, sk: str) -> None:
    """Not what was a duplicate, rejected or an alias; also what is nobody's."""
    at = now()
    apply_events(project, track(userId="u-1", messageId="m"), track(userId="u-1", messageId="m"), received_at=at)
    apply_events(project, track(userId="u-1", messageId="m"), track(), {"type": "track"}, received_at=at)
    apply_events(project, alias("a-1", "u-1"), received_at=at)
    found = get(client, STATS, sk).json()
    assert (found["total_events"], found["unique_users"]) == (2, 1)


def test_two_who_became_one_are_one(project: Project, client: Client, sk: str) -> None:
    apply_events(project, track(anonymousId="a-1"), track(userId="u-1"), received_at=now())
    assert get(client, STATS, sk).json()["unique_users"] == 2
    apply_events(project, track(anonymousId="a-1", userId="u-1"), received_at=now())
    for window in ("24h", "7d"):
        found = get(client, f"{STATS}?window={window}", sk).json()
        assert (found["unique_users"], found["timeseries"][-1]["unique_users"]) == (1, 1)


def test_a_batch_that_is_applied_twice_counts_once(project: Project, client: Client, sk: str) -> None:
    for _ in range(2):
        put(project, track(userId="u-1"), batch_id="b_same", received_at=now())
        apply_all()
    assert get(client, STATS, sk).json()["total_events"] == 1


def test_the_sum_is_the_number_of_stored_events(project: Project) -> None:
    """Whatever comes, in whatever batches."""
    for size in (1, 40, 7):
        put(project, *(track(f"e{n % 3}", userId=f"u-{n % 5}", messageId=f"{size % 3}-{n}") for n in range(size)))
    apply_all()
    with connection.cursor() as cursor:
        cursor.execute(
            "select sum(stored), sum(duplicates) from ingestion_eventhour where project_id = %s", [project.pk]
        )
        stored, duplicates = cursor.fetchone()
        cursor.execute("select count(*) from ingestion_event where project_id = %s", [project.pk])
        assert cursor.fetchone() == (stored,)
    assert stored + duplicates == 48


def test_no_project_is_mixed_up_with_another(
    project: Project, other_project: Project, alice: User, bob: User, charlie: User, client: Client
) -> None:
    """Alice and Bob see their shop; Charlie sees his own, and of theirs what he sees of one that does not exist."""
    apply_events(project, track(userId="u-1"), received_at=now())
    apply_events(other_project, track(userId="u-1"), track(userId="u-2"), received_at=now())
    for path in (STATS, ERRORS):
        assert get(client, f"{path}?project=shop", token(client, bob)).status_code == 200
        theirs = get(client, f"{path}?project=shop", token(client, charlie))
        nobodys = get(client, f"{path}?project=nothing", token(client, charlie))
        assert (theirs.status_code, theirs.json()) == (404, nobodys.json())
    assert get(client, STATS, token(client, bob)).json()["total_events"] == 1
    assert get(client, STATS, token(client, charlie)).json()["total_events"] == 2
    key = issue_key(project=other_project, kind="sk", name="x", actor="test")[1]
    assert get(client, STATS, key).json()["total_events"] == 2
    assert get(client, f"{STATS}?project=shop", key).status_code == 404


def test_whoever_is_in_several_projects_says_which(
    project: Project, other_project: Project, bob: User, client: Client
) -> None:
    Member.objects.create(project=other_project, user=bob)
    answer = get(client, STATS, token(client, bob))
    assert (answer.status_code, answer.json()["code"]) == (400, "project.required")
    assert set(answer.json()) == {"detail", "code"}
    assert get(client, f"{STATS}?project=elsewhere", token(client, bob)).status_code == 200


def test_who_may_not_ask(project: Project, client: Client) -> None:
    pk = issue_key(project=project, kind="pk", name="x", actor="test")[1]
    limited = issue_key(project=project, kind="sk", name="x", actor="test", scopes=["events:write"])[1]
    for path in (STATS, ERRORS):
        assert client.get(path).json()["code"] == "auth.missing_key"
        assert get(client, path, pk).json()["code"] == "auth.wrong_kind"
        assert get(client, path, limited).json()["code"] == "auth.scope_missing"
        assert get(client, path, "a.b.c").json()["code"] == "auth.invalid_session"


def test_recent_errors(project: Project, other_project: Project, client: Client, sk: str) -> None:
    put_body(other_project, b'{"events":[{"event_type":"x"}]}', dialect="segops")
    body = {"events": [{"user_id": "u", "event_type": f"e{n}", "payload": 7} for n in range(120)]}
    put_body(project, msgspec.json.encode(body), n=120, batch_id="b_2", dialect="segops")
    apply_all()
    everything = get(client, f"{ERRORS}?limit=500", sk).json()
    assert len(everything) == 100, "at most"
    assert set(everything[0]) == {"ts", "error_type", "detail"}
    assert (everything[0]["error_type"], everything[0]["detail"]) == (
        "event.field_type",
        "payload: Expected an object.",
    )
    assert everything[0]["ts"].endswith("Z")
    assert [len(get(client, f"{ERRORS}{query}", sk).json()) for query in ("?limit=3", "")] == [3, 50]
    assert get(client, f"{ERRORS}?limit=x", sk).json()["code"] == "request.parameter_invalid"


def test_a_token_and_its_refresh(alice: User, client: Client) -> None:
    given = {"username": "alice", "password": "alice-password"}
    both = client.post("/api/auth/token/", given, content_type="application/json").json()
    assert set(both) == {"access", "refresh"}
    fresh = client.post("/api/auth/token/refresh/", {"refresh": both["refresh"]}, content_type="application/json")
    assert set(fresh.json()) == {"access"}
    wrong = client.post("/api/auth/token/refresh/", {"refresh": both["access"]}, content_type="application/json")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "auth.invalid_session")


@pytest.mark.parametrize("label", ["text/plain", "application/x-www-form-urlencoded"])
def test_json_is_json_whatever_it_is_called(alice: User, client: Client, label: str) -> None:
    body = '{"username": "alice", "password": "alice-password"}'
    both = client.post("/api/auth/token/", body, content_type=label).json()
    fresh = client.post("/api/auth/token/refresh/", f'{{"refresh": "{both["refresh"]}"}}', content_type=label)
    assert set(fresh.json()) == {"access"}


def test_a_refresh_is_no_access(project: Project, bob: User, client: Client) -> None:
    given = {"username": "bob", "password": "bob-password"}
    refresh = client.post("/api/auth/token", given, content_type="application/json").json()["refresh"]
    assert get(client, STATS, refresh).json()["code"] == "auth.invalid_session"


def test_a_new_password_ends_the_tokens(project: Project, bob: User, client: Client) -> None:
    old = token(client, bob)
    bob.set_password("another-password")
    bob.save()
    assert get(client, STATS, old).json()["code"] == "auth.invalid_session"


def test_a_person_with_a_token_manages_their_project(
    project: Project, bob: User, charlie: User, client: Client
) -> None:
    assert get(client, "/api/projects/shop/personas", token(client, bob)).status_code == 200
    assert get(client, "/api/projects/shop/personas", token(client, charlie)).status_code == 404


def test_tries_are_limited(alice: User, client: Client) -> None:
    """As in the form: the right password does not help whoever has guessed for too long."""
    cache.clear()
    given = {"username": "alice", "password": "x"}
    answers = [client.post("/api/auth/token/", given, content_type="application/json") for _ in range(25)]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {
        (401, "auth.sign_in_failed"),
        (429, "rate.limited"),
    }
    assert int(answers[-1].headers["retry-after"]) > 0


def test_activity_is_counted_exactly_whatever_comes_late_or_becomes_one(
    project: Project, client: Client, sk: str, noon: None
) -> None:
    """Against a plain count of who was there: out of order, again and again, and with people who turn out to be one."""
    dice = random.Random(7)
    current, seen, into = now(), set[tuple[int, int]](), dict[int, int]()
    for step in range(12):
        for person in dice.sample(range(12), 4):
            received = current - dice.choice((0, 1, 2, 5, 23, 24, 30, 70, 140)) * HOUR_MS - dice.randrange(HOUR_MS)
            put(project, track(anonymousId=f"a-{person}"), received_at=received)
            seen.add((received, person))
        apply_all()
        if step % 3 == 2:
            loser, winner = dice.sample(range(12), 2)
            if loser not in into and winner not in into and loser not in into.values():
                apply_events(
                    project, track(anonymousId=f"a-{loser}", userId=f"u-{winner}"),
                    track(anonymousId=f"a-{winner}", userId=f"u-{winner}"), received_at=current,
                )  # fmt: skip
                into[loser] = winner
                seen |= {(current, loser), (current, winner)}
    assert into
    for window, step_ms in (("24h", HOUR_MS), ("7d", MS_PER_DAY)):
        found = get(client, f"{STATS}?window={window}", sk).json()
        buckets: dict[int, set[int]] = {}
        start = int(datetime.fromisoformat(found["timeseries"][0]["bucket"]).timestamp()) * 1_000
        for received, person in seen:
            if received >= start:
                buckets.setdefault(received - received % step_ms, set()).add(into.get(person, person))
        expected = [len(buckets.get(start + n * step_ms, ())) for n in range(len(found["timeseries"]))]
        assert [bucket["unique_users"] for bucket in found["timeseries"]] == expected
        assert found["unique_users"] == len(set().union(*buckets.values()))


def test_no_row_of_a_person_is_read_for_the_answer(project: Project, client: Client, sk: str) -> None:
    """Its cost is that of the hours asked for, however many events and people there were."""
    apply_events(project, track(userId="u-1"), received_at=now())
    with connection.execute_wrapper(_only_tallies):
        assert stats.of_window(project.pk, "7d")["unique_users"] == 1


def _only_tallies(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
    assert "ingestion_profile" not in statement
    assert "ingestion_event " not in statement
    return execute(statement, params, many, context)
