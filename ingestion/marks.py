"""The marks that a turn leaves for the evaluator: one row for each shard in which something happened. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from ingestion import stale
from ingestion.arrivals import Arrival
from ingestion.identity import Person, survivor
from ingestion.outcomes import Outcome
from ingestion.traits import Sheet
from persona.lib import ids

Row = tuple[int, int, bytes]  # shard, received_at of its oldest event, encoded marks


def rows(
    outcomes: Iterable[Outcome],
    touched: Iterable[Person],
    merged_away: Iterable[Person],
    sheets: Mapping[int, Sheet],
    names: Mapping[str, int],
    now: int,
) -> list[Row]:
    """Encoded marks by shard. Profiles to which no event came are marked at `now`; those to whom nothing but an import
    came are not, unless it made them one with another: they are judged at its end."""
    outcomes = list(outcomes)
    quiet = _quiet(outcomes)
    arrivals: dict[int, list[Arrival]] = {}
    for outcome in outcomes:
        if outcome.is_event and outcome.person is not None and outcome.arrival is not None:
            arrivals.setdefault(outcome.person.id, []).append(outcome.arrival)
    shards: dict[int, list[stale.Mark]] = {}
    oldest: dict[int, int] = {}
    for person in touched:
        if quiet(person):
            if person.united:
                united = stale.Mark(person.id, stale.MERGED | stale.QUIET, (), now, now, "")
                shards.setdefault(person.shard, []).append(united)
            continue
        own = arrivals.get(person.id, ())
        mark = _mark(person, own, sheets.get(person.id), names, now)
        if mark.what or own:
            shards.setdefault(person.shard, []).append(mark)
            for arrival in own:
                oldest[person.shard] = min(oldest.get(person.shard, now), arrival.received_at)
    for person in merged_away:
        what = stale.MERGED | (stale.QUIET if quiet(survivor(person)) else 0)
        shards.setdefault(person.shard, []).append(stale.Mark(person.id, what, (), now, now, ""))
    return [(shard, oldest.get(shard, now), stale.encode(found)) for shard, found in sorted(shards.items())]


def _quiet(outcomes: Iterable[Outcome]) -> Callable[[Person], bool]:
    """Who is not judged because of this turn: everybody, when all of it is imported, else whom only that is about."""
    imported: set[int] = set()
    live: set[int] = set()
    has_live = has_imported = False
    for outcome in outcomes:
        past = ids.imported(outcome.batch.batch_id)
        has_imported, has_live = has_imported or past, has_live or not past
        if outcome.person is not None and outcome.what == "stored":
            (imported if past else live).add(outcome.person.id)
    if not has_imported:
        return lambda _: False
    if not has_live:
        return lambda _: True
    return lambda person: person.id in imported and person.id not in live


def _mark(
    person: Person, arrivals: Sequence[Arrival], sheet: Sheet | None, names: Mapping[str, int], now: int
) -> stale.Mark:
    if len(arrivals) == 1:  # the common case: nothing to sort
        last: Arrival | None = arrivals[0]
        numbers = [names[arrivals[0].event.name]]
    else:
        last = max(arrivals, key=lambda arrival: (arrival.ts, arrival.uid), default=None)
        numbers = sorted({names[arrival.event.name] for arrival in arrivals})
    return stale.Mark(
        profile=person.id,
        what=_what(person, sheet),
        names=tuple(numbers),
        received_at=now if last is None else last.received_at,
        ts=now if last is None else last.ts,
        uid="" if last is None else last.uid.hex(),
    )


def _what(person: Person, sheet: Sheet | None) -> int:
    """A new profile that took a stored one in has events from before: that is a merge, nothing new."""
    traits_changed = (sheet is not None and sheet.changed) or (person.stored and person.named)
    origin = stale.MERGED if person.united else 0 if person.stored else stale.NEW
    return origin | (stale.TRAITS if traits_changed else 0)
