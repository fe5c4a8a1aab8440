"""The Online Retail file judged by plain Python: no rule language, no code of the product. Benches use it, too.

Instants are milliseconds; `shift` moves the file's instants to those that are stored.
"""

import csv
import gzip
import hashlib
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

DAY = 86_400_000
Json = dict[str, Any]


class Line(NamedTuple):
    """One order line. The first two are the order of events."""

    ts: int
    uid: bytes
    whose: str
    known: bool  # there is a customer, not only an invoice
    code: str
    total: float
    cancelled: bool


Lines = Mapping[str, Sequence[Line]]  # by whose they are
Holds = Callable[[Sequence[Line], int], bool]


class Question(NamedTuple):
    """A persona and its plain meaning. ages: how old a line is (ms) when it begins or ceases to count."""

    slug: str
    rule: Json
    identified_only: bool
    ages: tuple[int, ...]
    holds: Holds


class Turn(NamedTuple):
    """At that instant somebody enters or leaves if nothing happens."""

    at: int
    slug: str
    whose: str
    enters: bool


class Windows(NamedTuple):
    """Days, and how many lines or articles are many."""

    spent: int
    often: int
    varied: int
    between: tuple[int, int]
    returned: int
    many: int


WHOLE = Windows(spent=90, often=180, varied=60, between=(90, 30), returned=180, many=100)
FIRST_ROWS = Windows(spent=369, often=370, varied=368, between=(372, 367), returned=370, many=40)  # are a year old


def read(path: Path, *, most: int | None = None) -> list[Line]:
    """The first `most` rows; UTC."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = itertools.islice(csv.DictReader(file), most)
        return [_line(number, row) for number, row in enumerate(rows, start=2)]


def _line(number: int, row: Mapping[str, str]) -> Line:
    customer, invoice = row["CustomerID"].removesuffix(".0"), row["InvoiceNo"]
    return Line(
        ts=int(datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=UTC).timestamp()) * 1_000,
        uid=hashlib.sha256(f"retail-{number}".encode()).digest()[:16],
        whose=customer or f"invoice-{invoice}",
        known=bool(customer),
        code=row["StockCode"],
        total=float(int(row["Quantity"]) * Decimal(row["UnitPrice"])),
        cancelled=invoice.startswith("C"),
    )


def by_person(lines: Iterable[Line], shift: int) -> Lines:
    found: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        found[line.whose].append(line._replace(ts=line.ts + shift))
    return found


def questions(days: Windows) -> list[Question]:
    old, young = (each * DAY for each in days.between)
    return [
        Question(
            "spent-1000",
            _event("gte", 1000, agg={"fn": "sum", "prop": "total"}),
            True,
            (400 * DAY,),
            _spent(400 * DAY, 1000),
        ),
        Question(
            "spent-lately",
            _event("gte", 500, agg={"fn": "sum", "prop": "total"}, window=_last(days.spent)),
            True,
            (days.spent * DAY,),
            _spent(days.spent * DAY, 500),
        ),
        Question(
            "many-lines",
            _event("gte", days.many, window=_last(days.often)),
            False,
            (days.often * DAY,),
            lambda own, now: len(_inside(own, now, days.often * DAY)) >= days.many,
        ),
        Question(
            "many-articles",
            _event("gte", 30, agg={"fn": "distinct", "prop": "stock_code"}, window=_last(days.varied)),
            False,
            (days.varied * DAY,),
            lambda own, now: len({line.code for line in _inside(own, now, days.varied * DAY)}) >= 30,
        ),
        Question(
            "bought-a-while-ago",
            _event("gte", 20, window={"between": [f"P{days.between[0]}D", f"P{days.between[1]}D"]}),
            False,
            (young, old),
            lambda own, now: sum(young <= now - line.ts < old for line in own) >= 20,
        ),
        Question(
            "sent-it-back",
            {
                "op": "sequence",
                "steps": [_step(cancelled=False), _step(cancelled=True)],
                "same": ["stock_code"],
                "within": "P30D",
                "window": _last(days.returned),
            },
            True,
            (days.returned * DAY,),
            lambda own, now: _sent_back(_inside(own, now, days.returned * DAY), 30 * DAY),
        ),
    ]


def members(question: Question, lines: Lines, now: int) -> set[str]:
    return {whose for whose, own in lines.items() if _belongs(question, own, now)}


def turns(question: Question, lines: Lines, now: int, until: int) -> Iterator[Turn]:
    """Each change after `now` and up to `until`: nothing can change but where a line begins or ceases to count."""
    for whose, own in lines.items():
        instants = {line.ts + age for line in own for age in question.ages}
        inside: bool | None = None
        for at in sorted(instant for instant in instants if now < instant <= until):
            before = _belongs(question, own, now) if inside is None else inside
            inside = _belongs(question, own, at)
            if inside is not before:
                yield Turn(at, question.slug, whose, inside)


def next_leaves(asked: Iterable[Question], lines: Lines, now: int, most: int) -> list[Turn]:
    """The next `most` of all leaves, in order of time."""
    found: list[Turn] = []
    days = 1
    while len(found) < most and days < 500:
        days *= 2
        every = (turn for question in asked for turn in turns(question, lines, now, now + days * DAY))
        found = sorted(turn for turn in every if not turn.enters)
    return found[:most]


def _belongs(question: Question, own: Sequence[Line], now: int) -> bool:
    return (own[0].known or not question.identified_only) and question.holds(own, now)


def _inside(own: Sequence[Line], now: int, age: int) -> list[Line]:
    return [line for line in own if 0 <= now - line.ts < age]


def _spent(age: int, least: int) -> Holds:
    return lambda own, now: math.fsum(line.total for line in _inside(own, now, age)) >= least


def _sent_back(own: Sequence[Line], within: int) -> bool:
    """Two lines of one article, bought and then cancelled."""
    bought: dict[str, list[Line]] = defaultdict(list)
    for line in own:
        if not line.cancelled:
            bought[line.code].append(line)
    return any(
        (first.ts, first.uid) < (back.ts, back.uid) and back.ts - first.ts <= within
        for back in own
        if back.cancelled
        for first in bought[back.code]
    )


def _event(cmp: str, value: int, **more: Any) -> Json:
    return {"op": "event", "event": "order_line", "cmp": cmp, "value": value, **more}


def _last(days: int) -> Json:
    return {"last": f"P{days}D"}


def _step(*, cancelled: bool) -> Json:
    return {"event": "order_line", "where": {"op": "trait", "path": "cancelled", "cmp": "eq", "value": cancelled}}
