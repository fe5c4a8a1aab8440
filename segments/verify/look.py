"""Hold a page of profiles against their events, in one state of the database and without a lock that anybody waits for.

What is on its way there (a stale profile, a due timer, a persona that is being judged anew) is left aside.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from django.db import transaction

from ingestion.applying import stale
from segments import cursors, definitions, facts, memberships, warnings
from segments.cursors import Rows
from segments.definitions import Definition, Definitions
from segments.facts import Wanted
from segments.judge import Current
from segments.memberships import Pair
from segments.models import Persona
from segments.rules import INF, Facts
from segments.verify import log, times
from segments.verify.report import Difference, Report
from segments.warnings import Noticed

MARKS = "select at, items from ingestion_staleprofiles where project_id = %s"


class Range(NamedTuple):
    """The ids above `after`, up to `upto`: for what is told of all rows there, with a profile or without."""

    after: int
    upto: int


class Seen(NamedTuple):
    """now: the instant of the look, ms; waiting: who was not settled, and the oldest instant that waits there."""

    now: int
    waiting: dict[int, int]


def look(project_id: int, profiles: list[int], report: Report, *, at: int | None, rows: Range | None = None) -> Seen:
    """Compare these profiles. at: see `verify`; rows: also everything stored in that range of ids."""
    with _snapshot() as cursor:
        now = cursors.clock(cursor)
        defined = definitions.of_project(cursor, project_id)
        settled = _settled(project_id, defined)
        report.left_out = max(report.left_out, len(defined.personas) - len(settled))
        current = memberships.stored(cursor, project_id, profiles)
        marked = _marked(cursor, project_id)
        plan = defined.plan(settled) if at is None else defined.plan_ahead(settled)
        wanted = {profile: Wanted(plan, now) for profile in profiles if profile not in marked}
        known = facts.gather(cursor, project_id, wanted, retention=defined.retention, now=now)
        if rows is not None:
            found = log.of_range(cursor, project_id, after=rows.after, upto=rows.upto, marked={*marked}, now=now)
            report.add(found)
            report.add(times.unexplained(cursor, project_id, defined, settled, **rows._asdict(), now=now))
    waiting = {profile: marked[profile] for profile in profiles if profile in marked}
    noticed: list[Noticed] = []
    for profile, fact in known.items():
        of_profile = {persona: current.get((profile, persona)) for persona in settled}
        due = min((one.recheck_at for one in of_profile.values() if one and one.recheck_at is not None), default=INF)
        if due <= now:
            waiting[profile] = due
            continue
        for persona, one in of_profile.items():
            _hold(report, defined.personas[persona], fact, (profile, persona), one, now, at)
            noticed += warnings.notice(defined.personas[persona], profile, fact, now)
    warnings.store(project_id, noticed, now)
    return Seen(now, waiting)


@contextmanager
def _snapshot() -> Iterator[Rows]:
    with transaction.atomic(), cursors.raw_cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        yield cursor


def _settled(project_id: int, defined: Definitions) -> frozenset[int]:
    """The personas that everybody has been judged by."""
    live = Persona.objects.filter(project_id=project_id, status=Persona.Status.LIVE, deleted_at=None)
    return frozenset(live.values_list("id", flat=True)) & frozenset(defined.personas)


def _marked(cursor: Rows, project_id: int) -> Mapping[int, int]:
    """Profiles that wait to be judged, and since when."""
    cursor.execute(MARKS, (project_id,))
    marked: dict[int, int] = {}
    for at, items in cursor.fetchall():
        for mark in stale.decode(items):
            marked[mark.profile] = min(at, marked.get(mark.profile, at))
    return marked


def _hold(
    report: Report, definition: Definition, fact: Facts, pair: Pair, current: Current | None, now: int, at: int | None
) -> None:
    if fact.capped & definition.compiled.names:
        return  # which of too many events were looked at depends on when that was
    value = partial(definition.compiled.value, fact)
    f = value(now)
    report.pairs += 1
    report.add(_compare(pair, f, current))
    if at is not None and (value(at) > 0) is not (f > 0):
        report.changes_at += 1
        report.add(_timer(pair, current, at))


def _compare(pair: Pair, f: int, current: Current | None) -> Iterator[Difference]:
    is_member = current is not None and current.is_member
    if is_member is not (f > 0):
        said = "a member" if is_member else "no member"
        yield Difference("membership", f"profile {pair[0]} is {said} of persona {pair[1]} against its events")
    elif abs(f) < INF:
        yield from _timer(pair, current, abs(f))


def _timer(pair: Pair, current: Current | None, until: int) -> Iterator[Difference]:
    """A timer may fire early, never late."""
    recheck = None if current is None else current.recheck_at
    if recheck is None or recheck > until:
        text = f"profile {pair[0]}, persona {pair[1]}: judged again at {recheck}, but may change at {until}"
        yield Difference("timer", text)
