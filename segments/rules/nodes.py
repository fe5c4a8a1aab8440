"""The nodes of a rule, as frozen values: what `grammar` builds, and what `written` turns back into JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op", tag=str.lower):
    """Anything that has an `op`. Compare nodes by their JSON: Python thinks that 1 equals True."""


class All(Node, frozen=True):
    of: tuple[Node, ...]


class Any_(Node, frozen=True, tag="any"):  # noqa: N801 - `Any` is typing's
    of: tuple[Node, ...]


class Not(Node, frozen=True):
    of: Node


class Trait(Node, frozen=True):
    """A trait of the profile; inside `where`, a property or a context value of the event."""

    path: str
    cmp: str
    value: Any = None


class Agg(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is computed over the matching events; `prop` is the path that all but `count` look at."""

    fn: str
    prop: str | None = None


COUNT = Agg(fn="count")


class Last(msgspec.Struct, frozen=True):
    """The events not yet as old as this duration."""

    last: str


class Between(msgspec.Struct, frozen=True):
    """The events younger than the first of these ages, and at least as old as the second."""

    between: tuple[str, str]


class Absolute(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """The events of a stretch of time, its end excluded."""

    from_: str
    to: str


class Calendar(msgspec.Struct, frozen=True):
    """The events of one local day, week (from Monday) or month: the current one, or the one `back` before it."""

    calendar: str
    back: int
    tz: str


Window = Last | Between | Absolute | Calendar | None


class Event(Node, frozen=True):
    """An aggregate over the matching events of a window, compared with a value."""

    event: str
    cmp: str
    value: Any = None
    where: Node | None = None
    agg: Agg = COUNT
    window: Window = None


class Since(Node, frozen=True):
    """How long ago the last, or the first, matching event was; `if_never` is the answer where there is none."""

    event: str
    which: str
    cmp: str
    value: str
    where: Node | None = None
    if_never: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of a sequence."""

    event: str
    where: Node | None = None


class Absent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The event that does not follow the last step within that time."""

    event: str
    within: str
    where: Node | None = None


class Sequence(Node, frozen=True):
    """Events one after the other, equal in the properties `same`; `strict`: no other of their names in between."""

    steps: tuple[Step, ...]
    within: str
    same: tuple[str, ...] = ()
    strict: bool = False
    absent: Absent | None = None
    window: Window = None


class Member(Node, frozen=True):
    """The rule of another persona of the project stands here, whatever that persona's status is."""

    persona: str


class Bucket(Node, frozen=True, rename={"from_": "from"}):
    """A share of all profiles, drawn by their ids: the same profiles for the same salt, for ever."""

    salt: str
    from_: int
    to: int


class List(Node, frozen=True):
    """These profiles, by their public ids."""

    profiles: tuple[str, ...]


class Rule(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The envelope. Two rules are the same only if they are one object: that makes them keys of a cache.

    members: the rules of the personas that this one refers to, by slug; nodes: how many there are with all of theirs;
    height: how many references follow one another at most.
    """

    v: int = 1
    rule: Node
    identified_only: bool = False
    members: Mapping[str, "Rule"] = {}
    nodes: int = 1
    height: int = 0


def written(rule: Rule) -> dict[str, Any]:
    """The document again, as JSON's types."""
    return {"v": rule.v, "rule": msgspec.to_builtins(rule.rule), "identified_only": rule.identified_only}
