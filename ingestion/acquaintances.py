"""Whose an external id is, from the memory of the process that wrote or read it last.

True as long as nobody else has changed people: every merge, first userId and erasure counts the lane's `people_version`
up, under the lock that a turn holds. What was learned over a connection is forgotten with it: after a failover there
may be less in the database than was committed. New ids and people need no counting: who does not know them asks.
"""

import weakref
from collections.abc import Iterable
from typing import Any

import msgspec
import psycopg

from ingestion.identity import Key, People, Person, survivor

MOST_IDS = 200_000  # of all projects: some 60 MB

Connection = psycopg.Connection[Any]


class Acquaintance(msgspec.Struct, frozen=True, gc=False):
    """A stored profile as a turn begins with it. first_seen, last_seen: ms; a writer elsewhere may have moved them."""

    id: int
    public_id: str
    shard: int
    identified: bool
    first_seen: int
    last_seen: int


class Memory:
    """What is known of one project at one version."""

    def __init__(self, version: int, connection: Connection) -> None:
        self.version = version
        self.learned_over = weakref.ref(connection)
        self.owners: dict[Key, int] = {}
        self.people: dict[int, Acquaintance] = {}
        self.into: dict[int, int] = {}  # whom a profile was merged into

    def find(self, key: Key) -> Acquaintance | None:
        owner = self.owners.get(key)
        if owner is None:
            return None
        while owner in self.into:
            owner = self.into[owner]
        return self.people.get(owner)

    def learn(self, people: People) -> None:
        for person in people.taken_in:
            self.into[person.id] = survivor(person).id
            self.people.pop(person.id, None)
        for key, person in people.everybody():
            self.owners[key] = person.id
            self.people[person.id] = Acquaintance(
                person.id, person.public_id, person.shard, person.identified, person.first_seen, person.last_seen
            )


_memories: dict[int, Memory] = {}


def recalled(
    project: int, version: int, connection: Connection, keys: Iterable[Key]
) -> tuple[dict[Key, Person], list[Key]]:
    """The people that are remembered, by external id (ids of one share one Person), and the ids to ask for."""
    memory = _memories.get(project)
    if memory is None or memory.version != version or memory.learned_over() is not connection:
        return {}, list(keys)
    people: dict[int, Person] = {}
    found: dict[Key, Person] = {}
    missing: list[Key] = []
    for key in keys:
        known = memory.find(key)
        if known is None:
            missing.append(key)
            continue
        person = people.get(known.id)
        if person is None:
            person = people[known.id] = Person(
                id=known.id,
                public_id=known.public_id,
                shard=known.shard,
                identified=known.identified,
                first_seen=known.first_seen,
                last_seen=known.last_seen,
                stored=True,
            )
        found[key] = person
    return found, missing


def remember(project: int, before: int, version: int, connection: Connection, people: People) -> None:
    """What a turn that began at version `before` has committed at `version`. Call it after the commit."""
    if sum(len(each.owners) for each in _memories.values()) > MOST_IDS:
        _memories.clear()
    memory = _memories.get(project)
    if memory is None or memory.version != before or memory.learned_over() is not connection:
        memory = _memories[project] = Memory(version, connection)
    memory.version = version
    memory.learn(people)
