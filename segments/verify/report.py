"""What a verification has seen so far, and where it goes on: a value that can be put away and taken up again."""

from collections.abc import Iterable

import msgspec

KEPT = 1_000  # differences told one by one; all are counted
WAITING = 10_000  # profiles that are looked at again


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as it should be; `what` is a sentence."""

    kind: str  # membership, timer, log, orphan
    what: str


class Report(msgspec.Struct):
    """What was looked at and what is wrong.

    profiles, pairs: looked at; changes_at: pairs that are different at the instant asked for; count: of all
    differences, of which `differences` tells the first; busy: profiles to which something happened at every look, so
    that they could not be held against their events; left_out: personas that were being judged anew.
    cursor: the last profile of the pages; waiting: profiles to look at again, with the instant (ms) of the first look;
    looks: how often they were; done: this is the whole.
    """

    profiles: int = 0
    pairs: int = 0
    changes_at: int = 0
    count: int = 0
    busy: int = 0
    left_out: int = 0
    differences: list[Difference] = msgspec.field(default_factory=list)
    cursor: int | None = 0
    waiting: dict[int, int] = msgspec.field(default_factory=dict)
    looks: int = 0
    done: bool = False

    def add(self, found: Iterable[Difference]) -> None:
        for difference in found:
            self.count += 1
            if len(self.differences) < KEPT:
                self.differences.append(difference)

    def wait(self, profiles: Iterable[int], now: int) -> None:
        """These were not settled at `now`."""
        for profile in profiles:
            if len(self.waiting) < WAITING:
                self.waiting[profile] = now
            else:
                self.busy += 1
