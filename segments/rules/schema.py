"""The rule language as one JSON Schema (2020-12), for editors and for clients in other languages.

What a schema cannot know is left to `parse`: the number and depth of nodes, durations within the retention, circles of
personas, time zones, and which of two values is the greater.
"""

import json
from pathlib import Path
from typing import Any

from segments.rules import conditions, grammar, operands, periods
from segments.rules.aggregates import AGGREGATES, Aggregate
from segments.rules.calendars import UNITS
from segments.rules.compare import COMPARATORS, MAX
from segments.rules.dates import DATES

Schema = dict[str, Any]

# `$` alone lets a line break follow in some languages.
END = r"$(?!\n)"
DURATION = (
    r"^P(?=.*[1-9])(?:[0-9]{1,6}D)?(?:T(?=.)(?:[0-9]{1,7}H)?(?:[0-9]{1,9}M)?(?:[0-9]{1,10}(?:\.[0-9]{1,3})?S)?)?" + END
)
STORABLE = r"^[^\u0000]*$"
PATH = r"^(?:\"[^\"\u0000]+\"|[^\".\u0000]+)(?:\.(?:\"[^\"\u0000]+\"|[^\".\u0000]+))*" + END
LEAP_DAY = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29"
DAY = (
    r"(?:02-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01]))"
)
DATE = rf"(?!0000)(?:{LEAP_DAY}|[0-9]{{4}}-{DAY})"
TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9]|60)(?:[.,][0-9]{1,9})?)?"
OFFSET = r"(?:[\t-\r ]?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?)"
INSTANT = rf"^\s*{DATE}(?:[Tt ]{TIME}{OFFSET})?\s*" + END


def schema() -> Schema:
    """Of the whole document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The rule of a persona, version 1",
        **_record({"v": {"const": 1, "type": "integer"}, "rule": _ref("node"), "identified_only": {"type": "boolean"}},
                  optional=("identified_only",)),
        "$defs": {
            "node": _any_of(_nodes()),
            "condition": _any_of(_branches("condition", (*COMPARATORS,))),
            "window": {"anyOf": _windows()},
            "step": _record({"event": _ref("name"), "where": _ref("condition")}, optional=("where",)),
            "absent": _record(
                {"event": _ref("name"), "within": _ref("duration"), "where": _ref("condition")}, optional=("where",)
            ),
            "name": {**_text(conditions.NAME_LENGTH), "not": {"const": conditions.ANY}},
            "path": {**_text(conditions.PATH_LENGTH), "pattern": PATH},
            **{takes: shape for takes, shape in SHAPES.items() if takes != "nothing"},
        },
    }  # fmt: skip


def _nodes() -> dict[str, list[Schema]]:
    name, where, window = _ref("name"), _ref("condition"), _ref("window")
    since = {
        "event": {"anyOf": [name, {"const": conditions.ANY}]},
        "where": where,
        "which": {"enum": ["last", "first"]},
        "cmp": {"enum": ["gte", "lt"]},
        "value": _ref("duration"),
        "if_never": {"type": "boolean"},
    }
    sequence = {
        "steps": _list(_ref("step"), conditions.STEPS),
        "within": _ref("duration"),
        "same": _list(_ref("path"), conditions.SAME),
        "strict": {"type": "boolean"},
        "absent": _ref("absent"),
        "window": window,
    }
    bucket = {"type": "integer", "minimum": 0, "maximum": conditions.BUCKETS}
    profiles = _list({"type": "string", "pattern": f"^{conditions.PUBLIC_ID.pattern}{END}"}, conditions.PROFILES)
    return {
        **_branches("node", (*COMPARATORS, *DATES)),
        "event": [each for fn, aggregate in AGGREGATES.items() for each in _events(fn, aggregate)],
        "since": [_node("since", since, optional=("where", "if_never"))],
        "sequence": [_node("sequence", sequence, optional=("same", "strict", "absent", "window"))],
        "member": [_node("member", {"persona": _text(grammar.SLUG_LENGTH)})],
        "bucket": [_node("bucket", {"salt": _text(operands.TEXT_LENGTH), "from": bucket, "to": bucket})],
        "list": [_node("list", {"profiles": profiles})],
    }


def _branches(of: str, comparators: tuple[str, ...]) -> dict[str, list[Schema]]:
    """What stands both in a rule and in `where`."""
    several = _list(_ref(of))
    return {
        "all": [_node("all", {"of": several})],
        "any": [_node("any", {"of": several})],
        "not": [_node("not", {"of": _ref(of)})],
        "trait": [
            _node("trait", {"path": _ref("path"), **compared})
            for compared in _comparisons({cmp: conditions.takes_of(cmp) for cmp in comparators})
        ],
    }


def _events(fn: str, aggregate: Aggregate) -> list[Schema]:
    takes = {
        cmp: aggregate.takes.get(cmp) or conditions.takes_of(cmp)
        for cmp in (*COMPARATORS, *DATES)
        if aggregate.comparators is None or cmp in aggregate.comparators
    }
    agg = _record({"fn": {"const": fn}, **({"prop": _ref("path")} if aggregate.prop else {})})
    parts = {"event": _ref("name"), "where": _ref("condition"), "agg": agg, "window": _ref("window")}
    optional = ("where", "window", *(("agg",) if fn == "count" else ()))
    return [_node("event", {**parts, **compared}, optional=optional) for compared in _comparisons(takes)]


def _comparisons(takes: dict[str, str]) -> list[Schema]:
    """cmp and value, the comparators that take the same value together."""
    shapes: dict[str, list[str]] = {}
    for cmp, shape in takes.items():
        shapes.setdefault(shape, []).append(cmp)
    return [
        {"cmp": {"enum": cmps}, **({} if shape == "nothing" else {"value": _ref(shape)})}
        for shape, cmps in shapes.items()
    ]


def _windows() -> list[Schema]:
    back = {"type": "integer", "minimum": 0, "maximum": periods.BACK}
    return [
        _record({"last": _ref("duration")}),
        _record({"between": {"type": "array", "items": _ref("duration"), "minItems": 2, "maxItems": 2}}),
        _record({"from": _ref("instant"), "to": _ref("instant")}),
        _record({"calendar": {"enum": list(UNITS)}, "back": back, "tz": _text(operands.TEXT_LENGTH)}),
    ]


def _node(op: str, fields: Schema, optional: tuple[str, ...] = ()) -> Schema:
    return _record({"op": {"const": op}, **fields}, optional)


def _record(fields: Schema, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": fields,
        "required": [key for key in fields if key not in optional],
        "additionalProperties": False,
    }


def _list(items: Schema, most: int | None = None) -> Schema:
    return {"type": "array", "items": items, "minItems": 1, **({"maxItems": most} if most else {})}


def _text(most: int) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": most, "pattern": STORABLE}


def _any_of(nodes: dict[str, list[Schema]]) -> Schema:
    return {"anyOf": [shape for shapes in nodes.values() for shape in shapes]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


_NUMBER: Schema = {"type": "number", "minimum": -MAX, "maximum": MAX}
_STRING: Schema = {"type": "string", "maxLength": operands.TEXT_LENGTH, "pattern": STORABLE}
_SCALAR: Schema = {"anyOf": [_STRING, _NUMBER, {"type": "boolean"}]}
_TALLY: Schema = {"type": "integer", "minimum": 0, "maximum": operands.TALLY}
# What comparators take, by the names of `operands.OPERANDS`.
SHAPES: Schema = {
    "nothing": {},
    "scalar": _SCALAR,
    "scalars": _list(_SCALAR, operands.IN_VALUES),
    "orderable": {"anyOf": [_STRING, _NUMBER]},
    "part": {"anyOf": [_text(operands.TEXT_LENGTH), _NUMBER, {"type": "boolean"}]},
    "text": _text(operands.TEXT_LENGTH),
    "number": _NUMBER,
    "numbers": _list(_NUMBER, operands.IN_VALUES),
    "tally": _TALLY,
    "tallies": _list(_TALLY, operands.IN_VALUES),
    "instant": {"type": "string", "pattern": INSTANT},
    "duration": {"type": "string", "pattern": DURATION},
}


def published() -> str:
    """The text of schema.json."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("schema.json").write_text(published())
