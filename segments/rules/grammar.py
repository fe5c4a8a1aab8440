"""From a JSON document to a Rule, or a RuleError that names the place and says what would be right."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from segments.rules import operands
from segments.rules.aggregates import AGGREGATES, Aggregate
from segments.rules.compare import COMPARATORS
from segments.rules.errors import RuleError
from segments.rules.nodes import COUNT, Agg, All, Any_, Bucket, Event, Node, Not, Rule, Since, Trait
from segments.rules.operands import a_list, record, text
from segments.rules.paths import split
from segments.rules.periods import read_duration, read_window

NODES = 64
DEPTH = 6
LEAVES = 16  # that look at events
BUCKETS = 10_000
NAME_LENGTH = 200
PATH_LENGTH = 500


class Reading:
    """What is counted while one document is read, and how long a window may be (ms; None: not judged)."""

    def __init__(self, retention: int | None) -> None:
        self.retention = retention
        self.nodes = 0
        self.leaves = 0


class Place(NamedTuple):
    """Where in the document we are; `ops` are the nodes that may stand here."""

    reading: Reading
    path: str
    depth: int
    ops: Mapping[str, Callable[[Any, "Place"], Node]]

    def at(self, key: str, ops: "Mapping[str, Callable[[Any, Place], Node]] | None" = None) -> "Place":
        """The place of a node below this one."""
        return Place(self.reading, f"{self.path}.{key}", self.depth + 1, ops or self.ops)


def parse(document: object, *, retention: int | None = None) -> Rule:
    """The rule that `document` (decoded JSON) says. Raises RuleError.

    retention: ms, the longest window. It is for the moment of saving: a project may shorten its retention later, and
    what is stored must still be readable (windows then end with the retention).
    """
    given = record(document, "", needed=("v", "rule"), allowed=("identified_only",), what="a rule")
    if type(given["v"]) is not int or given["v"] != 1:
        raise RuleError("v", "The version of the rule language is the number 1.")
    identified_only = given.get("identified_only", False)
    if not isinstance(identified_only, bool):
        raise RuleError("identified_only", "Say true or false.")
    node = read_node(given["rule"], Place(Reading(retention), "rule", 1, RULE_NODES))
    return Rule(rule=node, identified_only=identified_only)


def read_node(given: object, place: Place) -> Node:
    if not isinstance(given, dict):
        raise RuleError(place.path, 'A node is an object such as {"op": "all", "of": [...]}.')
    place.reading.nodes += 1
    if place.reading.nodes > NODES:
        raise RuleError(place.path, f"A rule has at most {NODES} nodes.")
    if place.depth > DEPTH:
        raise RuleError(place.path, f"A rule is at most {DEPTH} nodes deep.")
    op = given.get("op")
    read = place.ops.get(op) if isinstance(op, str) else None
    if read is None:
        raise RuleError(f"{place.path}.op", f"Here op is one of {', '.join(place.ops)}{operands.instead(op)}.")
    return read(given, place)


def read_all(given: Any, place: Place) -> Node:
    return All(of=_several(given, place))


def read_any(given: Any, place: Place) -> Node:
    return Any_(of=_several(given, place))


def _several(given: Any, place: Place) -> tuple[Node, ...]:
    record(given, place.path, needed=("op", "of"), what=f"a node {given['op']!r}")
    nodes = a_list(given["of"], f"{place.path}.of", "nodes")
    return tuple(read_node(node, place.at(f"of[{index}]")) for index, node in enumerate(nodes))


def read_not(given: Any, place: Place) -> Node:
    record(given, place.path, needed=("op", "of"), what="a node 'not'")
    return Not(of=read_node(given["of"], place.at("of")))


def read_trait(given: Any, place: Place) -> Node:
    record(given, place.path, needed=("op", "path", "cmp"), allowed=("value",), what="a node 'trait'")
    path = read_path(given["path"], f"{place.path}.path")
    cmp, value = _comparison(given, place, None)
    return Trait(path=path, cmp=cmp, value=value)


def read_event(given: Any, place: Place) -> Node:
    allowed = ("where", "agg", "value", "window")
    record(given, place.path, needed=("op", "event", "cmp"), allowed=allowed, what="a node 'event'")
    _count_leaf(place)
    agg = read_agg(given["agg"], f"{place.path}.agg") if "agg" in given else COUNT
    cmp, value = _comparison(given, place, AGGREGATES[agg.fn])
    return Event(
        event=read_name(given["event"], f"{place.path}.event"),
        where=_where(given, place),
        agg=agg,
        cmp=cmp,
        value=value,
        window=read_window(given["window"], f"{place.path}.window", place.reading.retention)
        if "window" in given
        else None,
    )


def read_agg(given: object, path: str) -> Agg:
    fields = record(given, path, needed=("fn",), allowed=("prop",), what="agg")
    fn = fields["fn"]
    if not isinstance(fn, str) or fn not in AGGREGATES:
        raise RuleError(f"{path}.fn", f"fn is one of {', '.join(AGGREGATES)}{operands.instead(fn)}.")
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


def read_since(given: Any, place: Place) -> Node:
    needed = ("op", "event", "which", "cmp", "value")
    record(given, place.path, needed=needed, allowed=("where", "if_never"), what="a node 'since'")
    _count_leaf(place)
    for key, words in (("which", ("last", "first")), ("cmp", ("gte", "lt"))):
        if given[key] not in words:
            raise RuleError(f"{place.path}.{key}", f"{key} is {' or '.join(words)}{operands.instead(given[key])}.")
    if not isinstance(given.get("if_never", False), bool):
        raise RuleError(f"{place.path}.if_never", "Say true or false: the answer for who has no such event.")
    read_duration(given["value"], f"{place.path}.value", place.reading.retention)
    return Since(
        event=read_name(given["event"], f"{place.path}.event"),
        where=_where(given, place),
        which=given["which"],
        cmp=given["cmp"],
        value=given["value"],
        if_never=given.get("if_never", False),
    )


def read_bucket(given: Any, place: Place) -> Node:
    record(given, place.path, needed=("op", "salt", "from", "to"), what="a node 'bucket'")
    for key in ("from", "to"):
        if type(given[key]) is not int or not 0 <= given[key] <= BUCKETS:
            raise RuleError(
                f"{place.path}.{key}", f"A whole number from 0 to {BUCKETS:,}{operands.instead(given[key])}."
            )
    if given["from"] >= given["to"]:
        raise RuleError(f"{place.path}.to", "to is greater than from: the buckets are from <= b < to.")
    return Bucket(salt=text(given["salt"], f"{place.path}.salt"), from_=given["from"], to=given["to"])


def read_name(given: object, path: str) -> str:
    name = text(given, path, "The name of an event", NAME_LENGTH)
    if name == "*":
        raise RuleError(path, "An event is named here: * is not a name.")
    return name


def _where(given: Any, place: Place) -> Node | None:
    return read_node(given["where"], place.at("where", WHERE_NODES)) if "where" in given else None


def _count_leaf(place: Place) -> None:
    place.reading.leaves += 1
    if place.reading.leaves > LEAVES:
        raise RuleError(place.path, f"A rule looks at events in at most {LEAVES} places.")


def _comparison(given: Any, place: Place, aggregate: Aggregate | None) -> tuple[str, Any]:
    """cmp and value, which must fit each other (and the aggregate, if there is one)."""
    allowed = [cmp for cmp in COMPARATORS if not aggregate or not aggregate.comparators or cmp in aggregate.comparators]
    cmp = given["cmp"]
    if not isinstance(cmp, str) or cmp not in allowed:
        raise RuleError(f"{place.path}.cmp", f"Here cmp is one of {', '.join(allowed)}{operands.instead(cmp)}.")
    takes = (aggregate.takes.get(cmp) if aggregate else None) or COMPARATORS[cmp].takes
    path = f"{place.path}.value"
    if takes == "nothing":
        if "value" in given:
            raise RuleError(path, f"{cmp} takes no value: leave it out.")
        return cmp, None
    if "value" not in given:
        raise RuleError(path, f"{cmp} needs a value.")
    return cmp, operands.OPERANDS[takes](given["value"], path)


WHERE_NODES = {"all": read_all, "any": read_any, "not": read_not, "trait": read_trait}
RULE_NODES = {**WHERE_NODES, "event": read_event, "since": read_since, "bucket": read_bucket}
