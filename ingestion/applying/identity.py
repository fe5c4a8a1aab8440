"""Who is who: external ids become people, links tie them together, merges unite them. Pure, all in memory.

An event with a userId and an anonymousId ties the anonymous id to the user, if it has no user yet. One that already
belongs to another user stays there: two people at one device are not one person. Profiles with different userIds
become one only by an alias, into the profile of the new id. The same links give the same people in any order.
"""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from ingestion.events import Event

# The kinds of ingestion.models.Alias.
USER = "user"
ANONYMOUS = "anon"
SESSION = "session"

Key = tuple[str, str]  # (kind, external id)
SEEN_EVERY_MS = 60_000  # how much later an event has to be for the row to be written because of it alone


class Person(msgspec.Struct, eq=False, kw_only=True):
    """A profile while a turn is worked on. id is 0 until a new one gets its number."""

    id: int = 0
    public_id: str = ""
    shard: int = 0
    identified: bool = False
    first_seen: int
    last_seen: int
    noted_first: int = 0  # what the row says of first_seen and last_seen, as far as this process knows
    noted_last: int = 0
    active_in: int = 0  # the hour that was noted last, see applying/tallies.py; 0 when this process knows of none
    stored: bool = False  # has a row already
    named: bool = False  # got its first userId in this turn
    united: bool = False  # took a stored profile in, or was taken in
    into: "Person | None" = None

    def seen(self, ts: int) -> None:
        if ts > self.last_seen:
            self.last_seen = ts
        elif ts < self.first_seen:
            self.first_seen = ts

    def note(self) -> None:
        """Its row says all that is known here."""
        self.noted_first, self.noted_last = self.first_seen, self.last_seen

    @property
    def is_behind(self) -> bool:
        """Whether its row has to be told when it was seen."""
        return self.last_seen - self.noted_last >= SEEN_EVERY_MS or self.first_seen < self.noted_first


def keys_of(event: Event) -> Sequence[Key]:
    """Every external id that could matter for this event."""
    keys = []
    if event.user_id:
        keys.append((USER, event.user_id))
    if event.anonymous_id:
        keys.append((ANONYMOUS, event.anonymous_id))
    if not keys and event.session_id:
        keys.append((SESSION, event.session_id))
    if event.kind == "alias" and (previous := previous_of(event)):
        keys += ((USER, previous), (ANONYMOUS, previous))
    return keys


def previous_of(event: Event) -> str | None:
    """The id that an alias gives up."""
    return event.previous_id or event.anonymous_id


Owners = defaultdict[str, dict[str, Person]]  # by kind and external id; the merged among them say whom they became


class People:
    """The people of one turn: what is stored about the external ids in it, and what its events make of that.

    owners: of all those of its external ids that are stored, at least; the turn adds to it, and changes the people.
    """

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self.created: list[Person] = []
        self.altered: list[Person] = []  # whose own row changes, whether an event came to them or not
        self.bound: list[Key] = []  # external ids that are new
        self.taken_in: list[Person] = []  # stored profiles that were merged into another

    def find(self, key: Key) -> Person | None:
        person = self._owners[key[0]].get(key[1])
        return person if person is None or person.into is None else survivor(person)

    def owner(self, keys: Sequence[Key], ts: int) -> Person | None:
        """Whose event with these ids is, after following the link it carries. None: it names nobody."""
        if not keys:
            return None
        person = self._linked(keys[0], keys[1], ts) if len(keys) == 2 else self._get(keys[0], ts)
        person.seen(ts)
        return person

    def alias(self, previous: str, user: str, ts: int) -> bool:
        """The person `previous` is from now on `user`. False: it is an anonymous id of somebody else."""
        target = (USER, user)
        both = ((USER, previous), (ANONYMOUS, previous))
        # An id nobody has seen yet may turn out to be of either kind later.
        olds = [key for key in both if self.find(key) is not None] or list(both)
        followed = [self._follow(key, target, ts) for key in olds]
        return all(followed)

    def _follow(self, old: Key, target: Key, ts: int) -> bool:
        before, after = self.find(old), self.find(target)
        if before is None:
            person = self._get(target, ts)
            if old != target:  # who is aliased to the same id gets that id once
                self._bind(old, person)
        elif before is after:
            pass
        elif old[0] == ANONYMOUS and before.identified:
            return False
        elif after is None:
            self._bind(target, before)
        else:
            self._merge(before, after)
        return True

    def _linked(self, user: Key, anonymous: Key, ts: int) -> Person:
        person, visitor = self.find(user), self.find(anonymous)
        if visitor is None:
            person = person or self._get(user, ts)
            self._bind(anonymous, person)
            return person
        if visitor.identified:
            return person or self._get(user, ts)
        if person is None:
            self._bind(user, visitor)
            return visitor
        return self._merge(visitor, person)

    def _get(self, key: Key, ts: int) -> Person:
        person = self.find(key)
        if person is None:
            person = Person(first_seen=ts, last_seen=ts)
            self.created.append(person)
            self._bind(key, person)
        return person

    def _bind(self, key: Key, person: Person) -> None:
        self._owners[key[0]][key[1]] = person
        self.bound.append(key)
        if key[0] == USER and not person.identified:
            person.identified = person.named = True
            self.altered.append(person)

    def _merge(self, loser: Person, winner: Person) -> Person:
        """Unite two people. `winner` has a userId: where both have one, it is the one an alias names as the new."""
        loser.into = winner
        winner.first_seen = min(winner.first_seen, loser.first_seen)
        winner.last_seen = max(winner.last_seen, loser.last_seen)
        if loser.stored:
            loser.united = winner.united = True
            self.altered += (loser, winner)
            self.taken_in.append(loser)
        return winner


def survivor(person: Person) -> Person:
    """The person that `person` has become through merges."""
    end = person
    while end.into is not None:
        end = end.into
    while person.into is not None and person.into is not end:
        person.into, person = end, person.into  # the next look takes one step, however long the chain was
    return end
