"""Languages with one mistake each, which the fuzz has to find."""

import operator
from collections.abc import Callable
from typing import Any

import msgspec

from persona.lib.clock import parse_duration
from segments.rules import INF, LANGUAGE, Language
from segments.rules.aggregates import Aggregate
from segments.rules.compare import Comparator, instant, ordered
from segments.rules.dates import DATES
from segments.rules.nodes import Absent, Absolute, Between, Calendar, Event, Last, List, Sequence, Since, Trait
from segments.rules.windows import Span


def swapped(name: str, make: Any) -> Language:
    comparators = {**LANGUAGE.comparators, name: Comparator(LANGUAGE.comparators[name].takes, make)}
    return LANGUAGE._replace(comparators=comparators)


def window(kind: type = Last, **replaced: Any) -> Language:
    def made(node: Any) -> Span:
        span = LANGUAGE.windows[kind](node)
        return span._replace(**{name: function(span) for name, function in replaced.items()})

    return LANGUAGE._replace(windows={**LANGUAGE.windows, kind: made})


def aggregate(name: str, **replaced: Any) -> Language:
    aggregates = {**LANGUAGE.aggregates, name: LANGUAGE.aggregates[name]._replace(**replaced)}
    return LANGUAGE._replace(aggregates=aggregates)


def forgetful(kind: type) -> Language:
    """Says of every leaf of a kind that no event can harm it."""

    def leaf(node: Any, language: Language) -> Any:
        return LANGUAGE.leaves[kind](node, language)._replace(polarity={node.event: 1})

    return LANGUAGE._replace(leaves={**LANGUAGE.leaves, kind: leaf})


def careless_sequences() -> Language:
    """Says that no event can harm a sequence."""

    def leaf(node: Sequence, language: Language) -> Any:
        made = LANGUAGE.leaves[Sequence](node, language)
        return made._replace(polarity=dict.fromkeys(made.polarity, 1))

    return LANGUAGE._replace(leaves={**LANGUAGE.leaves, Sequence: leaf})


def newest_first(node: Since, language: Language) -> Any:
    """Takes the last event for the first."""
    return LANGUAGE.leaves[Since](msgspec.structs.replace(node, which="last"), language)


def otherwise(kind: type, **change: Any) -> Language:
    """Reads every node of a kind as another one."""

    def leaf(node: Any, language: Language) -> Any:
        replaced = {key: make(getattr(node, key)) for key, make in change.items()}
        return LANGUAGE.leaves[kind](msgspec.structs.replace(node, **replaced), language)

    return LANGUAGE._replace(leaves={**LANGUAGE.leaves, kind: leaf})


def dated(name: str, mutate: Any) -> Language:
    return LANGUAGE._replace(dates={**LANGUAGE.dates, name: lambda age: mutate(LANGUAGE.dates[name], age)})


def moving(change: Callable[[Language], Language]) -> Language:
    """Makes the mistake in event nodes alone whose aggregate is an instant, compared with now."""

    def leaf(node: Event, language: Language) -> Any:
        return LANGUAGE.leaves[Event](node, change(language) if node.cmp in DATES else language)

    return LANGUAGE._replace(leaves={**LANGUAGE.leaves, Event: leaf})


def judged_at_first(language: Language) -> Language:
    """Says that what the aggregate is now it stays, also when its event leaves."""
    return language._replace(aggregates={name: _staying(each) for name, each in language.aggregates.items()})


def _staying(one: Aggregate) -> Aggregate:
    return one._replace(states=lambda values: [one.states(values)[-1]] * (len(values) + 1))


def longer(duration: str) -> str:
    """By a millisecond."""
    length = parse_duration(duration) or 0
    return f"PT{(length + 1) // 1_000}.{(length + 1) % 1_000:03d}S"


def patient(absent: Absent | None) -> Absent | None:
    return absent and msgspec.structs.replace(absent, within=longer(absent.within))


def one_name(node: Since, language: Language) -> Any:
    """Takes the name a for any name."""
    name = "a" if node.event == "*" else node.event
    return LANGUAGE.leaves[Since](msgspec.structs.replace(node, event=name), language)


def lasting(node: Trait, language: Language) -> Any:
    """Says of every trait that time cannot change what it decides."""
    return LANGUAGE.leaves[Trait](node, language)._replace(steady=True)


def whole_days(node: Calendar) -> Span:
    """Days of 24 hours from midnight in UTC."""
    return LANGUAGE.windows[Calendar](msgspec.structs.replace(node, tz="UTC"))


def _later(span: Span, now: int, kept: int) -> tuple[int, int]:
    after, upto = span.bounds(now, kept)
    return after, upto + 1


MUTANTS = {
    "gt for gte": swapped("gte", ordered(operator.gt)),
    "gte for gt": swapped("gt", ordered(operator.ge)),
    "lt for lte": swapped("lte", ordered(operator.lt)),
    "lte for lt": swapped("lt", ordered(operator.le)),
    "eq without types": swapped("eq", lambda operand: lambda value: value == operand),
    "null is a value": swapped("exists", lambda _: lambda _value: True),
    "a window a millisecond too long": window(
        bounds=lambda span: lambda now, kept: (span.bounds(now, kept)[0] - 1, now),
        leaves=lambda span: lambda ts, kept: span.leaves(ts, kept) + 1,
    ),
    "a window that forgets retention": window(
        bounds=lambda span: lambda now, _: (now - span.age, now), leaves=lambda span: lambda ts, _: ts + span.age
    ),
    "events of the future count": window(
        bounds=lambda span: lambda now, kept: (span.bounds(now, kept)[0], now + 1_000)
    ),
    "events leave a millisecond late": window(leaves=lambda span: lambda ts, kept: span.leaves(ts, kept) + 1),
    "events never enter": window(enters=lambda _: lambda _ts: 1 << 62),
    "a count that stops too early": aggregate("count", limit=lambda cmp, value: 1),
    "a sum that is always 0": aggregate("sum", states=lambda values: [0] * (len(values) + 1)),
    "first is last": aggregate("first", states=LANGUAGE.aggregates["last"].states),
    "between, a millisecond too early": window(Between, bounds=lambda span: lambda now, kept: _later(span, now, kept)),
    "between, entering a millisecond late": window(Between, enters=lambda span: lambda ts: span.enters(ts) + 1),
    "from-to, its beginning left out": window(
        Absolute, bounds=lambda span: lambda now, kept: (span.bounds(now, kept)[0] + 1, span.bounds(now, kept)[1])
    ),
    "since the last for since the first": LANGUAGE._replace(leaves={**LANGUAGE.leaves, Since: newest_first}),
    "a sequence in any window": otherwise(Sequence, window=lambda _: None),
    "a sequence that takes a millisecond more": otherwise(Sequence, within=longer),
    "a strict sequence that is not": otherwise(Sequence, strict=lambda _: False),
    "a sequence that is always strict": otherwise(Sequence, strict=lambda _: True),
    "a sequence over different carts": otherwise(Sequence, same=lambda _: ()),
    "a sequence that looks at one of two paths": otherwise(Sequence, same=lambda same: same[:1]),
    "a sequence that forgets what must be absent": otherwise(Sequence, absent=lambda _: None),
    "a sequence that waits a millisecond more": otherwise(Sequence, absent=patient),
    "a sequence without its first step": otherwise(Sequence, steps=lambda steps: steps[1:] or steps),
    "older_than, a millisecond late": dated("older_than", lambda make, age: make(age + 1)),
    "newer_than that knows no future": dated(
        "newer_than", lambda make, age: lambda t, now: t + age if now - t < age else -INF
    ),
    "within_next, a millisecond more": dated("within_next", lambda make, age: make(age + 1)),
    "within_next that ends too early": dated(
        "within_next", lambda make, age: lambda t, now: make(age)(t, now) - (t - age < now <= t)
    ),
    "after, the instant itself too": swapped("after", instant(operator.ge)),
    "dates that never pass": LANGUAGE._replace(leaves={**LANGUAGE.leaves, Trait: lasting}),
    "days of Greenwich": LANGUAGE._replace(windows={**LANGUAGE.windows, Calendar: whole_days}),
    "calendar, leaving a millisecond late": window(
        Calendar, leaves=lambda span: lambda ts, kept: span.leaves(ts, kept) + 1
    ),
    "calendar, a millisecond too much": window(
        Calendar, bounds=lambda span: lambda now, kept: (span.bounds(now, kept)[0] - 1, span.bounds(now, kept)[1])
    ),
    "any event is one": LANGUAGE._replace(leaves={**LANGUAGE.leaves, Since: one_name}),
    "a list of nobody": otherwise(List, profiles=lambda _: ()),
    "wrong polarity of sequence": careless_sequences(),
    "wrong polarity of event": forgetful(Event),
    "wrong polarity of since": forgetful(Since),
}
# In event nodes whose aggregate is an instant, compared with now.
MOVING = {
    "an event's instant that outlasts its window": moving(lambda _: window(leaves=lambda _: lambda _ts, _kept: INF)),
    "an event's instant that leaves a millisecond late": moving(
        lambda _: window(leaves=lambda span: lambda ts, kept: span.leaves(ts, kept) + 1)
    ),
    "an event's instant that never enters": moving(lambda _: window(Between, enters=lambda _: lambda _ts: INF)),
    "the first event's instant that stays": moving(judged_at_first),
    "the last event's instant for the first's": moving(
        lambda _: aggregate("first", states=LANGUAGE.aggregates["last"].states)
    ),
    "an event's instant, older_than a millisecond late": moving(
        lambda _: dated("older_than", lambda make, age: make(age + 1))
    ),
}


def differs(mutant: Language, node: type) -> bool:
    """Whether the mistake is in leaves of that kind, which are then what it is looked for in."""
    if mutant.leaves[node] is not LANGUAGE.leaves[node]:
        return True
    if node is Event and mutant.windows is not LANGUAGE.windows:
        return True
    return node is Trait and (mutant.dates is not LANGUAGE.dates or mutant.comparators is not LANGUAGE.comparators)
