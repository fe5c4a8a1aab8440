"""Traits: last writer wins for each top-level key, by (ts, uid) of the writing event. Pure.

A null removes its key and keeps its time, so that an older write that arrives later stays without effect.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from ingestion.events import TRAITS_BYTES

Order = tuple[int, str]  # (ts, uid in hex): the order key of events


class Written(msgspec.Struct, frozen=True, gc=False):
    """The value that won a key, and when it was written; None: removed."""

    order: Order
    value: Any


State = dict[str, Written]


def loaded(traits: Mapping[str, Any], trait_ts: Mapping[str, tuple[int, str]]) -> State:
    """The state from the two columns of a profile."""
    return {key: Written((ts, uid), traits.get(key)) for key, (ts, uid) in trait_ts.items()}


def written(state: State, changes: Mapping[str, Any], order: Order) -> State:
    """`state` after one write: a new dict; `changes` win where they are later."""
    return united(state, {key: Written(order, value) for key, value in changes.items()})


def united(one: State, other: State) -> State:
    """Both together; for each key the later write. Neither order nor repetition matters."""
    result = dict(one)
    for key, entry in other.items():
        mine = result.get(key)
        if mine is None or mine.order < entry.order:
            result[key] = entry
    return result


def values(state: State) -> dict[str, Any]:
    """The traits as rules and people see them."""
    return {key: entry.value for key, entry in state.items() if entry.value is not None}


def times(state: State) -> dict[str, Order]:
    """The column trait_ts: removed keys are in it too."""
    return {key: entry.order for key, entry in state.items()}


def size(state: State) -> int:
    """Bytes of JSON. Removed keys count, or nulls could fill a profile without limit."""
    return len(msgspec.json.encode({key: entry.value for key, entry in state.items()}))


def too_large(before: State, after: State) -> bool:
    """Whether a write makes a profile larger than allowed; one that is too large may still shrink."""
    after_size = size(after)
    return after_size > TRAITS_BYTES and after_size > size(before)


class Sheet:
    """The traits of one profile during a turn."""

    def __init__(self, state: State, *, before: dict[str, Any]) -> None:
        self.state = state
        self._before = before  # what rules saw until now
        self._most = size(state)  # an upper bound: encoding everything again for each write would cost far more

    def write(self, changes: Mapping[str, Any], order: Order, bytes_of_changes: int) -> bool:
        """Merge `changes`; False, and nothing is changed, when the profile would become too large."""
        after = written(self.state, changes, order)
        if self._most + bytes_of_changes > TRAITS_BYTES:
            if too_large(self.state, after):
                return False
            self._most = size(after)
        else:
            self._most += bytes_of_changes
        self.state = after
        return True

    @property
    def changed(self) -> bool:
        """Whether rules see other traits than before."""
        return values(self.state) != self._before
