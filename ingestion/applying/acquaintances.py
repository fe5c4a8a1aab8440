"""Whose an external id is, from the memory of the process that wrote or read it last.

True as long as nobody else has changed people: every merge, first userId and erasure counts the lane's `people_version`
up, under the lock that a turn holds. What was learned over a connection is forgotten with it: after a failover there
may be less in the database than was committed. New ids and people need no counting: who does not know them asks.
"""

import weakref
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import psycopg

from ingestion.applying.arrivals import Arrival
from ingestion.applying.identity import Key, Owners, People, Person

MOST_IDS = 200_000  # of all projects: some 60 MB

Connection = psycopg.Connection[Any]


class Memory:
    """What is known of one project at one version. A turn works on these very people: one that fails has spoiled them.

    first_seen and last_seen of a person are what this process knows; a writer elsewhere may have moved them.
    """

    def __init__(self, version: int, connection: Connection) -> None:
        self.version = version
        self.learned_over = weakref.ref(connection)
        self.owners: Owners = defaultdict(dict)
        self.by_id: dict[int, Person] = {}

    def strangers(self, arrivals: Iterable[Arrival]) -> set[Key]:
        """The external ids in `arrivals` whose owner is to be asked for."""
        owners = self.owners
        return {key for arrival in arrivals for key in arrival.keys if key[1] not in owners[key[0]]}

    def meet(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """The owners in rows of `profiles.ask_known`; ids of the same profile share one Person."""
        for kind, external, profile, public, shard, identified, first, last in rows:
            person = self.by_id.get(profile)
            if person is None:
                person = self.by_id[profile] = Person(
                    id=profile, public_id=public, shard=shard, identified=identified, stored=True,
                    first_seen=first, last_seen=last, noted_first=first, noted_last=last,
                )  # fmt: skip
            self.owners[kind][external] = person

    def learn(self, people: People) -> None:
        """What a turn has made of them, when it is committed."""
        for person in people.created:
            if person.into is None:
                person.stored = True
                self.by_id[person.id] = person
        for person in people.altered:
            person.named = person.united = False

    def __len__(self) -> int:
        return sum(map(len, self.owners.values()))


_memories: dict[int, Memory] = {}


def taken(project: int, version: int, connection: Connection) -> Memory:
    """What is remembered, for one turn; nothing is, until `put_back`."""
    memory = _memories.pop(project, None)
    if memory is None or memory.version != version or memory.learned_over() is not connection:
        return Memory(version, connection)
    return memory


def put_back(project: int, memory: Memory, version: int, people: People) -> None:
    """With what a turn has committed at `version`. Call it after the commit."""
    memory.learn(people)
    memory.version = version
    if len(memory) + sum(map(len, _memories.values())) > MOST_IDS:
        _memories.clear()
    else:
        _memories[project] = memory
