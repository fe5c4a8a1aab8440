"""Profiles and aliases in the database, in bulk: the same few statements for any number of rows."""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from ingestion.applying.cursors import Cursor, array
from ingestion.applying.identity import Key, People, Person, survivor
from ingestion.applying.traits import State, loaded, times, values
from persona.lib import ids

# One index search an id (the limits keep it so): planned as a join, all aliases are read for a dozen of them.
KNOWN = """
select w.kind, w.external_id, p.id, p.public_id, p.shard, p.identified, p.first_seen, p.last_seen
from json_to_recordset(%(keys)s) as w(kind text, external_id text)
cross join lateral (
    select a.profile_id from ingestion_alias a
    where a.project_id = %(project)s and a.kind = w.kind and a.external_id = w.external_id limit 1) found
cross join lateral (
    select * from ingestion_profile one where one.project_id = %(project)s and one.id = found.profile_id limit 1) p
"""
NUMBERS = "select nextval('ingestion_profile_id_seq') from generate_series(1, %s)"
TRAITS = """
select id, traits::text, trait_ts::text from ingestion_profile
where project_id = %s and id = any(%s)
"""
INSERT = """
insert into ingestion_profile (project_id, id, public_id, shard, identified, first_seen, last_seen, traits, trait_ts)
select %s, r.* from json_to_recordset(%s) as r(
    id bigint, public_id text, shard smallint, identified boolean, first_seen bigint, last_seen bigint,
    traits jsonb, trait_ts jsonb)
"""
UPDATE = """
update ingestion_profile p
set identified = r.identified,
    first_seen = least(p.first_seen, r.first_seen), last_seen = greatest(p.last_seen, r.last_seen),
    traits = coalesce(r.traits, p.traits), trait_ts = coalesce(r.trait_ts, p.trait_ts)
from json_to_recordset(%s) as r(
    id bigint, identified boolean, first_seen bigint, last_seen bigint, traits jsonb, trait_ts jsonb)
where p.project_id = %s and p.id = r.id
"""
# For those to whom nothing happened but events: most of them.
SEEN = """
update ingestion_profile p
set first_seen = least(p.first_seen, r.first), last_seen = greatest(p.last_seen, r.last)
from unnest(%s::bigint[], %s::bigint[], %s::bigint[]) as r(id, first, last)
where p.project_id = %s and p.id = r.id
"""
BIND = """
insert into ingestion_alias (project_id, kind, external_id, profile_id)
select %s, r.kind, r.external_id, r.profile from json_to_recordset(%s) as r(kind text, external_id text, profile bigint)
"""
MERGE_ALIASES = """
update ingestion_alias a set profile_id = m.winner from json_to_recordset(%s) as m(loser bigint, winner bigint)
where a.project_id = %s and a.profile_id = m.loser
"""
MERGE_EVENTS = """
update ingestion_event e set profile_id = m.winner from json_to_recordset(%s) as m(loser bigint, winner bigint)
where e.project_id = %s and e.profile_id = m.loser
"""
# What was merged into a loser earlier points straight at the winner: a look-up never takes more than one step.
MERGE_EARLIER = """
update ingestion_profile p set merged_into = m.winner from json_to_recordset(%s) as m(loser bigint, winner bigint)
where p.project_id = %s and p.merged_into = m.loser
"""
MERGE = """
update ingestion_profile p set merged_into = m.winner, identified = false, traits = '{}', trait_ts = '{}'
from json_to_recordset(%s) as m(loser bigint, winner bigint)
where p.project_id = %s and p.id = m.loser
"""

_decode_times = msgspec.json.Decoder(dict[str, tuple[int, str]]).decode


class Row(msgspec.Struct, frozen=True, gc=False):
    """A profile as it is written; traits None: they stay as they are."""

    id: int
    public_id: str
    shard: int
    identified: bool
    first_seen: int
    last_seen: int
    traits: msgspec.Raw | None
    trait_ts: msgspec.Raw | None


def ask_known(cursor: Cursor, project: int, keys: Collection[Key]) -> None:
    """Send the question whom external ids belong to; the rows are for `Memory.meet`."""
    # In the order of the index: neighbours are on the same page.
    wanted = [{"kind": kind, "external_id": external} for kind, external in sorted(keys)]
    cursor.execute(KNOWN, {"project": project, "keys": _json(wanted)})


def number_new(cursor: Cursor, project: int, shards: int, people: People) -> list[Person]:
    """Give the new people that were not merged away their ids and shards, and return them."""
    fresh = [person for person in people.created if person.into is None]
    if fresh:
        for person, (number,) in zip(fresh, cursor.execute(NUMBERS, [len(fresh)]).fetchall(), strict=True):
            person.id, person.public_id = number, ids.profile_id()
            person.shard = ids.shard_of(project, number, shards)
    return fresh


def trait_states(cursor: Cursor, project: int, people: Collection[Person]) -> dict[int, State]:
    """The stored traits of `people`, by profile id."""
    stored = [person.id for person in people if person.stored]
    if not stored:
        return {}
    rows = cursor.execute(TRAITS, [project, stored]).fetchall()
    return {row: loaded(msgspec.json.decode(traits), _decode_times(when)) for row, traits, when in rows}


def save(cursor: Cursor, project: int, touched: Iterable[Person], states: Mapping[int, State]) -> None:
    """Insert the new and update the stored among `touched`; `states`: traits to write, by profile id.

    Most were seen a moment ago: that alone is written once a minute, or half of what a turn costs were this.
    """
    rows: dict[bool, list[Row]] = {False: [], True: []}
    seen: list[tuple[int, int, int]] = []
    for person in touched:
        state = states.get(person.id)
        if state is not None or not person.stored or person.named or person.united:
            rows[person.stored].append(_row(person, state))
        elif person.is_behind:
            seen.append((person.id, person.first_seen, person.last_seen))
        else:
            continue
        person.note()
    if seen:
        cursor.execute(SEEN, [*map(array, zip(*sorted(seen), strict=True)), project])
    if rows[False]:
        cursor.execute(INSERT, [project, _json(rows[False])])
    if rows[True]:
        cursor.execute(UPDATE, [_json(rows[True]), project])


def _row(person: Person, state: State | None) -> Row:
    empty = None if person.stored else msgspec.Raw(b"{}")
    return Row(
        person.id, person.public_id, person.shard, person.identified, person.first_seen, person.last_seen,
        empty if state is None else msgspec.Raw(msgspec.json.encode(values(state))),
        empty if state is None else msgspec.Raw(msgspec.json.encode(times(state))),
    )  # fmt: skip


def bind(cursor: Cursor, project: int, people: People) -> None:
    """Write the external ids that are new."""
    items = [
        {"kind": key[0], "external_id": key[1], "profile": person.id}
        for key in people.bound
        if (person := people.find(key)) is not None
    ]
    if items:
        cursor.execute(BIND, [project, _json(items)])


def merge(cursor: Cursor, project: int, losers: Collection[Person]) -> None:
    """Point everything of the losers at those they were merged into."""
    if losers:
        pairs = _json([{"loser": loser.id, "winner": survivor(loser).id} for loser in losers])
        for statement in (MERGE_ALIASES, MERGE_EVENTS, MERGE_EARLIER, MERGE):
            cursor.execute(statement, [pairs, project])


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
