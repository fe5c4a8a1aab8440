"""Events forwarded to Amplitude and Mixpanel: what goes there, and what each of their answers means."""

import base64
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from delivery import services
from delivery.models import Attempt, Cursor, Destination
from delivery.outgoing import Happened, Item, Target
from delivery.sending import forwarding, queue, turn
from delivery.transports import mixpanel as transport
from ingestion import retention
from ingestion.models import Applied, WriterLane
from keys.models import Project
from persona.lib.outbound import Outbound
from tests.delivery.conftest import deliver, deliveries, waiting_at
from tests.delivery.receiver import Got, Receiver, Reply, answer, receiver, said
from tests.ingestion.applying import apply_all, identify, put, track
from tests.segments.living import now_ms

pytestmark = pytest.mark.django_db


def forwarder(project: Project, kind: str, url: str, user: User, **fields: Any) -> Destination:
    made, _ = services.create_destination(
        project=project, kind=kind, name=kind, url=url, secret="their-key", actor=user, **fields
    )
    return made


@pytest.fixture
def amplitude(project: Project, inbox: Receiver, alice: User) -> Destination:
    inbox.reply = said(200, {"code": 200, "events_ingested": 1, "payload_size_bytes": 1, "server_upload_time": 1})
    return forwarder(project, "amplitude", inbox.url.removesuffix("/hook"), alice)


@pytest.fixture
def mixpanel(project: Project, inbox: Receiver, alice: User) -> Destination:
    inbox.reply = said(200, {"code": 200, "num_records_imported": 1, "status": "OK"})
    return forwarder(project, "mixpanel", inbox.url.removesuffix("/hook"), alice)


def happen(project: Project, *names: str) -> None:
    events = [track(name, userId="ann", anonymousId="a-1", messageId=name, properties={"n": 1}) for name in names]
    put(project, *events, received_at=now_ms())
    apply_all()


def names_of(got: Got) -> list[str]:
    document = got.json
    if isinstance(document, list):
        return [event["event"] for event in document]
    return [event["event_type"] for event in document["events"]]


def first_then(inbox: Receiver, first: Reply) -> None:
    """One bad answer, then the good one."""
    once = [first]
    inbox.by = lambda _: once.pop() if once else None


# --- what is sent ---


def test_amplitude_gets_the_event_whole(project: Project, amplitude: Destination, inbox: Receiver) -> None:
    long = "x" * 5_000
    put(
        project,
        track(
            "order_placed", userId="ann", anonymousId="a-1", messageId="m-1", properties={"total": 12.5, "note": long}
        ),
        received_at=now_ms(),
    )
    apply_all()
    deliver(amplitude)
    (got,) = inbox.got
    assert got.path == "/2/httpapi"
    document = got.json
    assert (document["api_key"], document["options"]) == ("their-key", {"min_id_length": 1})
    (event,) = document["events"]
    assert len(event.pop("insert_id")) == 32
    assert abs(event.pop("time") - now_ms()) < 60_000
    assert event == {
        "event_type": "order_placed",
        "user_id": "ann",
        "device_id": "a-1",
        "event_properties": {"total": 12.5, "note": long},
    }


def test_mixpanel_gets_the_event_whole(project: Project, mixpanel: Destination, inbox: Receiver) -> None:
    happen(project, "order_placed")
    deliver(mixpanel)
    (got,) = inbox.got
    assert got.path == "/import?strict=1"
    assert base64.b64decode(got.headers["authorization"].partition(" ")[2]) == b"their-key:"
    (event,) = got.json
    properties = event["properties"]
    assert event["event"] == "order_placed"
    assert len(properties.pop("$insert_id")) == 32
    assert isinstance(properties.pop("time"), int)
    assert properties == {"n": 1, "distinct_id": "ann", "$user_id": "ann", "$device_id": "a-1"}


def test_events_go_in_batches_each_once(project: Project, inbox: Receiver, alice: User) -> None:
    made = forwarder(project, "amplitude", inbox.url, alice, settings={"batch": 3})
    happen(project, *(f"e{number}" for number in range(7)))
    happen(project, "e0", "e7")  # e0 is a duplicate
    deliver(made)
    sent = [name for got in inbox.got for name in names_of(got)]
    assert sorted(sent) == sorted(f"e{number}" for number in range(8))
    assert [one.n for one in deliveries(made)] == [3, 3, 2]
    assert all(one.body == "[]" for one in deliveries(made))  # what is over holds no event


def test_identify_is_an_event_and_what_is_rejected_is_none(
    project: Project, amplitude: Destination, inbox: Receiver
) -> None:
    put(project, identify("ann", {"plan": "pro"}), track(""), received_at=now_ms())
    apply_all()
    deliver(amplitude)
    assert [name for got in inbox.got for name in names_of(got)] == ["identify"]


# --- what their answers mean ---


def test_amplitude_names_bad_events_and_the_rest_is_sent_again_at_once(
    project: Project, amplitude: Destination, inbox: Receiver
) -> None:
    first_then(
        inbox,
        said(
            400,
            {
                "code": 400,
                "error": "Request missing required field",
                "events_with_invalid_fields": {"time": [1]},
                "events_with_missing_fields": {"event_type": [3]},
                "silenced_events": [],
            },
        ),
    )
    happen(project, "e0", "e1", "e2", "e3")
    deliver(amplitude)
    assert [names_of(got) for got in inbox.got] == [["e0", "e1", "e2", "e3"], ["e0", "e2"]]
    (dead,) = deliveries(amplitude, "dead")
    assert dead.n == 2
    assert "events_with_invalid_fields: time" in dead.tries[-1]["error"]
    assert [one.n for one in deliveries(amplitude, "delivered")] == [2]


def test_amplitude_throttles_a_user_and_only_those_wait(
    project: Project, amplitude: Destination, inbox: Receiver
) -> None:
    document = {"code": 429, "error": "Too many requests for some devices and users", "eps_threshold": 30}
    first_then(inbox, said(429, {**document, "throttled_users": {"ann": 42}, "throttled_events": [0, 2]}))
    happen(project, "e0", "e1", "e2")
    turn.deliver_some()
    assert [names_of(got) for got in inbox.got] == [["e0", "e1", "e2"], ["e1"]]
    (late,) = waiting_at(amplitude)
    assert late.next_at - queue.clock() > 25_000  # 30 s, as its documentation asks
    deliver(amplitude)
    assert names_of(inbox.got[-1]) == ["e0", "e2"]


def test_amplitude_says_that_the_day_is_over_for_a_user(
    project: Project, amplitude: Destination, inbox: Receiver
) -> None:
    first_then(inbox, said(429, {"code": 429, "throttled_events": [0], "exceeded_daily_quota_users": {"ann": 500_001}}))
    happen(project, "e0")
    deliver(amplitude)
    (dead,) = deliveries(amplitude, "dead")
    assert "daily quota" in dead.tries[-1]["error"]


def test_too_much_at_once_is_sent_in_halves(project: Project, amplitude: Destination, inbox: Receiver) -> None:
    inbox.by = lambda got: said(413, {"code": 413, "error": "Payload too large"}) if len(names_of(got)) > 1 else None
    happen(project, "e0", "e1", "e2")
    deliver(amplitude)
    assert sorted(names_of(got)[0] for got in inbox.got if len(names_of(got)) == 1) == ["e0", "e1", "e2"]
    assert not deliveries(amplitude, "dead")


def test_a_wrong_key_pauses_with_the_reason(project: Project, amplitude: Destination, inbox: Receiver) -> None:
    inbox.reply = said(400, {"code": 400, "error": "Invalid API key: their-key"})
    happen(project, "e0")
    turn.deliver_some()
    amplitude.refresh_from_db()
    assert (amplitude.status, amplitude.paused_because) == ("paused", "Amplitude does not know this API key.")
    assert len(waiting_at(amplitude)) == 1


def test_mixpanel_takes_all_but_what_it_names(project: Project, mixpanel: Destination, inbox: Receiver) -> None:
    def by(got: Got) -> Reply | None:
        ids = {event["event"]: event["properties"]["$insert_id"] for event in got.json}
        failed = {
            "index": 1,
            "insert_id": ids["e1"],
            "field": "properties.time",
            "message": "'properties.time' is invalid",
        }
        error = "some data points in the request failed validation"
        return said(400, {"code": 400, "error": error, "num_records_imported": 2, "failed_records": [failed]})

    inbox.by = by
    happen(project, "e0", "e1", "e2")
    deliver(mixpanel)
    assert len(inbox.got) == 1
    (dead,) = deliveries(mixpanel, "dead")
    assert (dead.n, "properties.time" in dead.tries[-1]["error"]) == (1, True)
    (done,) = deliveries(mixpanel, "delivered")
    assert done.n == 2


@pytest.mark.parametrize(
    "bad", [said(429, {"code": 429, "error": "too many"}, retry_after="20"), answer(503), answer(502, b"<html>")]
)
def test_mixpanel_is_asked_again_later(project: Project, mixpanel: Destination, inbox: Receiver, bad: Reply) -> None:
    first_then(inbox, bad)
    happen(project, "e0", "e1")
    deliver(mixpanel)
    assert [names_of(got) for got in inbox.got] == [["e0", "e1"], ["e0", "e1"]]


def test_who_asks_for_time_gets_it(project: Project, mixpanel: Destination, inbox: Receiver) -> None:
    inbox.reply = said(429, {"code": 429}, retry_after="20")
    happen(project, "e0")
    turn.deliver_some()
    state = Cursor.objects.get(project=project, destination_id=mixpanel.pk)
    assert state.resting_until - queue.clock() > 15_000


DEEP = b'{"error": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"
NO_TEXT = b'{"error": "\xff\xfe", "failed_records": []}'
NULL = b"""{"error": "a\\u0000b", "events_with_invalid_fields": {"a\\u0000b": [0]},
           "failed_records": [{"index": 0, "field": "a\\u0000b", "message": "a\\u0000b"}]}"""


@pytest.mark.parametrize("body", [DEEP, NO_TEXT, NULL], ids=["deep", "no text", "null"])
@pytest.mark.parametrize("kind", ["amplitude", "mixpanel"])
def test_an_answer_that_cannot_be_read_or_kept_costs_nobody_else_anything(
    project: Project, inbox: Receiver, alice: User, kind: str, body: bytes
) -> None:
    inbox.reply = answer(400, body)
    bad = forwarder(project, kind, inbox.url, alice)
    with receiver() as other:
        good = forwarder(project, kind, other.url, alice)
        happen(project, "e0", "e1")
        turn.deliver_some()
        assert [names_of(got) for got in other.got] == [["e0", "e1"]]
        assert waiting_at(good) == []
    assert [one.tries[-1]["status"] for one in deliveries(bad) if one.tries][:1] == [400]


def test_one_that_cannot_be_served_at_all_costs_nobody_else_anything(
    project: Project, inbox: Receiver, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it is: here nobody can read any more what is to be sent to it."""
    bad, good = (forwarder(project, "amplitude", inbox.url, alice) for _ in range(2))
    happen(project, "e0")
    forwarding.take_in(bad, 0, queue.clock(), batch=1)
    Attempt.objects.filter(project=project, destination_id=bad.pk).update(body="?")
    turn.deliver_some()
    assert [names_of(got) for got in inbox.got] == [["e0"]]
    assert (len(waiting_at(good)), len(waiting_at(bad))) == (0, 1)
    assert "destination.failed" in caplog.text


# --- the log of applied events ---


def test_however_many_events_it_names_each_is_understood(project: Project, inbox: Receiver) -> None:
    """The longest answer that the largest request can get is read to its end."""
    words = "'properties.time' is invalid: must be specified as seconds or milliseconds since epoch"
    items = [
        Item(f"{number:032x}", event=Happened(f"{number:032x}", "e", 1, "ann", None, {}))
        for number in range(transport.MOST)
    ]
    records = [
        {"index": number, "insert_id": item.key, "field": "properties.time", "message": words}
        for number, item in enumerate(items)
    ]
    document = {"code": 400, "error": "some data points failed validation", "failed_records": records}
    inbox.reply = said(400, document)
    client = Outbound(allow_private=True)
    found = client.post(transport.request(Target(inbox.url, ("their-token",)), items, now=0))
    client.close()
    assert transport.verdict(items, found).refused.keys() == {item.key for item in items}


def test_the_log_is_written_while_somebody_forwards_it(project: Project, inbox: Receiver, alice: User) -> None:
    happen(project, "before")
    assert Applied.objects.count() == 0
    made = forwarder(project, "mixpanel", inbox.url, alice)
    happen(project, "after")
    assert Applied.objects.filter(project=project).count() == 1
    deliver(made)
    assert [names_of(got) for got in inbox.got] == [["after"]]
    services.delete_destination(destination=made, actor=alice)
    assert WriterLane.objects.get(project=project).watched_until == 0
    assert Attempt.objects.count() == 0


def test_what_a_destination_has_still_to_read_is_kept(project: Project, inbox: Receiver, alice: User) -> None:
    hour = 3_600_000
    made = forwarder(project, "mixpanel", inbox.url, alice)
    happen(project, "old")
    now = now_ms()
    retention.forget_applied(now + 2 * hour)
    assert Applied.objects.count() == 1
    services.delete_destination(destination=made, actor=alice)
    retention.forget_applied(now + 2 * hour)
    assert Applied.objects.count() == 0


def test_what_was_erased_meanwhile_is_not_sent(project: Project, amplitude: Destination, inbox: Receiver) -> None:
    happen(project, "e0")
    with connection.cursor() as cursor:
        cursor.execute("delete from ingestion_event where project_id = %s", [project.pk])
    deliver(amplitude)
    assert inbox.got == []
    assert [one.status for one in deliveries(amplitude)] == ["delivered"]
