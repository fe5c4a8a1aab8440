"""Judge one profile for one persona: from what was known and what is known now to log rows and the next instant.

Pure: no database, no Django. The value of a rule is a signed instant f (see segments.rules): member while f > 0,
certain until |f|. A timer that is due is stepped through every such instant up to now, so that the log carries the
exact instants however late the worker wakes.
"""

from collections.abc import Callable

import msgspec

from ingestion.applying import stale
from ingestion.applying.stale import Mark
from segments.rules import INF, NEVER

# What made a membership change, as the change log says it.
EVENT, TIME, TRAIT, DEFINITION, MERGE = "event", "time", "trait", "definition", "merge"


class Current(msgspec.Struct, frozen=True, gc=False):
    """The stored membership of one profile and persona."""

    is_member: bool
    since: int
    revision: int
    recheck_at: int | None


class Flip(msgspec.Struct, frozen=True, gc=False):
    """One enter or leave, as it will stand in the log."""

    enters: bool
    at: int
    cause: str
    trigger: bytes | None = None
    late_ms: int | None = None


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What to store: the flips, oldest first, and the membership after them; `write` is False if nothing moved."""

    flips: tuple[Flip, ...]
    is_member: bool
    since: int
    recheck_at: int | None
    write: bool


NOBODY = Current(is_member=False, since=0, revision=0, recheck_at=None)


def stands(f: int, now: int, revision: int, current: Current | None) -> bool:
    """Whether f, the value at `now`, leaves everything as it is stored: then there is nothing to decide or write."""
    if current is None:
        return f == NEVER
    until = abs(f)
    if until <= now:
        return False  # no value of a rule: judge() says so
    recheck = current.recheck_at
    if (f > 0) is not current.is_member or current.revision != revision or (recheck is not None and recheck <= now):
        return False
    return until >= INF or (recheck is not None and recheck <= until)


def judge(
    value: Callable[[int], int],
    *,
    now: int,
    revision: int,
    current: Current | None,
    mark: Mark | None = None,
    on_traits: bool = False,
    event_at: Callable[[int], bytes | None] = lambda _: None,
    known: int | None = None,
) -> Verdict:
    """Decide one pair.

    value: instant -> f, with all facts known at this claim; now: the database's clock after the claim; known: the
    value at `now`, if it has been asked for already;
    revision: of the persona, another than the stored one when its rule has come to mean something else;
    mark: what happened to the profile, None for a timer or a backfill; on_traits: the rule reads traits and its
    events did not occur in the mark; event_at: the uid of a known event with exactly that ts (catch-up only).
    """
    before = current or NOBODY
    due = before.recheck_at is not None and before.recheck_at <= now
    defined_anew = current is not None and current.revision != revision
    # A new definition or a merge is judged as of now: what the old rule promised for an instant is no longer said.
    stepping = due and not defined_anew and not (mark and mark.what & stale.MERGED)
    instant = before.recheck_at if stepping and before.recheck_at is not None else now
    member, since = before.is_member, before.since
    flips: list[Flip] = []
    while True:
        f = known if known is not None and instant == now else value(instant)
        if (f > 0) is not member:
            member = f > 0
            if stepping and (instant < now or mark is None):
                flip = _passed(instant, member, event_at(instant))
            elif mark is None or defined_anew:
                flip = Flip(member, now, DEFINITION)
            else:
                flip = _by_mark(mark, member, on_traits)
            if flip.at < since:  # `at` of a pair never decreases
                flip = msgspec.structs.replace(flip, at=since)
            flips.append(flip)
            since = flip.at
        until = abs(f)
        if until > now:
            break
        if until <= instant:
            raise AssertionError(f"a rule's value {f} at {instant} does not reach beyond that instant")
        instant = until
    recheck = None if until >= INF else until
    write = _worth_writing(current, flips, recheck, member, revision, due)
    return Verdict(tuple(flips), member, since, recheck, write)


def _passed(instant: int, enters: bool, uid: bytes | None) -> Flip:
    return Flip(enters, instant, TIME if uid is None else EVENT, uid)


def _by_mark(mark: Mark, enters: bool, on_traits: bool) -> Flip:
    uid = bytes.fromhex(mark.uid) or None
    if mark.what & stale.MERGED:
        return Flip(enters, mark.received_at, MERGE, uid)
    cause = TRAIT if mark.what & stale.TRAITS and on_traits else EVENT
    late = mark.received_at - mark.ts if uid else None
    return Flip(enters, mark.received_at, cause, uid, late)


def _worth_writing(
    current: Current | None, flips: list[Flip], recheck: int | None, member: bool, revision: int, due: bool
) -> bool:
    """Timers are lazy: an instant that moved later is left alone, it will be put right when it fires."""
    if flips:
        return True
    if current is None:
        return member or recheck is not None
    if due or current.revision != revision:
        return True
    return recheck is not None and (current.recheck_at is None or recheck < current.recheck_at)
