"""A rule about an instant that an event names, over HTTP all the way: in and out again by time alone."""

from typing import Any

import msgspec
import pytest

from keys.models import Project
from persona.lib.clock import parse_instant, rfc3339
from segments.verify.passes import verify
from tests.api.conftest import Api, Json
from tests.ingestion.calling import INGEST, call
from tests.segments.living import assert_log_is_state, now_ms, settle
from tests.segments.timing import Clock, clock

__all__ = ["clock"]  # a fixture
pytestmark = pytest.mark.django_db(transaction=True)

S = 1_000


def renewals(fn: str, cmp: str, value: str, window: str) -> Json:
    agg = {"fn": fn, "prop": "paid_until"}
    return {"op": "event", "event": "renewed", "agg": agg, "cmp": cmp, "value": value, "window": {"last": window}}


def made(api: Api, slug: str, rule: Json) -> None:
    status, answer = api.ask("POST", "personas", {"slug": slug, "rule": {"v": 1, "rule": rule}})
    assert status == 201, answer


def sent(key: str, user: str, at: int, paid_until: Any) -> None:
    """An event of the instant `at` (ms), received now."""
    event = {"type": "track", "event": "renewed", "userId": user, "timestamp": rfc3339(at)}
    body = msgspec.json.encode({"batch": [{**event, "properties": {"paid_until": paid_until}}]})
    answer = call("POST", INGEST, headers={"authorization": f"Bearer {key}"}, body=body)
    assert answer.status == 202, answer.body
    settle()


def changes(api: Api, slug: str, since: int) -> list[tuple[str, str, int]]:
    """Of a persona: what, why, and how many ms after `since`."""
    rows = api.get(f"changes?limit=1000&persona={slug}")["results"]
    return [(row["op"], row["cause"], (parse_instant(row["at"]) or 0) - since) for row in rows]


def test_in_and_out_by_time_at_the_instants_of_date_and_window(
    api: Api, secret: str, project: Project, clock: Clock
) -> None:
    made(api, "ending", renewals("last", "within_next", "PT60S", "PT1H"))
    made(api, "ended", renewals("first", "older_than", "PT10S", "PT10M"))
    made(api, "running", {"op": "not", "of": renewals("first", "older_than", "PT10S", "PT10M")})
    settle()
    begin = now_ms()
    sent(secret, "alice", begin - 60 * S, rfc3339(begin + 300 * S))
    sent(secret, "alice", begin - 120 * S, begin + 100 * S)  # late: it is the first, not the last
    assert changes(api, "ending", begin) == changes(api, "ended", begin) == []
    assert changes(api, "running", begin)[0][:2] == ("enter", "event")
    answer = api.get("personas/ending/explain?profile=alice")
    assert parse_instant(answer["flips_at"]) == begin + 240 * S + 1
    assert answer["rule"]["of"][0]["actual"] == begin + 300 * S
    clock.pass_by(400 * S)
    settle()
    assert changes(api, "ending", begin) == [("enter", "time", 240 * S + 1), ("leave", "time", 300 * S + 1)]
    assert changes(api, "ended", begin) == [("enter", "time", 110 * S)]
    clock.pass_by(600 * S)
    settle()  # the first renewal leaves the window: the other is the first, and as old; then it leaves, too
    assert changes(api, "ended", begin)[1:] == [("leave", "time", 540 * S)]
    assert changes(api, "running", begin)[1:] == [("leave", "time", 110 * S), ("enter", "time", 540 * S)]
    assert_log_is_state(project)
    assert [report.differences for report in verify(project)][-1] == []
