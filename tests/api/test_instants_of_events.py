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


def renewed(at: int, paid_until: Any, **who: str) -> Json:
    """An event of the instant `at` (ms)."""
    event = {"type": "track", "event": "renewed", "timestamp": rfc3339(at), **who}
    return {**event, "properties": {"paid_until": paid_until}}


def sent(key: str, *events: Json) -> None:
    body = msgspec.json.encode({"batch": events})
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
    sent(secret, renewed(begin - 60 * S, rfc3339(begin + 300 * S), userId="alice"))
    sent(secret, renewed(begin - 120 * S, begin + 100 * S, userId="alice"))  # late: it is the first, not the last
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


def flips_at(api: Api, user: str, since: int) -> int:
    """When `ending` changes for somebody, in ms after `since`."""
    return (parse_instant(api.get(f"personas/ending/explain?profile={user}")["flips_at"]) or 0) - since


def test_a_merge_and_a_late_event_make_another_one_the_last(
    api: Api, secret: str, project: Project, clock: Clock
) -> None:
    made(api, "ending", renewals("last", "within_next", "PT60S", "PT1H"))
    settle()
    begin = now_ms()
    sent(secret, renewed(begin - 60 * S, begin + 900 * S, userId="bob"))
    sent(secret, renewed(begin - 30 * S, begin + 300 * S, anonymousId="phone"))
    assert flips_at(api, "bob", begin) == 840 * S + 1
    sent(secret, {"type": "identify", "userId": "bob", "anonymousId": "phone"})
    assert flips_at(api, "bob", begin) == 240 * S + 1
    sent(secret, renewed(begin - 45 * S, begin + 100 * S, userId="bob"))
    assert flips_at(api, "bob", begin) == 240 * S + 1, "an event that came late is not the last"
    sent(secret, renewed(begin - 10 * S, begin + 500 * S, userId="bob"))
    assert flips_at(api, "bob", begin) == 440 * S + 1
    clock.pass_by(600 * S)
    settle()
    assert changes(api, "ending", begin) == [("enter", "time", 440 * S + 1), ("leave", "time", 500 * S + 1)]
    assert_log_is_state(project)
    assert [report.differences for report in verify(project)][-1] == []


def test_looking_ahead_knows_such_instants(api: Api, secret: str, project: Project) -> None:
    begin = now_ms()
    sent(secret, renewed(begin - 60 * S, begin + 30 * S, userId="alice"), renewed(begin, "soon", userId="bob"))
    rule = renewals("last", "within_next", "PT60S", "PT1H")
    found = api.ask("POST", "personas/preview", {"rule": {"v": 1, "rule": rule}})[1]
    assert (found["seen"], found["enter"]) == (2, 1)
    made(api, "ending", rule)
    settle()
    event = renewed(begin - 5 * S, rfc3339(begin + 900 * S), userId="alice")
    outlook = api.ask("POST", "sandbox", {"profile": "alice", "event": event})[1]
    assert [(move["op"], parse_instant(move["at"])) for move in outlook["later"]] == [
        ("enter", begin + 840 * S + 1),
        ("leave", begin + 900 * S + 1),
    ]
    assert [move["op"] for move in outlook["now"]] == ["leave"]
    warned = api.get("personas/ending")["warnings"]
    assert [(one["path"], one["kind"]) for one in warned] == [("rule", "type_mismatch")]
