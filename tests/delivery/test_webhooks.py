"""Webhooks: every change arrives, signed, in order per profile, through every kind of failure."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import stripe
from django.contrib.auth.models import User
from django.db import OperationalError, connection

from delivery import again, services
from delivery.models import Cursor, Destination
from delivery.sending import intake, queue, schedule, turn
from delivery.sending.settle import SETTLE
from keys import sealed
from keys.models import Project
from segments.models import Change
from segments.services import delete_persona
from tests.delivery.conftest import deliver, deliveries, hurry, visit, waiting_at, webhook
from tests.delivery.receiver import Got, Held, Receiver, Reply, answer, reset
from tests.segments.living import settle
from tests.waiting import until

pytestmark = pytest.mark.django_db


def orders(inbox: Receiver) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for message in inbox.messages:
        found.setdefault(message["external_ids"][0], []).append(message["seq"])
    return found


def test_a_change_arrives_with_all_that_is_known_of_it(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice)
    visit(shop, "ann", times=2)
    deliver(hook)
    entered, keen = inbox.messages
    expected = {
        "id": "shop-1", "type": "segment.updated", "project": "shop", "seq": 1, "previous_seq": None,
        "persona": "seen", "op": "enter", "cause": "event", "version": 1,
    }  # fmt: skip
    assert entered | expected == entered
    assert entered["external_ids"] == ["ann"]
    assert entered["profile"].startswith("u_")
    assert entered["trigger"].startswith("e_")
    assert keen["persona"] == "keen"
    (got, _) = inbox.got
    assert got.headers["content-type"] == "application/json"
    assert got.path == "/hook"


def test_a_leave_names_the_enter_before_it(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice)
    visit(shop, "ann")
    delete_persona(persona=shop.personas.get(slug="seen"), actor=alice)
    settle()
    deliver(hook)
    assert [(one["op"], one["seq"], one["previous_seq"]) for one in inbox.messages] == [
        ("enter", 1, None),
        ("leave", 2, 1),
    ]


def test_only_what_happens_after_it_was_made_is_told(shop: Project, inbox: Receiver, alice: User) -> None:
    visit(shop, "ann")
    hook = webhook(shop, inbox.url, alice)
    visit(shop, "bob")
    deliver(hook)
    assert orders(inbox) == {"bob": [2]}


def test_filters_by_persona_and_op(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice, personas=["keen"], ops=["enter"])
    visit(shop, "ann", "bob", times=2)
    deliver(hook)
    assert {one["persona"] for one in inbox.messages} == {"keen"}
    assert len(inbox.messages) == 2
    assert Cursor.objects.get(project=shop).seq == 4


def test_the_signature_is_one_that_stripe_accepts(shop: Project, inbox: Receiver, alice: User) -> None:
    hook, secret = services.create_destination(project=shop, kind="webhook", name="h", url=inbox.url, actor=alice)
    visit(shop, "ann")
    deliver(hook)
    got = inbox.got[0]
    header = got.headers["persona-signature"]
    verify = stripe.WebhookSignature.verify_header
    assert verify(got.body.decode(), header, secret, tolerance=300)
    for body, key in ((got.body + b" ", secret), (got.body, "whsec_other")):
        with pytest.raises(stripe.SignatureVerificationError):
            verify(body.decode(), header, key, tolerance=300)
    stale = header.replace(header.split(",")[0], "t=1700000000")
    with pytest.raises(stripe.SignatureVerificationError):
        verify(got.body.decode(), stale, secret, tolerance=300)


def test_during_a_rotation_both_secrets_verify_and_the_new_one_comes_first(
    shop: Project, inbox: Receiver, alice: User
) -> None:
    hook, old = services.create_destination(project=shop, kind="webhook", name="h", url=inbox.url, actor=alice)
    new = services.rotate_secret(destination=hook, grace=timedelta(hours=1), actor=alice)
    visit(shop, "ann")
    deliver(hook)
    got = inbox.got[0]
    header = got.headers["persona-signature"]
    for secret in (old, new):
        assert stripe.WebhookSignature.verify_header(got.body.decode(), header, secret, tolerance=300)
    t, first, _ = (part.partition("=")[2] for part in header.split(","))
    assert first == hmac.new(new.encode(), f"{t}.".encode() + got.body, hashlib.sha256).hexdigest()
    services.rotate_secret(destination=hook, grace=timedelta(0), actor=alice)
    visit(shop, "bob")
    deliver(hook)
    assert inbox.got[-1].headers["persona-signature"].count("v1=") == 1


def test_secrets_are_not_readable_in_the_database(shop: Project, inbox: Receiver, alice: User) -> None:
    hook, secret = services.create_destination(project=shop, kind="webhook", name="h", url=inbox.url, actor=alice)
    assert secret not in hook.secret
    assert sealed.unseal(hook.secret) == secret


@pytest.mark.parametrize("failure", [answer(500), answer(404), answer(302, location="http://127.0.0.1/"), reset])
def test_after_a_failure_everything_arrives_in_order(
    shop: Project, inbox: Receiver, alice: User, failure: Reply
) -> None:
    hook = webhook(shop, inbox.url, alice)
    inbox.reply = failure
    visit(shop, "ann", "bob", "cem", times=2)
    turn.deliver_some()
    assert waiting_at(hook)
    refused = len(inbox.got)
    inbox.reply = answer(204, b"")
    deliver(hook)
    taken: dict[str, list[int]] = {}
    for got in inbox.got[refused:]:
        taken.setdefault(got.json["external_ids"][0], []).append(got.json["seq"])
    assert {who: len(seqs) for who, seqs in taken.items()} == {"ann": 2, "bob": 2, "cem": 2}
    assert all(seqs == sorted(seqs) for seqs in taken.values())


def test_a_profile_that_fails_is_parked_and_the_others_go_on(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice)

    def by(got: Got) -> Reply | None:
        return answer(422) if got.json["external_ids"] == ["bad"] else None

    inbox.by = by
    visit(shop, "bad", "ann", times=2)
    deliver(hook, waiting=2)
    assert orders(inbox)["ann"] == sorted(orders(inbox)["ann"])
    assert len(orders(inbox)["ann"]) == 2
    first, second = waiting_at(hook)
    assert first.tried > 0
    assert second.tried == 0  # it waits behind the first
    assert first.next_at == second.next_at
    visit(shop, "bob")
    deliver(hook, waiting=2)
    assert "bob" in orders(inbox)
    inbox.by = lambda _: None
    deliver(hook)
    assert [one["seq"] for one in inbox.messages if one["external_ids"] == ["bad"]][-2:] == [first.seq, second.seq]


def test_after_a_day_it_is_a_dead_letter_and_the_profile_goes_on(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice)
    inbox.by = lambda got: answer(422) if got.json["persona"] == "seen" else None
    visit(shop, "ann", times=2)
    deliver(hook, waiting=2)
    with connection.cursor() as cursor:
        cursor.execute("update delivery_attempt set first_tried_at = first_tried_at - %s", [schedule.HORIZON_MS])
    deliver(hook)
    assert [one.status for one in deliveries(hook)] == ["dead", "delivered"]
    assert inbox.messages[-1]["persona"] == "keen"
    (dead,) = deliveries(hook, "dead")
    assert dead.tries[-1]["status"] == 422
    inbox.by = lambda _: None
    again.redeliver_one(project=shop, attempt=dead, actor=alice)
    deliver(hook)
    assert inbox.messages[-1]["persona"] == "seen"


def test_a_receiver_that_fails_as_a_whole_is_left_alone_for_a_moment(
    shop: Project, inbox: Receiver, alice: User
) -> None:
    hook = webhook(shop, inbox.url, alice)
    inbox.reply = answer(503)
    visit(shop, *(f"user-{number}" for number in range(40)))
    turn.deliver_some()
    tries = len(inbox.got)
    assert 5 <= tries <= 16  # what was under way at once, and no more
    turn.deliver_some()
    assert len(inbox.got) == tries
    hurry(hook)
    turn.deliver_some()
    assert len(inbox.got) == tries + 1  # one, to see how it does
    inbox.reply = answer(200)
    hurry(hook)
    turn.deliver_some()
    assert not waiting_at(hook)


def test_a_receiver_from_which_nothing_was_heard_for_a_day_is_paused_with_the_reason(
    shop: Project, inbox: Receiver, alice: User
) -> None:
    hook = webhook(shop, inbox.url, alice)
    inbox.reply = answer(500)
    visit(shop, *(f"user-{number}" for number in range(10)))
    turn.deliver_some()
    with connection.cursor() as cursor:
        cursor.execute("update delivery_cursor set failing_since = failing_since - %s", [schedule.HORIZON_MS])
    hurry(hook)
    turn.deliver_some()
    hook.refresh_from_db()
    assert (hook.status, hook.paused_because) == ("paused", "Nothing has got through for 24 hours. It answered 500.")
    inbox.reply = answer(200)
    hurry(hook)
    turn.deliver_some()
    assert len(waiting_at(hook)) == 10
    services.resume_destination(destination=hook, actor=alice)
    deliver(hook)
    assert len({one["seq"] for one in inbox.messages}) == 10


def test_who_says_gone_is_paused_at_once(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice)
    inbox.reply = answer(410)
    visit(shop, "ann")
    turn.deliver_some()
    hook.refresh_from_db()
    assert hook.status == "paused"
    assert "410" in hook.paused_because


def test_a_paused_destination_misses_nothing(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice)
    services.pause_destination(destination=hook, actor=alice)
    visit(shop, "ann")
    turn.deliver_some()
    assert inbox.got == []
    services.resume_destination(destination=hook, actor=alice)
    deliver(hook)
    assert orders(inbox) == {"ann": [1]}


def test_what_waited_and_what_came_while_it_was_paused_arrives_in_order(
    shop: Project, inbox: Receiver, alice: User
) -> None:
    hook = webhook(shop, inbox.url, alice)
    inbox.reply = answer(500)
    visit(shop, "ann", "bob")
    turn.deliver_some()
    services.pause_destination(destination=hook, actor=alice)
    inbox.got.clear()
    inbox.reply = answer(200)
    hurry(hook)
    visit(shop, "ann", "bob", "cem")
    turn.deliver_some()
    assert inbox.got == []
    services.resume_destination(destination=hook, actor=alice)
    deliver(hook)
    assert {who: len(seqs) for who, seqs in orders(inbox).items()} == {"ann": 2, "bob": 2, "cem": 1}
    assert all(seqs == sorted(seqs) for seqs in orders(inbox).values())
    assert waiting_at(hook) == []


def test_batches_keep_the_order_of_the_log(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice, settings={"batch": 4})
    visit(shop, *(f"user-{number}" for number in range(5)), times=2)
    inbox.reply = answer(500)
    turn.deliver_some()
    inbox.got.clear()
    inbox.reply = answer(200)
    deliver(hook)
    assert [got.json["type"] for got in inbox.got if "messages" in got.json] == ["batch"] * len(
        [got for got in inbox.got if "messages" in got.json]
    )
    assert max(len(got.json.get("messages", [0])) for got in inbox.got) == 4
    assert len({one["seq"] for one in inbox.messages}) == 10
    assert all(seqs == sorted(seqs) for seqs in orders(inbox).values())


def test_a_range_is_sent_again(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice)
    visit(shop, "ann", "bob", "cem", "dan")
    deliver(hook)
    inbox.got.clear()
    with connection.cursor() as cursor:  # one of them is no longer in the delivery log
        cursor.execute("delete from delivery_attempt where seq = 2")
    assert again.redeliver_range(destination=hook, first=2, last=3, actor=alice) == 2
    deliver(hook)
    assert sorted(one["seq"] for one in inbox.messages) == [2, 3]


def test_who_fell_behind_the_log_is_told_once_what_is_lost(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice)
    visit(shop, "ann", "bob", "cem")
    Change.objects.filter(project=shop, seq__lte=2).delete()
    deliver(hook)
    gap, change = inbox.messages
    assert (gap["type"], gap["lost"], change["seq"]) == ("gap", {"first": 1, "last": 2}, 3)
    state = Cursor.objects.get(project=shop, destination_id=hook.pk)
    assert (state.lost_from, state.lost_to) == (1, 2)


def test_what_is_silent_is_told_to_nobody(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice)
    visit(shop, "ann")
    Change.objects.filter(project=shop).update(silent=True)
    deliver(hook)
    assert inbox.got == []


def test_a_worker_that_died_is_succeeded_when_its_lease_ends(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice)
    visit(shop, "ann")
    assert queue.claim(shop.pk, hook.pk) is not None
    turn.deliver_some()
    assert inbox.got == []
    with connection.cursor() as cursor:
        cursor.execute("update delivery_cursor set leased_until = leased_until - %s", [queue.LEASE_MS])
    deliver(hook)
    assert orders(inbox) == {"ann": [1]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", [queue.CLAIM, queue.WAITING, intake.INSERT, SETTLE, queue.RELEASE])
def test_a_turn_whose_database_goes_away_is_gone_on_with(
    shop: Project, inbox: Receiver, alice: User, statement: str
) -> None:
    """By the next one, at once and not when the lease ends; what is sent already is not sent again."""
    hook = webhook(shop, inbox.url, alice)
    visit(shop, "ann")
    with lost_at(statement), pytest.raises(OperationalError):
        turn.deliver_some()
    connection.close()  # as the next task does
    turn.deliver_some()
    assert orders(inbox) == {"ann": [1]}
    assert [one.seq for one in deliveries(hook, "delivered")] == [1]


@contextmanager
def lost_at(statement: str) -> Iterator[None]:
    """PostgreSQL ends the session before it has read this statement."""
    lost = False

    def execute(go_on: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        nonlocal lost
        if sql == statement and not lost:
            lost = True
            end_session()
        return go_on(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield
    assert lost


def end_session() -> None:
    pid = connection.connection.info.backend_pid
    given = connection.get_connection_params()
    own = {name: given[name] for name in ("dbname", "user", "password", "host", "port") if name in given}
    with psycopg.connect(**own, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 60000)", [pid])


def test_a_slow_wave_stays_ours(shop: Project, inbox: Receiver, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it lasts: its lease is renewed."""
    monkeypatch.setattr(turn, "RENEW", 0.0)
    hook = webhook(shop, inbox.url, alice)
    visit(shop, "ann")
    ends: list[int] = []

    def watched(statement: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        found = statement(sql, params, many, context)
        if sql == queue.RENEW:
            ends.append(Cursor.objects.get(project=shop, destination_id=hook.pk).leased_until)
            if len(ends) == 3:
                held.let_go()
        return found

    inbox.reply = held = Held()
    with connection.execute_wrapper(watched):
        turn.deliver_some()
    assert len(ends) >= 3
    assert ends == sorted(set(ends))
    assert [one.seq for one in deliveries(hook, "delivered")] == [1]


def test_who_was_taken_for_dead_has_no_say_any_more(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice)
    slow = queue.claim(shop.pk, hook.pk)
    began = queue.clock()
    until(lambda: queue.clock() > began, "the next millisecond")
    with connection.cursor() as cursor:
        cursor.execute("update delivery_cursor set leased_until = leased_until - %s", [queue.LEASE_MS])
    other = queue.claim(shop.pk, hook.pk)
    assert slow is not None
    assert other is not None
    assert queue.renew([slow]) == {}
    assert not queue.release(slow)
    assert queue.claim(shop.pk, hook.pk) is None
    visit(shop, "alice")
    assert [intake.take_in(hook, one.seq, one.now) for one in (other, slow)] == [True, False]
    assert len(deliveries(hook)) == 1
    assert queue.release(other)


def test_no_more_than_so_many_wait_outside_of_the_log(
    shop: Project, inbox: Receiver, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PARKED_MOST", 4)
    monkeypatch.setattr(intake, "PAGE", 2)
    hook = webhook(shop, inbox.url, alice)
    inbox.reply = answer(422)
    visit(shop, *(f"user-{number}" for number in range(9)))
    for _ in range(5):
        turn.deliver_some()
    assert len(waiting_at(hook)) == 4
    inbox.reply = answer(200)
    deliver(hook)
    assert len({one["seq"] for one in inbox.messages}) == 9


def test_another_projects_changes_are_not_told(
    shop: Project, other_project: Project, inbox: Receiver, charlie: User
) -> None:
    hook = webhook(other_project, inbox.url, charlie)
    visit(shop, "ann")
    deliver(hook)
    assert inbox.got == []
    assert Destination.objects.get().project == other_project
