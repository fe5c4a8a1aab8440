"""What a turn makes of its arrivals: whose each event is, which traits it sets, what is stored and what is not.

Everything here happens in memory, between the statements that read and those that write.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from ingestion.applying import traits
from ingestion.applying.arrivals import TRAITS_KIND, Arrival, Refused, refuse
from ingestion.applying.identity import People, Person, previous_of, survivor
from ingestion.applying.names import NAMES_MOST
from ingestion.applying.waiting import Waiting
from ingestion.events import TRAITS_BYTES

What = Literal["stored", "duplicate", "rejected"]
# By batch (its row id), event name (NAMELESS, or ALIAS for what is followed and no event), and what became of it.
Counted = Counter[tuple[int, int, What]]
NAMELESS, ALIAS = 0, -1


class Outcome(msgspec.Struct, kw_only=True, gc=False):
    """What became of one event. person: whose it is; refused: why it was not stored; keyed: it took its dedupe key."""

    batch: Waiting
    what: What
    arrival: Arrival | None = None
    person: Person | None = None
    refused: Refused | None = None
    keyed: bool = False

    @property
    def is_event(self) -> bool:
        """Whether a row of ingestion_event belongs to it: an alias is followed, and no event."""
        return self.what == "stored" and self.arrival is not None and self.arrival.event.kind != "alias"

    def reject(self, refused: Refused) -> None:
        self.what, self.refused = "rejected", refused


def counted(outcomes: Iterable[Outcome], names: Mapping[str, int]) -> Counted:
    """How many of each, once for all that count: what is done for every event must be little."""
    return Counter([(each.batch.id, _number(each, names), each.what) for each in outcomes])


def _number(outcome: Outcome, names: Mapping[str, int]) -> int:
    if outcome.arrival is None:
        return NAMELESS
    event = outcome.arrival.event
    return ALIAS if event.kind == "alias" else names.get(event.name, NAMELESS)


def rejected(refused: Refused, arrival: Arrival | None = None) -> Outcome:
    return Outcome(batch=refused.batch, what="rejected", refused=refused, arrival=arrival)


def admitted(arrivals: Iterable[Arrival], names: Mapping[str, int]) -> tuple[list[Arrival], list[Outcome]]:
    """Those that can be stored as far as they themselves say, and the outcomes of the others."""
    good: list[Arrival] = []
    bad: list[Outcome] = []
    for arrival in arrivals:
        refused = _objection(arrival, names)
        if refused is None:
            good.append(arrival)
        else:
            bad.append(rejected(refused, arrival))
    return good, bad


def _objection(arrival: Arrival, names: Mapping[str, int]) -> Refused | None:
    event = arrival.event
    if event.kind == "alias":
        if event.user_id and previous_of(event):
            return None
        return refuse(arrival, "event.field_missing", "previousId", "An alias needs previousId and userId.")
    if event.name not in names:
        detail = f"A project has at most {NAMES_MOST} different event names; this one would be another."
        return refuse(arrival, "event.too_many_names", "event", detail)
    if event.kind == TRAITS_KIND and len(arrival.props) > TRAITS_BYTES:
        return _traits_too_large(arrival)
    return None


def _traits_too_large(arrival: Arrival) -> Refused:
    detail = f"The traits of a profile have at most {TRAITS_BYTES} bytes as JSON."
    return refuse(arrival, "profile.traits_too_large", "traits", detail)


def first_of_each(arrivals: Sequence[Arrival]) -> tuple[list[Arrival], list[Outcome]]:
    """The first arrival of each uid, and the outcomes of its repetitions in the same turn."""
    firsts: dict[bytes, Arrival] = {}
    repeated = [arrival for arrival in arrivals if firsts.setdefault(arrival.uid, arrival) is not arrival]
    return list(firsts.values()), [duplicate(arrival) for arrival in repeated]


def duplicate(arrival: Arrival) -> Outcome:
    return Outcome(batch=arrival.batch, what="duplicate", arrival=arrival)


def identified(arrivals: Iterable[Arrival], people: People) -> list[Outcome]:
    """Follow every link in inbox order, and say whose each event is."""
    outcomes = [_identified(arrival, people) for arrival in arrivals]
    for outcome in outcomes:  # a later link of the same turn may have merged an earlier person
        if outcome.person is not None and outcome.person.into is not None:
            outcome.person = survivor(outcome.person)
    return outcomes


def _identified(arrival: Arrival, people: People) -> Outcome:
    event = arrival.event
    outcome = Outcome(batch=arrival.batch, what="stored", arrival=arrival, keyed=True)
    previous = previous_of(event) if event.kind == "alias" else None
    if previous is None or event.user_id is None:
        outcome.person = people.owner(arrival.keys, arrival.ts)
    elif not people.alias(previous, event.user_id, arrival.ts):
        detail = "This anonymous id already belongs to another user, who is not merged with this one."
        outcome.reject(refuse(arrival, "alias.taken", "previousId", detail))
    return outcome


def trait_writers(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Those that set traits on somebody."""
    return [
        o for o in outcomes if o.person is not None and o.arrival is not None and o.arrival.event.kind == TRAITS_KIND
    ]


def sheets(
    outcomes: Iterable[Outcome], merged: Collection[Person], stored: Mapping[int, traits.State]
) -> dict[int, traits.Sheet]:
    """The traits after this turn, by profile id, of all whose traits were written or united.

    An event whose traits do not fit any more becomes rejected.
    """
    writers = trait_writers(outcomes)
    losers: dict[int, list[Person]] = {o.person.id: [] for o in writers if o.person is not None}
    for loser in merged:
        losers.setdefault(survivor(loser).id, []).append(loser)
    result = {owner: _sheet(owner, taken_in, stored) for owner, taken_in in losers.items()}
    for outcome in writers:
        _write_traits(outcome, result)
    return result


def _sheet(owner: int, losers: Iterable[Person], stored: Mapping[int, traits.State]) -> traits.Sheet:
    own = stored.get(owner, {})
    state = own
    for loser in losers:
        state = traits.united(state, stored.get(loser.id, {}))
    return traits.Sheet(state, before=traits.values(own))


def _write_traits(outcome: Outcome, sheets_of: Mapping[int, traits.Sheet]) -> None:
    person, arrival = outcome.person, outcome.arrival
    if person is None or arrival is None or not arrival.event.traits:
        return
    if not sheets_of[person.id].write(arrival.event.traits, arrival.order, len(arrival.props)):
        outcome.reject(_traits_too_large(arrival))
