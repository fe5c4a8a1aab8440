"""The nodes of a rule, as frozen values. What `grammar` builds, and what `msgspec.to_builtins` turns back into JSON."""

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


Window = Last | None


class Event(Node, frozen=True):
    """An aggregate over the matching events of a window, compared with a value."""

    event: str
    cmp: str
    value: Any = None
    where: Node | None = None
    agg: Agg = COUNT
    window: Window = None


class Rule(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The envelope. Two rules are the same only if they are one object: that makes them keys of a cache."""

    v: int = 1
    rule: Node
    identified_only: bool = False
