"""THE write path: the batches of one turn become events, profiles, traits and marks, all in one transaction.

The number of statements is the same for one event and for thousands. The caller holds the lane's lock, so there is
one writer per project at a time.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from types import MappingProxyType

import msgspec
from django.db import transaction

from ingestion import log, tombstones
from ingestion.applying import (
    acquaintances,
    activity,
    arrivals,
    dedupe,
    marks,
    names,
    outcomes,
    profiles,
    readahead,
    tallies,
    waiting,
    written,
)
from ingestion.applying.acquaintances import Memory
from ingestion.applying.arrivals import Arrival
from ingestion.applying.cursors import Cursor, copy_packed
from ingestion.applying.identity import Key, People, Person, survivor
from ingestion.applying.outcomes import Outcome
from ingestion.applying.traits import Sheet
from ingestion.applying.turns import Lane, Turn
from ingestion.applying.waiting import Waiting
from keys import uses
from keys.known.kinds import publishable
from persona.lib import ids, tracing

# The clock is read after the lane was locked: it never runs behind what an earlier turn wrote.
NOW = """
select floor(extract(epoch from clock_timestamp()) * 1000)::bigint, array(
    select batch_id from ingestion_appliedbatch where project_id = %s and batch_id = any(%s::text[]))
"""
# The commit need not wait for the disk: what a crash takes back is in the inbox again, which it left by the same
# transaction. Whoever acts on what was written here commits himself, and that has all that was before on the disk.
UNHURRIED = f"{NOW}, set_config('synchronous_commit', 'off', true)"
CHANGED = "update ingestion_writerlane set people_version = people_version + 1 where project_id = %s"
STALE = """
insert into ingestion_staleprofiles (project_id, shard, at, items)
select %s, r.* from unnest(%s::smallint[], %s::bigint[], %b::bytea[]) as r
"""
APPLIED = """
insert into ingestion_appliedbatch (project_id, batch_id, stored, duplicates, rejected, at)
select %s, r.batch_id, r.stored, r.duplicate, r.rejected, %s
from json_to_recordset(%s) as r(batch_id text, stored integer, duplicate integer, rejected integer)
"""


def apply(
    cursor: Cursor, lane: Lane, batches: Sequence[Waiting], ready: arrivals.Ready = MappingProxyType({})
) -> Counter[str]:
    """Apply `batches`, in their order, and take them out of the inbox. Those applied before change nothing.

    ready: what was read of them before. How many events were stored, duplicate and rejected.
    """
    found: Counter[str] = Counter()
    now, todo = _not_yet_applied(cursor, lane.project, batches)
    if todo:
        began = tracing.now()
        readahead.begin(lane.project, batches, now)
        turn = _worked_out(cursor, lane, now, todo, ready)
        _write(cursor, turn, batches)
        for (*_, what), n in turn.counted.items():
            found[what] += n
        if tracing.on():
            stored = (one.arrival.uid for one in turn.outcomes if one.what == "stored" and one.arrival is not None)
            tracing.tell(stored, "event.apply", began=began, project=lane.project)
    else:
        waiting.forget(cursor, lane.project, batches)
    return found


def _not_yet_applied(cursor: Cursor, project: int, batches: Sequence[Waiting]) -> tuple[int, list[Waiting]]:
    batch_ids = ",".join(batch.batch_id for batch in batches)  # ours, without anything to quote
    statement = NOW if waiting.inbox_is_apart() else UNHURRIED
    row = cursor.execute(statement, [project, f"{{{batch_ids}}}"]).fetchone()
    now, applied, *_ = row or (0, [])
    done = set(applied)
    todo = {batch.batch_id: batch for batch in reversed(batches) if batch.batch_id not in done}
    return now, sorted(todo.values(), key=lambda batch: batch.id)


def _worked_out(cursor: Cursor, lane: Lane, now: int, batches: Sequence[Waiting], ready: arrivals.Ready) -> Turn:
    read = arrivals.read(batches, now, ready)
    read, erased = _sifted(cursor, lane, read)
    numbers = names.numbered(cursor, lane.project, _names(lane.project, read.arrivals))
    good, refused = outcomes.admitted(read.arrivals, numbers)
    firsts, repeated = outcomes.first_of_each(good)
    fresh, memory, people = _ask(cursor, lane, firsts, now)
    known = [outcomes.duplicate(arrival) for arrival in firsts if arrival.uid not in fresh]
    found = outcomes.identified((arrival for arrival in firsts if arrival.uid in fresh), people)
    profiles.number_new(cursor, lane.project, lane.shards, people)
    sheets = _traits(cursor, lane.project, found, people)
    every = [*erased, *map(outcomes.rejected, read.refused), *refused, *repeated, *known, *found]
    counted = outcomes.counted(every, numbers)
    return Turn(lane, now, batches, every, numbers, memory, people, sheets, counted)


def _sifted(cursor: Cursor, lane: Lane, read: arrivals.Read) -> tuple[arrivals.Read, list[Outcome]]:
    """Without the events of the erased, of which nothing is kept but that they were rejected."""
    if not lane.has_erased or not read.arrivals:
        return read, []
    kept, erased = tombstones.sifted(cursor, lane.project, read.arrivals)
    dropped = [Outcome(batch=arrival.batch, what="rejected") for arrival in erased]
    return msgspec.structs.replace(read, arrivals=kept), dropped


def _names(project: int, read: Sequence[Arrival]) -> dict[str, bool]:
    """The event names of a turn, and of each whether any of its events came with a secret key."""
    public = publishable(project, {arrival.batch.key for arrival in read})
    found: dict[str, bool] = {}
    for arrival in read:
        if arrival.event.kind != "alias":
            name = arrival.event.name
            found[name] = found.get(name, False) or arrival.batch.key not in public
    return found


def _ask(cursor: Cursor, lane: Lane, firsts: Sequence[Arrival], now: int) -> tuple[Collection[bytes], Memory, People]:
    """Which events are new, and whose all of them may be."""
    memory = acquaintances.taken(lane.project, lane.people_version, cursor.connection)
    strangers: set[Key] = set()

    def recall() -> None:
        strangers.update(memory.strangers(firsts))

    uids = [arrival.uid for arrival in firsts]
    fresh = dedupe.note(cursor, lane.project, uids, now, meanwhile=recall) if uids else frozenset[bytes]()
    if strangers:
        profiles.ask_known(cursor, lane.project, strangers)
        memory.meet(cursor)
    return fresh, memory, People(memory.owners)


def _traits(cursor: Cursor, project: int, found: Sequence[Outcome], people: People) -> dict[int, Sheet]:
    writers = [outcome.person for outcome in outcomes.trait_writers(found) if outcome.person is not None]
    merged = people.taken_in
    if not writers and not merged:
        return {}
    involved = {id(person): person for person in (*writers, *merged, *map(survivor, merged))}
    stored = profiles.trait_states(cursor, project, list(involved.values()))
    return outcomes.sheets(found, merged, stored)


def _write(cursor: Cursor, turn: Turn, taken: Sequence[Waiting]) -> None:
    project = turn.lane.project
    with copy_packed(cursor, written.EVENTS, written.packed(project, turn.names, turn.outcomes)):
        touched = _touched(turn)
        marked = marks.rows(turn, touched) if turn.lane.judged else []
    with cursor.together():
        if marked:
            cursor.execute(STALE, [project, *map(list, zip(*marked, strict=True))])
        profiles.merge(cursor, project, turn.people.taken_in)
        activity.merge(cursor, project, turn.people.taken_in)
        profiles.save(cursor, project, touched, {owner: sheet.state for owner, sheet in turn.sheets.items()})
        profiles.bind(cursor, project, turn.people)
        cursor.execute(APPLIED, [project, turn.now, _tallies(turn)])
        uses.note(cursor, project, _uses(turn), turn.now)
        _release(cursor, project, turn.outcomes)
        tallies.record(cursor, turn)
        if turn.lane.watched_until > turn.now:
            told = [outcome for outcome in turn.outcomes if not ids.imported(outcome.batch.batch_id)]
            if told:  # nobody forwards the past
                log.record(cursor, project, told, turn.now)
        waiting.forget(cursor, project, taken)
    written.copy_dead_letters(cursor, project, turn.outcomes, turn.now)
    _remember_people(cursor, turn)


def _remember_people(cursor: Cursor, turn: Turn) -> None:
    """For the next turn; other processes are told to forget those who are not what they were."""
    project, people, version = turn.lane.project, turn.people, turn.lane.people_version
    if any(person.stored for person in people.altered):
        cursor.execute(CHANGED, [project])
        version += 1
    transaction.on_commit(lambda: acquaintances.put_back(project, turn.memory, version, people))


def _touched(turn: Turn) -> list[Person]:
    """Every profile, as it is after all merges, whose row or facts change."""
    people = chain(
        (outcome.person for outcome in turn.outcomes if outcome.person is not None),
        turn.people.created,
        turn.people.altered,
    )
    return list(dict.fromkeys(map(survivor, people)))


def _tallies(turn: Turn) -> str:
    tallies = {batch.id: {"stored": 0, "duplicate": 0, "rejected": 0} for batch in turn.batches}
    for (batch, _, what), n in turn.counted.items():
        tallies[batch][what] += n
    rows = [{"batch_id": batch.batch_id, **tallies[batch.id]} for batch in turn.batches]
    return msgspec.json.encode(rows).decode()


def _uses(turn: Turn) -> dict[int, tuple[int, int]]:
    """Of each key: how many events came with it, and when the newest."""
    found: dict[int, tuple[int, int]] = {}
    batches = {batch.id: batch for batch in turn.batches}
    for (number, *_), n in turn.counted.items():
        batch = batches[number]
        if batch.key is not None:
            events, last = found.get(batch.key, (0, 0))
            found[batch.key] = (events + n, max(last, batch.received_at))
    return found


def _release(cursor: Cursor, project: int, found: Iterable[Outcome]) -> None:
    """A rejected event keeps no dedupe key: corrected, it may come again."""
    refused = (outcome.arrival for outcome in found if outcome.keyed and outcome.what == "rejected")
    dedupe.release(cursor, project, [arrival.uid for arrival in refused if arrival is not None])
