"""From a JSON document to a Rule, or a RuleError that names the place and says what would be right."""

from typing import Any

from segments.rules.conditions import (
    read_bucket,
    read_event,
    read_list,
    read_property,
    read_sequence,
    read_since,
    read_trait,
)
from segments.rules.errors import RuleError
from segments.rules.nodes import All, Any_, Member, Node, Not, Rule
from segments.rules.operands import a_list, record, text, whole
from segments.rules.places import Ops, Place, Reading, Resolve, read_node

REFERENCES = 5  # personas that refer to one another, one after the other
INLINED = 256  # nodes of a rule together with those of all personas that it refers to
SLUG_LENGTH = 64


def parse(
    document: object, *, retention: int | None = None, resolve: Resolve | None = None, slug: str | None = None
) -> Rule:
    """The rule that `document` (decoded JSON) says. Raises RuleError.

    retention: ms, the longest window. It is for the moment of saving: a project may shorten its retention later, and
    what is stored must still be readable (windows then end with the retention).
    resolve: the documents of the project's other personas, by slug, None where there is none; slug: of this one, so
    that a circle is seen before it is stored.
    """
    reading = Reading(retention=retention, resolve=resolve or _nobody, trail=(slug or "",), known={})
    return _read(document, reading)


def _read(document: object, reading: Reading) -> Rule:
    given = record(document, "", needed=("v", "rule"), allowed=("identified_only",), what="a rule")
    if whole(given["v"]) != 1:
        raise RuleError("v", "The version of the rule language is the number 1.")
    identified_only = given.get("identified_only", False)
    if not isinstance(identified_only, bool):
        raise RuleError("identified_only", "Say true or false.")
    node = read_node(given["rule"], Place(reading, "rule", 1, RULE_NODES))
    return Rule(
        rule=node,
        identified_only=identified_only,
        members=reading.members,
        nodes=reading.nodes + reading.inlined,
        height=max((member.height + 1 for member in reading.members.values()), default=0),
    )


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


def read_member(given: Any, place: Place) -> Node:
    record(given, place.path, needed=("op", "persona"), what="a node 'member'")
    path, reading = f"{place.path}.persona", place.reading
    slug = text(given["persona"], path, "The slug of a persona", SLUG_LENGTH)
    if slug in reading.trail:
        raise RuleError(path, f"Personas refer to one another in a circle: {' > '.join((*reading.trail, slug))}.")
    inner = _rule_of(slug, path, reading) if len(reading.trail) <= REFERENCES else None
    if inner is None or len(reading.trail) + inner.height > REFERENCES:
        raise RuleError(path, f"At most {REFERENCES} personas refer to one another, one after the other.")
    reading.members[slug] = inner
    reading.inlined += inner.nodes
    if reading.nodes + reading.inlined > INLINED:
        raise RuleError(path, f"With the personas that it refers to, a rule has at most {INLINED} nodes.")
    return Member(persona=slug)


def _rule_of(slug: str, path: str, reading: Reading) -> Rule:
    """The rule of another persona, read once however often it is referred to."""
    if slug not in reading.known:
        document = reading.resolve(slug)
        if document is None:
            raise RuleError(path, f"There is no persona {slug!r} in this project.")
        trail = (*reading.trail, slug)
        inner = Reading(retention=None, resolve=reading.resolve, trail=trail, known=reading.known)
        try:
            reading.known[slug] = _read(document, inner)
        except RuleError as error:
            raise RuleError(path, f"In the rule of {slug!r}: {error}") from None
    return reading.known[slug]


def _nobody(_: str) -> None:
    return None


WHERE_NODES: Ops = {"all": read_all, "any": read_any, "not": read_not, "trait": read_property}
RULE_NODES: Ops = {
    **WHERE_NODES,
    "trait": read_trait,
    "event": lambda given, place: read_event(given, place, WHERE_NODES),
    "since": lambda given, place: read_since(given, place, WHERE_NODES),
    "sequence": lambda given, place: read_sequence(given, place, WHERE_NODES),
    "member": read_member,
    "bucket": read_bucket,
    "list": read_list,
}
