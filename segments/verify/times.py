"""What time brought about, held against the events: could anything happen at that very instant?

First with all that is known now. Where that does not explain a row, with what had been received up to some moment
around it: events may have come late, or the worker, or what it applied first.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from keys.models import AuditEntry, Project
from persona.lib.clock import milliseconds
from segments import facts, lookups
from segments.cursors import Rows
from segments.definitions import Definition, Definitions
from segments.facts import Wanted
from segments.insight import past
from segments.insight.past import History
from segments.models import Persona
from segments.rules import Facts
from segments.verify.report import Difference

ROWS = 5_000  # the newest of a page of profiles
SUSPECTS = 100  # profiles of a page whose whole history is read
NEAR = 20  # instants before, and after, up to which events may have been known
FIRST = 2  # the revision of a persona whose rule has always meant what it meant when it was first judged by
PUT_BACK = ("dead_letter.redriven", "batch.retried")
MARGIN = 60_000  # ms in which a turn may still have judged by what the rule meant before

# Also what a worker that came late found at the instant of an event. Not of who took somebody in: what came to which of
# the two is no longer known.
LOGGED = """
select c.seq, c.profile_id, c.persona_id, c.op = 'enter', c.at from segments_change c
join unnest(%(personas)s::bigint[], %(since)s::bigint[]) p(persona, since) on c.persona_id = p.persona
where c.project_id = %(project)s and c.profile_id > %(after)s and c.profile_id <= %(upto)s
    and (c.cause = 'time' or c.cause = 'event' and c.late_ms is null) and c.at > p.since and not exists (
        select from ingestion_profile m where m.project_id = %(project)s and m.merged_into = c.profile_id)
order by c.seq desc limit %(most)s
"""


class Logged(NamedTuple):
    """An enter or leave that was logged for an instant, in ms, and not for the receipt of an event."""

    seq: int
    profile: int
    persona: int
    enters: bool
    at: int


def unexplained(
    cursor: Rows, project_id: int, defined: Definitions, settled: frozenset[int], *, after: int, upto: int, now: int
) -> Iterator[Difference]:
    """The rows of the profiles with ids above `after`, up to `upto`, at whose instants nothing could change.

    settled: the personas that are looked at. A row that may have hung on events which are no longer kept is left aside,
    and so is one from before somebody put events back: these came with the instant of their first receipt.
    """
    rows = _logged(cursor, project_id, defined, settled, after=after, upto=upto, now=now)
    known = facts.gather(cursor, project_id, _wanted(defined, rows), retention=defined.retention, now=now)
    suspects: dict[int, list[Logged]] = {}
    for row in rows:
        if row.profile in known and not _explained(defined.personas[row.persona], row, known[row.profile]):
            suspects.setdefault(row.profile, []).append(row)
    returned = _returned(project_id) if suspects else 0
    for profile, some in list(suspects.items())[:SUSPECTS]:
        plan = defined.whole_plan(frozenset(row.persona for row in some))
        since = min(row.at for row in some) - 1
        history = past.read(cursor, project_id, profile, plan, known[profile], since=since, upto=now)
        for row in some:
            if row.at > returned and not _explainable(defined.personas[row.persona], row, history):
                yield Difference("log", _said(row))


def _logged(
    cursor: Rows, project_id: int, defined: Definitions, settled: frozenset[int], *, after: int, upto: int, now: int
) -> list[Logged]:
    since = {persona: at for persona, at in _since(settled).items() if persona in defined.personas}
    asked = {"project": project_id, "after": after, "upto": upto, "most": ROWS}
    arrays = {"personas": lookups.int_array(since), "since": lookups.int_array(since.values())}
    cursor.execute(LOGGED, asked | arrays)
    kept = 0 if _is_young(project_id, now - defined.retention) else now - defined.retention
    rows = map(Logged._make, cursor.fetchall())
    return [row for row in rows if row.at - _reach(defined.personas[row.persona], defined.retention) > kept]


def _is_young(project_id: int, before: int) -> bool:
    """Whether there was nothing of the project yet at that instant, so that nothing has been dropped."""
    return milliseconds(Project.objects.values_list("created_at", flat=True).get(pk=project_id)) >= before


def _returned(project_id: int) -> int:
    """When (ms) the events that were put back last have surely been applied; 0: none ever were."""
    entries = AuditEntry.objects.filter(project=project_id, action__in=PUT_BACK).order_by("-id")
    last = entries.values_list("at", flat=True).first()
    return 0 if last is None else milliseconds(last) + MARGIN


def _since(personas: Iterable[int]) -> Mapping[int, int]:
    """Of each persona, from when on (ms) all has been judged by what its rule means now; 0: ever since."""
    rows = Persona.objects.filter(pk__in=personas).values_list("pk", "redefined_at", "revision")
    return {
        persona: milliseconds(at) + MARGIN if revision > FIRST else 0
        for persona, at, revision in rows
        if at is not None
    }


def _reach(definition: Definition, retention: int) -> int:
    """How old (ms) the events are, at most, that the rule looks at."""
    return max((retention if n.since is None else n.since for n in definition.compiled.needs), default=0)


def _wanted(defined: Definitions, rows: Iterable[Logged]) -> dict[int, Wanted]:
    of_profile: dict[int, list[Logged]] = {}
    for row in rows:
        of_profile.setdefault(row.profile, []).append(row)
    return {
        profile: Wanted(defined.plan({row.persona for row in some}), min(row.at for row in some) - 1)
        for profile, some in of_profile.items()
    }


def _explained(definition: Definition, row: Logged, fact: Facts) -> bool:
    """Whether the answer changes at that instant, or is not to be had: which of too many events counted is not kept."""
    if fact.merged_into is not None or fact.capped & definition.compiled.names:
        return True
    holds = _holds(definition, row)
    return holds(fact, row.at) and not holds(fact, row.at - 1)


def _explainable(definition: Definition, row: Logged, history: History) -> bool:
    """Whether there was a moment before which the answer was the other one, and then, or later, a moment after."""
    holds = _holds(definition, row)
    was_other = False
    for moment in _moments(history, row.at):
        known = history.known(moment)
        was_other = was_other or not holds(known, row.at - 1)
        if was_other and holds(known, row.at):
            return True
    return False


def _holds(definition: Definition, row: Logged) -> Callable[[Facts, int], bool]:
    """Whether the answer at an instant is the one that the row speaks of."""
    return lambda known, at: (definition.compiled.value(known, at) > 0) is row.enters


def _moments(history: History, at: int) -> list[int]:
    """Up to when events may have been known to who wrote that row, the earliest first."""
    received = sorted({-1, at, *(when for when, _, _ in history.events), *(when for when, _ in history.traits)})
    place = received.index(at) + 1
    return received[max(place - NEAR, 0) : place + NEAR]


def _said(row: Logged) -> str:
    verb = "enters" if row.enters else "leaves"
    return f"change {row.seq}: profile {row.profile} {verb} persona {row.persona} by time, but not at {row.at}"
