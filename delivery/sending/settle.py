"""Write down what became of a wave: delivered, waiting for another try, or a dead letter; and how the receiver does."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import msgspec
from django.db import connection, transaction

from delivery.models import Attempt, Destination
from delivery.outgoing import Verdict
from delivery.sending import counting, forwarding, queue, schedule
from delivery.sending.queue import Claim, Waiting
from delivery.sending.wave import Result, Wave, is_taken
from persona.lib.log import get_logger

log = get_logger(__name__)

TRIES_KEPT = 20
ANSWER_CHARACTERS = 1_000  # of an answer that are kept
HOPELESS = 5  # deliveries that wait at a receiver from which nothing was heard for a day: it is paused

SETTLE = """
update delivery_attempt a set status = r.status, tried = a.tried + r.tried, next_at = r.next_at,
    first_tried_at = coalesce(a.first_tried_at, %(now)s), body = coalesce(r.body, a.body), n = coalesce(r.n, a.n),
    settled_at = case when r.status = 'waiting' then null else %(now)s end,
    tries = (case when jsonb_array_length(a.tries) >= %(kept)s then a.tries - 0 else a.tries end) || r.tries
from json_to_recordset(%(rows)s) as r(id bigint, status text, tried integer, next_at bigint, body text,
    n integer, tries jsonb)
where a.project_id = %(project)s and a.id = r.id and a.status = 'waiting'
"""
# What waits behind a delivery moves with it.
FOLLOW = """
update delivery_attempt a set next_at = r.next_at
from json_to_recordset(%(rows)s) as r(profile bigint, next_at bigint)
where a.project_id = %(project)s and a.destination_id = %(destination)s and a.profile_id = r.profile
  and a.status = 'waiting'
"""
SPLIT = """
insert into delivery_attempt (project_id, destination_id, kind, status, first_seq, seq, n, body, next_at, created_at,
    first_tried_at, settled_at, tried, tries)
select a.project_id, a.destination_id, a.kind, r.status, a.first_seq, a.seq, r.n, r.body, r.next_at, a.created_at,
    coalesce(a.first_tried_at, %(now)s), case when r.status = 'waiting' then null else %(now)s end, a.tried, r.tries
from json_to_recordset(%(rows)s) as r(id bigint, status text, next_at bigint, body text, n integer, tries jsonb)
join delivery_attempt a on a.project_id = %(project)s and a.id = r.id
"""
RECEIVER = """
update delivery_cursor set failures = %(failures)s, last_error = %(error)s, resting_until = %(resting)s,
    failing_since = case when %(well)s then null else coalesce(failing_since, %(now)s) end
where project_id = %(project)s and destination_id = %(destination)s returning failing_since
"""
ALL_DUE = """
update delivery_attempt set next_at = %s where project_id = %s and destination_id = %s and status = 'waiting'
"""


class Settled(msgspec.Struct, omit_defaults=False):
    """One row of the statements above."""

    id: int
    status: str
    next_at: int
    tries: list[dict[str, Any]]
    tried: int = 1
    body: str | None = None
    n: int | None = None


class Ledger(msgspec.Struct):
    """What is going to be written for one wave."""

    now: int
    settled: list[Settled] = []
    split: list[Settled] = []
    moved: dict[int, int] = {}  # by profile: when its deliveries come next


def settle(destination: Destination, claim: Claim, wave: Wave, results: Sequence[Result]) -> None:
    """Everything about one wave, in one transaction; with it the destination is free for the next. Nothing of it when
    another worker has taken the destination over, who sends what still waits once more."""
    with transaction.atomic():
        ledger = Ledger(queue.clock())
        failures = _receiver(destination, claim, results, ledger.now)
        for result in results:
            _note(ledger, destination, result, failures)
        ledger.settled += [_row(one, Attempt.Status.DELIVERED, ledger.now, []) for one in wave.gone]
        _write(destination, ledger)
        statuses = [row.status for row in (*ledger.settled, *ledger.split)]
        transaction.on_commit(partial(counting.count, destination, results, statuses), robust=True)
        if any(is_well(result) for result in results) and claim.failures >= schedule.FAILURES_TO_REST:
            with connection.cursor() as cursor:
                cursor.execute(ALL_DUE, [ledger.now, destination.project_id, destination.pk])
        if not queue.release(claim):
            log.warning("destination.taken_over", project=destination.project_id, destination=destination.public_id)
            transaction.set_rollback(True)


def is_well(result: Result) -> bool:
    return is_taken(result.verdict) and not result.verdict.refused


def _note(ledger: Ledger, destination: Destination, result: Result, failures: int) -> None:
    if destination.forwards:
        _note_events(ledger, result)
    elif is_taken(result.verdict):
        tries = [_try(result)]
        ledger.settled += [_row(one, Attempt.Status.DELIVERED, ledger.now, tries) for one in result.parcel.deliveries]
    else:
        _note_failed(ledger, result, resting=failures >= schedule.FAILURES_TO_REST)


def _note_failed(ledger: Ledger, result: Result, *, resting: bool) -> None:
    """A webhook that was not taken: tried again, with all that waits behind it, or dead, and what is behind goes on."""
    for one in result.parcel.deliveries:
        row = _row(one, Attempt.Status.WAITING, ledger.now, [_try(result)])
        if _is_over(one, ledger, result.verdict):
            row.status = Attempt.Status.DEAD
        else:
            row.next_at = ledger.now + _delay(one, result, resting=resting)
        ledger.settled.append(row)
        if one.profile_id is not None:
            ledger.moved[one.profile_id] = max(row.next_at, ledger.moved.get(one.profile_id, 0))


def _delay(one: Waiting, result: Result, *, resting: bool) -> int:
    """A receiver that fails as a whole is probed soon; a delivery that fails alone waits longer each time."""
    own = schedule.retry_in(one.tried + 1, wait=result.verdict.wait)
    return min(own, schedule.REST_LONGEST_MS) if resting and result.verdict.blame else own


def _note_events(ledger: Ledger, result: Result) -> None:
    """Of a batch of events: some are taken, some never will be, some have to be sent again."""
    (one,) = result.parcel.deliveries
    verdict, tries = result.verdict, [_try(result)]
    refs = {ref.id: ref for ref in forwarding.refs_of(one.body)}
    if verdict.too_large and len(refs) > 1:
        _halve(ledger, one, list(refs.values()), result)
        return
    dead = [refs[key] for key in verdict.refused if key in refs]
    if dead:
        reasons = "; ".join(sorted(set(verdict.refused.values()))[:10])
        said = [{**tries[0], "error": reasons[:ANSWER_CHARACTERS]}]
        ledger.split.append(_part(one, Attempt.Status.DEAD, ledger.now, dead, said))
    over = _is_over(one, ledger, verdict)
    later = [refs[key] for key in verdict.later if key in refs]
    again = [refs[key] for key in verdict.again if key in refs]
    due = ledger.now + schedule.retry_in(one.tried + 1, wait=verdict.wait)
    status = Attempt.Status.DEAD if over or verdict.too_large else Attempt.Status.WAITING
    if again and later:
        ledger.split.append(_part(one, status, due, later, tries))
    rest = again or later
    row = _row(one, Attempt.Status.DELIVERED, ledger.now, tries)
    if rest:
        row.status, row.next_at = (Attempt.Status.WAITING, ledger.now) if again else (status, due)
    row.body, row.n = forwarding.encoded(rest), len(rest) or len(refs) - len(dead)
    ledger.settled.append(row)


def _halve(ledger: Ledger, one: Waiting, refs: list[forwarding.Ref], result: Result) -> None:
    middle = len(refs) // 2
    row = _row(one, Attempt.Status.WAITING, ledger.now, [_try(result)])
    row.body, row.n = forwarding.encoded(refs[:middle]), middle
    ledger.settled.append(row)
    ledger.split.append(_part(one, Attempt.Status.WAITING, ledger.now, refs[middle:], []))


def _part(one: Waiting, status: str, due: int, refs: Sequence[forwarding.Ref], tries: list[dict[str, Any]]) -> Settled:
    return Settled(one.id, status, due, tries, body=forwarding.encoded(refs), n=len(refs))


def _row(one: Waiting, status: str, due: int, tries: list[dict[str, Any]]) -> Settled:
    return Settled(one.id, status, due, tries)


def _is_over(one: Waiting, ledger: Ledger, verdict: Verdict) -> bool:
    """Whether it has been tried for long enough. What a paused receiver misses is not lost."""
    return one.first_tried_at is not None and schedule.is_over(one.first_tried_at, ledger.now) and not verdict.pause


def _try(result: Result) -> dict[str, Any]:
    """One try as the delivery log shows it. Of an analytics product's answer only what it comes to: the rest is about
    people."""
    answer = "" if result.parcel.items and result.parcel.items[0].event else _text(result)
    error = result.verdict.error
    return {
        "at": result.at,
        "status": result.answer.status or None,
        "ms": result.answer.ms,
        "error": error or None,
        "answer": answer,
    }


def _text(result: Result) -> str:
    answer = result.answer.body.decode("utf-8", "replace").replace("\x00", "")
    return answer[:ANSWER_CHARACTERS]


def _write(destination: Destination, ledger: Ledger) -> None:
    scope = {"project": destination.project_id, "destination": destination.pk}
    with connection.cursor() as cursor:
        if ledger.split:
            cursor.execute(SPLIT, {**scope, "now": ledger.now, "rows": _json(ledger.split)})
        if ledger.settled:
            rows = _json(ledger.settled)
            cursor.execute(SETTLE, {**scope, "now": ledger.now, "kept": TRIES_KEPT, "rows": rows})
        if ledger.moved:
            moved = [{"profile": profile, "next_at": at} for profile, at in ledger.moved.items()]
            cursor.execute(FOLLOW, {**scope, "rows": _json(moved)})


def _json(rows: Iterable[object]) -> str:
    return msgspec.json.encode(rows).decode()


def _receiver(destination: Destination, claim: Claim, results: Sequence[Result], now: int) -> int:
    """How the receiver as a whole does: its failures in a row. Pauses a hopeless one."""
    if not results:
        return claim.failures
    well = any(is_well(result) for result in results)
    failed = [result for result in results if not is_taken(result.verdict)]
    blamed = [result for result in failed if result.verdict.blame]
    # A delivery that fails once more says nothing new about its receiver, unless that is being probed.
    probing = claim.failures >= schedule.FAILURES_TO_REST
    fresh = [one for one in blamed if probing or all(each.tried == 0 for each in one.parcel.deliveries)]
    failures = len(fresh) if well else claim.failures + len(fresh)
    waits = [result.verdict.wait for result in blamed if result.verdict.wait]
    rest = schedule.rest_for(failures, wait=max(waits, default=None)) if blamed else 0
    values: dict[str, Any] = {
        "project": destination.project_id,
        "destination": destination.pk,
        "now": now,
        "error": failed[-1].verdict.error if failed else "",
        "failures": failures,
        "resting": now + rest,
        "well": well or not failed,
    }
    with connection.cursor() as cursor:
        cursor.execute(RECEIVER, values)
        row = cursor.fetchone()
    _pause_if_hopeless(destination, results, failures, None if row is None else row[0], now)
    return failures


def _pause_if_hopeless(
    destination: Destination, results: Sequence[Result], failures: int, failing_since: int | None, now: int
) -> None:
    reason = next((result.verdict.pause for result in results if result.verdict.pause), "")
    if not reason and failing_since is not None and schedule.is_over(failing_since, now):
        waiting = Attempt.objects.filter(
            project_id=destination.project_id, destination_id=destination.pk, status=Attempt.Status.WAITING
        )
        if failures >= schedule.FAILURES_TO_REST or waiting[:HOPELESS].count() >= HOPELESS:
            reason = f"Nothing has got through for 24 hours. {results[-1].verdict.error}"
    if reason:
        pause(destination, reason)


def pause(destination: Destination, reason: str) -> None:
    """Stop delivering, with a reason that people see. What waits goes on waiting."""
    Destination.objects.filter(pk=destination.pk, status=Destination.Status.ACTIVE).update(
        status=Destination.Status.PAUSED, paused_because=reason[:500]
    )
    counting.PAUSED.inc()
    log.warning("destination.paused", project=destination.project_id, destination=destination.public_id)
