"""The marks that a turn leaves for the evaluator: one row for each shard in which something happened. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from ingestion import stale
from ingestion.arrivals import Arrival
from ingestion.identity import Person
from ingestion.outcomes import Outcome
from ingestion.traits import Sheet

Row = tuple[int, int, bytes]  # shard, received_at of its oldest event, encoded marks


def rows(
    outcomes: Iterable[Outcome],
    touched: Iterable[Person],
    merged_away: Iterable[Person],
    sheets: Mapping[int, Sheet],
    names: Mapping[str, int],
    now: int,
) -> list[Row]:
    """Encoded marks by shard. Profiles to which no event came are marked at `now`."""
    arrivals: dict[int, list[Arrival]] = {}
    for outcome in outcomes:
        if outcome.is_event and outcome.person is not None and outcome.arrival is not None:
            arrivals.setdefault(outcome.person.id, []).append(outcome.arrival)
    shards: dict[int, list[stale.Mark]] = {}
    oldest: dict[int, int] = {}
    for person in touched:
        own = arrivals.get(person.id, ())
        mark = _mark(person, own, sheets.get(person.id), names, now)
        if mark.what or own:
            shards.setdefault(person.shard, []).append(mark)
            for arrival in own:
                oldest[person.shard] = min(oldest.get(person.shard, now), arrival.received_at)
    for person in merged_away:
        shards.setdefault(person.shard, []).append(stale.Mark(person.id, stale.MERGED, (), now, now, ""))
    return [(shard, oldest.get(shard, now), stale.encode(found)) for shard, found in sorted(shards.items())]


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
