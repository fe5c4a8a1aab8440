"""Verify a project while it lives: are all memberships what the rules say of the stored events, do the timers hold,
and does the change log explain every membership?

Each page of profiles is read in one snapshot. What is on its way there (a stale profile, a due timer, a persona that is
being judged anew) is left aside and looked at again; it is a difference only if it is still wrong when all is judged.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import msgspec
from django.db import connection, transaction

from ingestion import stale
from keys.models import Project
from segments import cursors, definitions, facts, memberships
from segments.cursors import Rows
from segments.definitions import Definitions
from segments.facts import Wanted
from segments.insight import people
from segments.judge import Current
from segments.memberships import Pair
from segments.models import Persona
from segments.rules import INF

AGAIN = 20  # rounds in which what was on its way is looked at once more
PAUSE = 0.25  # seconds between two of them

MARKS = "select items from ingestion_staleprofiles where project_id = %s"
# What replay of the log leaves: the last op of each pair. A member from before the oldest kept row needs no row.
UNEXPLAINED = """
with last as (
    select distinct on (profile_id, persona_id) profile_id, persona_id, op, seq
    from segments_change where project_id = %(project)s order by profile_id, persona_id, seq desc
), oldest as (select min(at) as at from segments_change where project_id = %(project)s)
select format('profile %%s is %%s of persona %%s; the last word of the log is %%s (%%s)',
    coalesce(m.profile_id, l.profile_id), case when m.is_member then 'a member' else 'no member' end,
    coalesce(m.persona_id, l.persona_id), coalesce(l.op, 'nothing'), l.seq)
from (select * from segments_membership where project_id = %(project)s) m
full join last l on l.profile_id = m.profile_id and l.persona_id = m.persona_id
cross join oldest
where coalesce(m.is_member, false) <> (coalesce(l.op, 'leave') = 'enter')
    and not (l.op is null and m.is_member and m.since <= coalesce(oldest.at, m.since))
limit 1000
"""
# A row that repeats the op before it, goes back in time, or follows a number that is missing.
BROKEN = """
select format('change %%s: %%s after %%s, at %%s after %%s, %%s after the number before',
    seq, op, before, at, at_before, seq - seq_before)
from (
    select seq, op, at, lag(op) over pair as before, lag(at) over pair as at_before, lag(seq) over log as seq_before
    from segments_change where project_id = %(project)s
    window pair as (partition by profile_id, persona_id order by seq), log as (order by seq)
) rows where op = before or at < at_before or seq - seq_before > 1
order by seq limit 1000
"""
HEAD = """
select format('the head stands at %%s, the newest change is %%s', h.last_seq, newest.seq)
from segments_head h, (select max(seq) as seq from segments_change where project_id = %(project)s) newest
where h.project_id = %(project)s and newest.seq <> h.last_seq
"""
ORPHANS = """
select format('%%s rows of %%s belong to no profile', n, name) from (
    select count(*) as n, 'segments_membership' as name from segments_membership m where m.project_id = %(project)s
        and not exists (select from ingestion_profile p where p.project_id = m.project_id and p.id = m.profile_id)
    union all
    select count(*), 'ingestion_alias' from ingestion_alias a where a.project_id = %(project)s
        and not exists (select from ingestion_profile p where p.project_id = a.project_id and p.id = a.profile_id)
) counted where n > 0
"""


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as it should be; `what` is a sentence."""

    kind: str  # membership, timer, log, orphan
    what: str


class Report(msgspec.Struct):
    """What was looked at and what is wrong."""

    profiles: int = 0
    pairs: int = 0
    changes_at: int = 0  # pairs that are different at the instant asked for
    differences: list[Difference] = msgspec.field(default_factory=list)


def verify(project: Project, *, at: int | None = None, rounds: int = AGAIN) -> Iterator[Report]:
    """Look at everything; yields the growing report after each page, the last one is the whole.

    at: an instant (ms) in the future: also counts who will be in or out then if nothing happens, and holds the timers
    against that. rounds: how often what is on its way is looked at again.
    """
    report = Report()
    waiting: dict[int, None] = {}
    last = 0
    while profiles := people.page(project.pk, last):
        waiting |= dict.fromkeys(_look(project.pk, profiles, report, at))
        report.profiles += len(profiles)
        last = profiles[-1]
        yield report
    yield from _look_again(project.pk, list(waiting), report, at, rounds)
    _log(project.pk, report)
    yield report


def _look_again(project_id: int, waiting: list[int], report: Report, at: int | None, rounds: int) -> Iterator[Report]:
    for _ in range(rounds):
        if not waiting:
            return
        time.sleep(PAUSE)  # what was on its way arrives meanwhile
        waiting = [
            profile
            for start in range(0, len(waiting), people.PAGE)
            for profile in _look(project_id, waiting[start : start + people.PAGE], report, at)
        ]
        yield report
    if waiting:
        text = f"{len(waiting)} profiles were still not judged after {rounds * PAUSE:.0f} s: is a worker running?"
        report.differences.append(Difference("membership", text))


@contextmanager
def _snapshot() -> Iterator[Rows]:
    """One state of the database for several statements, without a lock that anybody would wait for."""
    with transaction.atomic(), cursors.raw_cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        yield cursor


def _look(project_id: int, profiles: list[int], report: Report, at: int | None) -> list[int]:
    """Compare a page; the profiles that have to be looked at again."""
    with _snapshot() as cursor:
        now = cursors.clock(cursor)
        defined = definitions.of_project(cursor, project_id)
        settled = _settled(project_id, defined)
        current = memberships.stored(cursor, project_id, profiles)
        marked = _marked(cursor, project_id)
        plan = defined.plan(settled)
        wanted = {profile: Wanted(plan, now) for profile in profiles if profile not in marked}
        known = facts.gather(cursor, project_id, wanted, retention=defined.retention, now=now)
    again = [profile for profile in profiles if profile in marked]
    for profile, fact in known.items():
        pairs = [(profile, persona) for persona in settled]
        if any(_due(current.get(pair), now) for pair in pairs):
            again.append(profile)
            continue
        for pair in pairs:
            value = partial(defined.personas[pair[1]].compiled.value, fact)
            report.pairs += 1
            report.differences += _compare(pair, value(now), current.get(pair))
            if at is not None and (value(at) > 0) is not (value(now) > 0):
                report.changes_at += 1
                report.differences += _timer(pair, current.get(pair), at)
    return again


def _settled(project_id: int, defined: Definitions) -> frozenset[int]:
    """The personas that everybody has been judged by."""
    live = Persona.objects.filter(project_id=project_id, status=Persona.Status.LIVE, deleted_at=None)
    return frozenset(live.values_list("id", flat=True)) & frozenset(defined.personas)


def _marked(cursor: Rows, project_id: int) -> set[int]:
    cursor.execute(MARKS, (project_id,))
    return {mark.profile for (items,) in cursor.fetchall() for mark in stale.decode(items)}


def _due(current: Current | None, now: int) -> bool:
    return current is not None and current.recheck_at is not None and current.recheck_at <= now


def _compare(pair: Pair, f: int, current: Current | None) -> list[Difference]:
    is_member = current is not None and current.is_member
    if is_member is not (f > 0):
        said = "a member" if is_member else "no member"
        return [Difference("membership", f"profile {pair[0]} is {said} of persona {pair[1]} against its events")]
    return _timer(pair, current, abs(f)) if abs(f) < INF else []


def _timer(pair: Pair, current: Current | None, until: int) -> list[Difference]:
    """A timer may fire early, never late."""
    recheck = None if current is None else current.recheck_at
    if recheck is not None and recheck <= until:
        return []
    text = f"profile {pair[0]}, persona {pair[1]}: judged again at {recheck}, but may change at {until}"
    return [Difference("timer", text)]


def _log(project_id: int, report: Report) -> None:
    with connection.cursor() as cursor:
        for kind, statement in (("log", UNEXPLAINED), ("log", BROKEN), ("log", HEAD), ("orphan", ORPHANS)):
            cursor.execute(statement, {"project": project_id})
            report.differences += [Difference(kind, what) for (what,) in cursor.fetchall()]
