"""The rows of the live page, and how changes are put beside the events that caused them. Pure."""

from collections.abc import Mapping

import msgspec

from persona.lib.clock import rfc3339
from segments.log import LogRow

CAUSES = {
    "event": "an event",
    "time": "time passed",
    "trait": "traits changed",
    "definition": "the rule changed",
    "merge": "profiles merged",
    "erase": "profile erased",
    "manual": "by hand",
}


class Move(msgspec.Struct, frozen=True):
    """An enter or a leave, beside the event that caused it."""

    op: str
    persona: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the live table, of one of two kinds: an event, or a change whose event is not in the same answer.

    at: milliseconds; uid: of the event, hex, or ''; name: of the event, or the cause in words;
    profile: public id or ''; person: the id that the sender knows, or ''; outcome: stored, duplicate or rejected.
    """

    kind: str
    at: int
    uid: str
    name: str
    profile: str
    person: str = ""
    text: str = ""
    wire: str = ""
    outcome: str = ""
    code: str = ""
    clamped: bool = False
    moves: tuple[Move, ...] = ()

    @property
    def instant(self) -> str:
        return rfc3339(self.at)

    @property
    def clock(self) -> str:
        return self.instant[11:19]

    @property
    def badge(self) -> tuple[str, str]:
        """Tone and words of what became of the event."""
        if self.outcome == "rejected":
            return "bad", self.code or "Rejected"
        if self.outcome == "duplicate":
            return "", "Duplicate"
        if self.clamped:
            return "warn", "Stored, clock was ahead"
        return ("good", "Stored") if self.profile else ("warn", "Kept without a profile")


class Glimpse(msgspec.Struct, frozen=True):
    """Rows, newest first, and the positions to ask after next.

    seen: how many events there were; shown: how many of them are here.
    """

    rows: tuple[Row, ...]
    event: int
    change: int
    shown: int
    seen: int


def woven(events: list[Row], changes: list[LogRow], people: Mapping[int, str]) -> tuple[Row, ...]:
    """Each change beside its event where that is here, else as a row of its own; newest first.

    people: by profile, the id that the sender knows.
    """
    moves: dict[str, list[Move]] = {event.uid: [] for event in events if event.uid and event.outcome == "stored"}
    alone = []
    for change in reversed(changes):
        if change.silent:
            continue
        beside = moves.get(change.trigger or "")
        if beside is None:
            alone.append(_alone(change, people))
        else:
            beside.append(Move(change.op, change.persona))
    rows = [
        msgspec.structs.replace(row, moves=tuple(moves.get(row.uid, ()))) if row.outcome == "stored" else row
        for row in events
    ]
    return tuple(sorted([*rows, *alone], key=lambda row: -row.at))


def _alone(change: LogRow, people: Mapping[int, str]) -> Row:
    return Row(
        kind="change",
        at=change.at,
        uid=change.trigger or "",
        name=CAUSES.get(change.cause, change.cause),
        profile=change.profile,
        person=people.get(change.profile_id, ""),
        moves=(Move(change.op, change.persona),),
    )
