"""The marks that a turn leaves for the evaluator: one row for each shard in which something happened. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from ingestion.applying import stale
from ingestion.applying.arrivals import Arrival
from ingestion.applying.identity import Person, survivor
from ingestion.applying.stale import Mark
from ingestion.applying.turns import Turn
from persona.lib import ids

Row = tuple[int, int, bytes]  # shard, received_at of its oldest event, encoded marks


def rows(turn: Turn, touched: Iterable[Person]) -> list[Row]:
    """Encoded marks by shard. Profiles to which no event came are marked at `turn.now`; those to whom nothing but an
    import came are not, unless it made them one with another: they are judged at its end."""
    quiet = _quiet(turn)
    arrivals: defaultdict[int, list[Arrival]] = defaultdict(list)
    for outcome in turn.outcomes:
        if outcome.person is not None and outcome.arrival is not None and outcome.is_event:
            arrivals[outcome.person.id].append(outcome.arrival)
    shards: defaultdict[int, list[Mark]] = defaultdict(list)
    oldest: dict[int, int] = {}
    for person in touched:
        shard = person.shard
        if quiet is not None and quiet(person):
            if person.united:
                shards[shard].append(_without_event(turn, person, stale.MERGED | stale.QUIET))
            continue
        own = arrivals.get(person.id, ())
        mark = _mark(turn, person, own)
        if mark.what or own:
            shards[shard].append(mark)
            for arrival in own:
                if arrival.received_at < oldest.get(shard, turn.now):
                    oldest[shard] = arrival.received_at
    for person in turn.people.taken_in:
        imported = quiet is not None and quiet(survivor(person))
        shards[person.shard].append(_without_event(turn, person, stale.MERGED | (stale.QUIET if imported else 0)))
    return [(shard, oldest.get(shard, turn.now), stale.encode(found)) for shard, found in sorted(shards.items())]


def _quiet(turn: Turn) -> Callable[[Person], bool] | None:
    """Who is not judged because of this turn: whom nothing but an import is about. None: everybody is judged."""
    past = {batch.id for batch in turn.batches if ids.imported(batch.batch_id)}
    if not past:
        return None
    live = {
        each.person.id
        for each in turn.outcomes
        if each.person is not None and each.what == "stored" and each.batch.id not in past
    }
    imported = {
        each.person.id
        for each in turn.outcomes
        if each.person is not None and each.what == "stored" and each.batch.id in past
    }
    all_of_it = all(each.batch.id in past for each in turn.outcomes)
    return lambda person: all_of_it or (person.id in imported and person.id not in live)


def _mark(turn: Turn, person: Person, arrivals: Sequence[Arrival]) -> Mark:
    what = _what(turn, person)
    if not arrivals:
        return _without_event(turn, person, what)
    last = arrivals[0]
    numbers: tuple[int, ...] = (turn.names[last.event.name],)
    if len(arrivals) > 1:
        last = max(arrivals, key=lambda arrival: (arrival.ts, arrival.uid))
        numbers = tuple(sorted({turn.names[arrival.event.name] for arrival in arrivals}))
    return Mark(person.id, what, numbers, last.received_at, last.ts, last.uid.hex())


def _without_event(turn: Turn, person: Person, what: int) -> Mark:
    return Mark(person.id, what, (), turn.now, turn.now, "")


def _what(turn: Turn, person: Person) -> int:
    """A new profile that took a stored one in has events from before: that is a merge, nothing new."""
    sheet = turn.sheets.get(person.id)
    traits_changed = (sheet is not None and sheet.changed) or (person.stored and person.named)
    origin = stale.MERGED if person.united else 0 if person.stored else stale.NEW
    return origin | (stale.TRAITS if traits_changed else 0)
