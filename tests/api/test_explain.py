"""Why somebody is in a persona, what would change that, and when; now, then, and one day."""

from typing import Any

import pytest
from django.db import connection

from keys.models import Project
from persona.lib.clock import parse_instant, rfc3339
from tests.api.conftest import Api
from tests.ingestion.applying import identify, put, track
from tests.segments.living import everyone_of, never, now_ms, persona, settle, trait, viewed

pytestmark = pytest.mark.django_db

HOUR = 3_600_000


@pytest.fixture
def crowd(project: Project) -> Project:
    persona(project, "keen", everyone_of(viewed(2, "PT2H"), never("checkout_completed", "P1D")))
    persona(project, "pro", trait("plan", "pro"))
    now = now_ms()
    put(project, track(userId="alice", messageId="1"), received_at=now - HOUR)
    put(project, identify("alice", {"plan": "free"}), received_at=now - HOUR)
    put(project, track(userId="alice", messageId="2"), received_at=now - 1_000)
    put(project, identify("alice", {"plan": "pro"}, timestamp=rfc3339(now - 500)), received_at=now - 500)
    settle()
    return project


def explained(api: Api, slug: str = "keen", who: str = "alice", **query: str) -> Any:
    rest = "".join(f"&{name}={value}" for name, value in query.items())
    return api.get(f"personas/{slug}/explain?profile={who}{rest}")


def test_a_member_sees_until_when_and_what_would_change_it(api: Api, crowd: Project) -> None:
    answer = explained(api)
    first = crowd_event(api)
    assert (answer["matched"], answer["is_member"], answer["as_of"]) == (True, True, "now")
    assert parse_instant(answer["flips_at"]) == first + 2 * HOUR
    assert answer["summary"] == (
        f"Leaves {answer['flips_at']} unless page_viewed comes again. Leaves at once on checkout_completed."
    )
    views, no_checkout = answer["rule"]["of"][0]["of"]
    assert (views["path"], views["actual"], views["counted"]) == ("rule.of[0]", 2, 2)
    assert all(event.startswith("e_") for event in views["events"])
    assert no_checkout["matched"] is True


def crowd_event(api: Api) -> int:
    profile = api.get("profiles/alice")
    first = parse_instant(profile["first_seen"])
    assert first is not None
    return first


def test_who_is_not_in_sees_what_is_missing(api: Api, crowd: Project) -> None:
    put(crowd, track("checkout_completed", userId="alice"), received_at=now_ms())
    settle()
    answer = explained(api)
    assert (answer["matched"], answer["is_member"]) == (False, False)
    assert explained(api, "pro")["summary"] == "Only a trait can change this."


def test_as_of_a_past_instant(api: Api, crowd: Project) -> None:
    then = rfc3339(now_ms() - HOUR // 2)
    answer = explained(api, at=then)
    assert (answer["as_of"], answer["matched"], answer["is_member"]) == ("past", False, True)
    assert answer["rule"]["of"][0]["of"][0]["actual"] == 1
    assert explained(api, "pro", at=then)["matched"] is False
    assert explained(api, "pro")["matched"] is True


def test_as_of_a_future_instant(api: Api, crowd: Project) -> None:
    answer = explained(api, at=rfc3339(now_ms() + 3 * HOUR))
    assert (answer["as_of"], answer["matched"], answer["is_member"]) == ("future", False, True)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "request.parameter_missing"),
        ("?profile=nobody", 404, "not_found"),
        ("?profile=alice&at=yesterday", 400, "request.parameter_invalid"),
        ("?profile=alice&at=2001-01-01T00:00:00Z", 400, "explain.before_retention"),
    ],
)
def test_what_cannot_be_explained(api: Api, crowd: Project, query: str, status: int, code: str) -> None:
    answer = api.ask("GET", f"personas/keen/explain{query}")
    assert (answer[0], answer[1]["code"]) == (status, code)


def test_in_the_past_an_event_called_identify_sets_no_traits(api: Api, project: Project) -> None:
    persona(project, "pro", trait("plan", "pro"))
    now = now_ms()
    put(project, identify("alice", {"plan": "free"}), received_at=now - HOUR)
    put(project, track("identify", userId="alice", properties={"plan": "pro"}), received_at=now - 2_000)
    put(project, {"type": "identify", "userId": "alice", "properties": {"plan": "pro"}}, received_at=now - 1_000)
    settle()
    then = explained(api, "pro", at=rfc3339(now - 500))
    assert (then["matched"], then["rule"]["of"][0]["actual"], then["is_member"]) == (False, "free", False)


def test_in_the_past_traits_are_older_than_the_events_that_are_kept(api: Api, project: Project) -> None:
    persona(project, "pro", trait("plan", "pro"))
    now = now_ms()
    put(project, identify("alice", {"plan": "pro", "city": "Rome"}), received_at=now - 401 * 24 * HOUR)
    put(project, identify("alice", {"city": "Bonn"}), received_at=now - HOUR)
    settle()
    assert explained(api, "pro", at=rfc3339(now - 2 * HOUR))["matched"] is True
    with connection.cursor() as cursor:  # as when the month has been dropped
        cursor.execute("delete from ingestion_event where received_at < %s", [now - 400 * 24 * HOUR])
    persona(project, "in-rome", trait("city", "Rome"))
    assert explained(api, "pro", at=rfc3339(now - 2 * HOUR))["matched"] is True
    assert explained(api, "in-rome", at=rfc3339(now - 2 * HOUR))["rule"]["of"][0]["actual"] is None, (
        "not known any more"
    )


def test_beyond_the_cap_the_past_says_so_too(api: Api, project: Project) -> None:
    now = now_ms()
    keen = {"op": "event", "event": "page_viewed", "cmp": "gte", "value": 1, "agg": {"fn": "distinct", "prop": "n"}}
    persona(project, "keen", keen)
    put(project, track(userId="alice", properties={"n": 0}), received_at=now - HOUR)
    settle()
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into ingestion_event (project_id, profile_id, name_id, ts, received_at, uid, props)"
            " select project_id, profile_id, name_id, ts + n, received_at + n, decode(md5(n::text), 'hex'),"
            " jsonb_build_object('n', n) from ingestion_event, generate_series(1, 10000) n where project_id = %s",
            [project.pk],
        )
    for at in (None, rfc3339(now - 1_000), rfc3339(now + HOUR)):
        answer = explained(api, "keen", **({"at": at} if at else {}))
        node = answer["rule"]["of"][0]
        assert (node["actual"], node["capped"], answer["rule"]["capped"]) == (10_000, ["page_viewed"], ["page_viewed"])
