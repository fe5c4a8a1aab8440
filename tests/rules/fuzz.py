"""One trial of the fuzz: a random rule in a random world, judged by the engine and by the oracle."""

import random
from typing import NamedTuple

from segments.rules import INF, LANGUAGE, Language, compile_rule, parse
from tests.rules import make
from tests.rules.make import NOW
from tests.rules.oracle import World, member

FOREVER = NOW + 2 * make.RETENTION  # by then everything has happened that could

# Where an answer may end before it flips: at every event that enters, and at the first of many when it leaves.
LAZY = ("'between'", "'first'")


class Outcome(NamedTuple):
    """What the trial showed; `wrong` says what was not as it should be."""

    wrong: str | None = None
    ends: bool = False  # the answer was said to end
    flips: bool = False  # and so it did


def trial(seed: int, language: Language = LANGUAGE) -> Outcome:
    """Value and validity: the oracle agrees at now and until the instant before |f|. Then one more event: polarity."""
    rnd = random.Random(seed)
    document = make.document(rnd)
    future = rnd.random() < 0.25
    events, traits, identified = make.events(rnd, NOW, future=future), make.traits(rnd), rnd.random() < 0.5
    compiled = compile_rule(parse(document), language)
    facts = make.facts(events, traits, identified=identified)

    def truth(now: int) -> bool:
        world = World(events, now=now, traits=traits, identified=identified, retention=make.RETENTION)
        return member(document, world)

    def wrong(what: str) -> Outcome:
        return Outcome(f"seed {seed}: {what}\nrule {document}\nevents {events}\ntraits {traits}")

    f = compiled.value(facts, NOW)
    if abs(f) <= NOW:
        return wrong(f"{f} does not reach beyond now")
    until = FOREVER if abs(f) == INF else abs(f)
    for instant in make.instants(NOW, until):
        if truth(instant) is not (f > 0):
            return wrong(f"said {f > 0} until now + {until - NOW}, but not so at now + {instant - NOW}")
    before = truth(NOW)
    lazy = future or any(word in str(document) for word in LAZY)
    ends = abs(f) != INF and not lazy
    flips = ends and truth(until) is not before
    more = (rnd.choice(make.NAMES), NOW - rnd.randrange(make.RETENTION), b"\xff", *make.properties(rnd))
    events.append(more)
    moved = truth(NOW) - before
    direction = compiled.polarity.get(more[0])
    if moved and (direction is None or moved == -direction):
        return wrong(f"the last event moved it by {moved}, its name has polarity {direction}")
    return Outcome(None, ends, flips)
