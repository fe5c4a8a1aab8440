"""What one hypothetical event would do to one profile: which personas change at once, and which later by time alone.

Nothing is stored. The event goes through the reader of the pipeline wire and is judged by the same code as real ones.
"""

from functools import partial
from typing import Any

import msgspec

from ingestion.applying import traits
from ingestion.dialects import pipeline
from ingestion.events import Event, Json
from ingestion.models import DedupeKey, Profile
from keys.models import Project
from persona.lib import ids
from persona.lib.clock import MS_PER_DAY, rfc3339
from persona.lib.problems import Problem
from segments import cursors, definitions, facts
from segments.facts import Wanted
from segments.insight.future import turns
from segments.models import Persona
from segments.rules import Facts, Row, facts_from
from segments.rules.compare import as_kept

AHEAD = 30 * MS_PER_DAY
MOST = 20  # later changes shown of one persona


class Move(msgspec.Struct, frozen=True):
    """One enter or leave that would come. `at` is RFC 3339."""

    persona: str
    op: str
    at: str


class Outlook(msgspec.Struct, frozen=True):
    """now: what the event would change at once; later: what time alone would change afterwards, within 30 days."""

    now: list[Move]
    later: list[Move]


def outlook(*, project: Project, event: Any, profile: Profile | None = None) -> Outlook:
    """Judge `event` (as the pipeline wire takes it) for `profile`; None: somebody nobody has seen yet.

    Raises Problem 400 with the code of the event's rejection.
    """
    happened = _read(event)
    with cursors.raw_cursor() as cursor:
        defined = definitions.of_project(cursor, project.pk)
        now = cursors.clock(cursor)
        known = facts_from(retention=project.retention)
        if profile is not None:
            wanted = {profile.pk: Wanted(defined.whole_plan(frozenset(defined.personas)), now)}
            known = facts.gather(cursor, project.pk, wanted, retention=defined.retention, now=now)[profile.pk]
    imagined = known if _is_known(project, happened) else _with(known, happened, now, _written(profile))
    slugs = dict(Persona.objects.filter(pk__in=defined.personas).values_list("id", "slug"))
    at_once: list[Move] = []
    later: list[tuple[int, Move]] = []
    for persona, definition in defined.personas.items():
        before, value = definition.compiled.value(known, now) > 0, partial(definition.compiled.value, imagined)
        inside = value(now) > 0
        if inside is not before:
            at_once.append(_move(slugs[persona], inside, now))
        ahead = turns(value, now=now, until=now + AHEAD, most=MOST)
        later += [(turn.at, _move(slugs[persona], turn.enters, turn.at)) for turn in ahead]
    return Outlook(sorted(at_once, key=lambda move: move.persona), [move for _, move in sorted(later, key=_by_time)])


def _by_time(move: tuple[int, Move]) -> tuple[int, str]:
    return move[0], move[1].persona


def _move(persona: str, enters: bool, at: int) -> Move:
    return Move(persona, "enter" if enters else "leave", rfc3339(at))


def _read(event: Any) -> Event:
    reading = pipeline.read(msgspec.json.encode({"batch": [event]}))
    for rejection in reading.rejections:
        raise Problem(400, rejection.code, f"{_place(rejection.field)}: {rejection.detail}")
    return reading.events[0]


def _place(field: str) -> str:
    return f"event.{field}" if field else "event"


def _is_known(project: Project, event: Event) -> bool:
    """Whether it is an event that was stored already: then it would change nothing."""
    if event.message_id is None:
        return False
    return DedupeKey.objects.filter(project=project, uid=ids.event_uid(event.message_id)).exists()


def _written(profile: Profile | None) -> traits.State:
    """The traits, with the instants at which they were written."""
    if profile is None:
        return {}
    times = {key: (int(ts), str(uid)) for key, (ts, uid) in profile.trait_ts.items()}
    return traits.loaded(profile.traits, times)


def _with(known: Facts, event: Event, now: int, written: traits.State) -> Facts:
    """The facts as they would be with that event: counted when it happened, its traits where no later ones stand."""
    uid = ids.event_uid(event.message_id or "hypothetical")
    row = Row(now if event.ts is None else max(0, min(event.ts, now)), uid, _stored(event), _kept(event.context or {}))
    events = {name: list(rows) for name, rows in known.events.items()}
    for name in {event.name, *({"*"} & events.keys())} if event.kind != "alias" else ():
        events[name] = sorted([row, *events.get(name, ())], key=lambda each: (each.ts, each.uid), reverse=True)
    return msgspec.structs.replace(
        known,
        events=events,
        traits=traits.values(traits.written(written, _kept(event.traits or {}), (row.ts, uid.hex()))),
        identified=known.identified or event.user_id is not None,
    )


def _stored(event: Event) -> Json:
    """What the writer keeps as its properties."""
    kept: Json = _kept((event.traits or {}) if event.kind == "identify" else event.properties)
    return kept


def _kept(value: Any) -> Any:
    """The value as it would come back from the database."""
    if isinstance(value, dict):
        return {key: _kept(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_kept(inner) for inner in value]
    return as_kept(value) if isinstance(value, float) else value
