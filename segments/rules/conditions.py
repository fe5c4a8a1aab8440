"""The nodes without nodes below them, read from their documents: traits, events, sequences, shares, lists."""

import re
from typing import Any

from segments.rules import operands
from segments.rules.aggregates import AGGREGATES, Aggregate
from segments.rules.compare import COMPARATORS
from segments.rules.dates import DATES
from segments.rules.errors import RuleError
from segments.rules.nodes import COUNT, Absent, Agg, Bucket, Event, List, Node, Sequence, Since, Step, Trait, Window
from segments.rules.operands import a_list, instead, record, text, whole
from segments.rules.paths import split
from segments.rules.periods import read_duration, read_window
from segments.rules.places import Ops, Place, count_leaf, read_node

BUCKETS = 10_000
STEPS = 8
SAME = 8
PROFILES = 1_000
NAME_LENGTH = 200
PATH_LENGTH = 500
ANY = "*"  # an event of any name

PUBLIC_ID = re.compile(r"u_[A-Za-z0-9]{1,60}")


def read_trait(given: Any, place: Place) -> Node:
    """A trait of the profile, which time alone can move past an instant."""
    return _read_trait(given, place, (*COMPARATORS, *DATES))


def read_property(given: Any, place: Place) -> Node:
    """The same of an event, which matches or does not, whatever the time."""
    return _read_trait(given, place, (*COMPARATORS,))


def _read_trait(given: Any, place: Place, comparators: tuple[str, ...]) -> Node:
    record(given, place.path, needed=("op", "path", "cmp"), allowed=("value",), what="a node 'trait'")
    path = read_path(given["path"], f"{place.path}.path")
    cmp, value = _comparison(given, place, comparators)
    return Trait(path=path, cmp=cmp, value=value)


def read_event(given: Any, place: Place, where: Ops) -> Node:
    allowed = ("where", "agg", "value", "window")
    record(given, place.path, needed=("op", "event", "cmp"), allowed=allowed, what="a node 'event'")
    count_leaf(place)
    agg = read_agg(given["agg"], f"{place.path}.agg") if "agg" in given else COUNT
    aggregate = AGGREGATES[agg.fn]
    cmp, value = _comparison(given, place, tuple(aggregate.comparators or (*COMPARATORS, *DATES)), aggregate)
    return Event(
        event=read_name(given["event"], f"{place.path}.event"),
        where=_where(given, place, where),
        agg=agg,
        cmp=cmp,
        value=value,
        window=_window(given, place),
    )


def read_agg(given: object, path: str) -> Agg:
    fields = record(given, path, needed=("fn",), allowed=("prop",), what="agg")
    fn = fields["fn"]
    if not isinstance(fn, str) or fn not in AGGREGATES:
        raise RuleError(f"{path}.fn", f"fn is one of {', '.join(AGGREGATES)}{instead(fn)}.")
    if not AGGREGATES[fn].prop:
        if "prop" in fields:
            raise RuleError(f"{path}.prop", f"{fn} looks at no property: leave prop out.")
        return Agg(fn=fn)
    if "prop" not in fields:
        raise RuleError(f"{path}.prop", f"{fn} needs prop, the path of the property that it looks at.")
    return Agg(fn=fn, prop=read_path(fields["prop"], f"{path}.prop"))


def read_path(given: object, path: str) -> str:
    found = text(given, path, "A path", PATH_LENGTH)
    if split(found) is None:
        raise RuleError(path, 'A path is keys joined by dots, such as plan or address.city or "a.b".c.')
    return found


def read_since(given: Any, place: Place, where: Ops) -> Node:
    needed = ("op", "event", "which", "cmp", "value")
    record(given, place.path, needed=needed, allowed=("where", "if_never"), what="a node 'since'")
    count_leaf(place)
    for key, words in (("which", ("last", "first")), ("cmp", ("gte", "lt"))):
        if given[key] not in words:
            raise RuleError(f"{place.path}.{key}", f"{key} is {' or '.join(words)}{instead(given[key])}.")
    if not isinstance(given.get("if_never", False), bool):
        raise RuleError(f"{place.path}.if_never", "Say true or false: the answer for who has no such event.")
    read_duration(given["value"], f"{place.path}.value", place.reading.retention)
    name = given["event"]
    return Since(
        event=name if name == ANY else read_name(name, f"{place.path}.event"),
        where=_where(given, place, where),
        which=given["which"],
        cmp=given["cmp"],
        value=given["value"],
        if_never=given.get("if_never", False),
    )


def read_sequence(given: Any, place: Place, where: Ops) -> Node:
    allowed = ("same", "strict", "absent", "window")
    record(given, place.path, needed=("op", "steps", "within"), allowed=allowed, what="a node 'sequence'")
    count_leaf(place)
    if not isinstance(given.get("strict", False), bool):
        raise RuleError(f"{place.path}.strict", "Say true or false: whether nothing of the kind may lie between steps.")
    steps = a_list(given["steps"], f"{place.path}.steps", "steps", STEPS)
    read_duration(given["within"], f"{place.path}.within", place.reading.retention)
    same = a_list(given["same"], f"{place.path}.same", "paths", SAME) if "same" in given else []
    return Sequence(
        steps=tuple(_step(step, _inside(place, f"steps[{index}]"), where) for index, step in enumerate(steps)),
        within=given["within"],
        same=tuple(read_path(path, f"{place.path}.same[{index}]") for index, path in enumerate(same)),
        strict=given.get("strict", False),
        absent=_absent(given["absent"], _inside(place, "absent"), where) if "absent" in given else None,
        window=_window(given, place),
    )


def _step(given: object, place: Place, where: Ops) -> Step:
    fields = record(given, place.path, needed=("event",), allowed=("where",), what="a step")
    return Step(event=read_name(fields["event"], f"{place.path}.event"), where=_where(fields, place, where))


def _absent(given: object, place: Place, where: Ops) -> Absent:
    fields = record(given, place.path, needed=("event", "within"), allowed=("where",), what="absent")
    read_duration(fields["within"], f"{place.path}.within", place.reading.retention)
    return Absent(
        event=read_name(fields["event"], f"{place.path}.event"),
        within=fields["within"],
        where=_where(fields, place, where),
    )


def read_bucket(given: Any, place: Place) -> Node:
    record(given, place.path, needed=("op", "salt", "from", "to"), what="a node 'bucket'")
    from_, to = (_edge(given[key], f"{place.path}.{key}") for key in ("from", "to"))
    if from_ >= to:
        raise RuleError(f"{place.path}.to", "to is greater than from: the buckets are from <= b < to.")
    return Bucket(salt=text(given["salt"], f"{place.path}.salt"), from_=from_, to=to)


def _edge(given: object, path: str) -> int:
    edge = whole(given)
    if edge is None or not 0 <= edge <= BUCKETS:
        raise RuleError(path, f"A whole number from 0 to {BUCKETS:,}{instead(given)}.")
    return edge


def read_list(given: Any, place: Place) -> Node:
    record(given, place.path, needed=("op", "profiles"), what="a node 'list'")
    profiles = a_list(given["profiles"], f"{place.path}.profiles", "profiles", PROFILES)
    for index, one in enumerate(profiles):
        if not isinstance(one, str) or not PUBLIC_ID.fullmatch(one):
            raise RuleError(
                f"{place.path}.profiles[{index}]", f"A profile is named by its public id, u_...{instead(one)}."
            )
    return List(profiles=tuple(profiles))


def read_name(given: object, path: str) -> str:
    name = text(given, path, "The name of an event", NAME_LENGTH)
    if name == ANY:
        raise RuleError(path, "An event is named here: any event at all, *, is for since alone.")
    return name


def _inside(place: Place, key: str) -> Place:
    """A part of the node itself, which is no deeper than the node."""
    return place._replace(path=f"{place.path}.{key}")


def _window(given: Any, place: Place) -> Window:
    return read_window(given["window"], f"{place.path}.window", place.reading.retention) if "window" in given else None


def _where(given: Any, place: Place, ops: Ops) -> Node | None:
    return read_node(given["where"], place.at("where", ops)) if "where" in given else None


def _comparison(
    given: Any, place: Place, allowed: tuple[str, ...], aggregate: Aggregate | None = None
) -> tuple[str, Any]:
    """cmp and value, which must fit each other (and the aggregate, if there is one)."""
    cmp = given["cmp"]
    if not isinstance(cmp, str) or cmp not in allowed:
        raise RuleError(f"{place.path}.cmp", f"Here cmp is one of {', '.join(_in_order(allowed))}{instead(cmp)}.")
    takes = (aggregate.takes.get(cmp) if aggregate else None) or takes_of(cmp)
    path = f"{place.path}.value"
    if takes == "nothing":
        if "value" in given:
            raise RuleError(path, f"{cmp} takes no value: leave it out.")
        return cmp, None
    if "value" not in given:
        raise RuleError(path, f"{cmp} needs a value.")
    return cmp, operands.OPERANDS[takes](given["value"], path)


def takes_of(cmp: str) -> str:
    """The shape of a comparator's operand, a key of `operands.OPERANDS`."""
    return "duration" if cmp in DATES else COMPARATORS[cmp].takes


def _in_order(allowed: tuple[str, ...]) -> list[str]:
    return [cmp for cmp in (*COMPARATORS, *DATES) if cmp in allowed]
