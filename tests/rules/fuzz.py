"""One trial of the fuzz: a random rule in a random world, judged by the engine and by the oracle."""

import random
from typing import NamedTuple

from segments.rules import INF, LANGUAGE, Language, compile_rule, gate, parse
from segments.rules.gates import direction
from tests.rules import make
from tests.rules.oracle import World, member

# Where an answer may end before it flips: at every event that enters, and at the first of many when it leaves.
LAZY = ("'between'", "'which': 'first'", "'back': 1", "'back': 2")


class Outcome(NamedTuple):
    """What the trial showed; `wrong` says what was not as it should be."""

    wrong: str | None = None
    ends: bool = False  # the answer was said to end
    flips: bool = False  # and so it did
    gated: bool = False  # one more event was let pass without a judgment
    checks: int = 0  # how often the oracle was asked
    passing: bool = False  # an event's instant was compared with now


def trial(seed: int, language: Language = LANGUAGE, op: str = "") -> Outcome:
    """Value and validity: the oracle agrees at now and until the instant before |f|. Then one more event: the gates.

    op: what the rule consists of, "" for anything.
    """
    rnd = random.Random(seed)
    of = make.scale(rnd)
    personas = make.personas(rnd, of)
    document = make.document(rnd, of, tuple(personas), op)
    future = rnd.random() < 0.25
    events, traits, identified = make.events(rnd, of, future=future), make.traits(rnd, of), rnd.random() < 0.5
    compiled = compile_rule(parse(document, resolve=personas.get), language)
    facts = make.facts(events, traits, identified=identified, of=of)

    settled = compiled.settled(make.facts([], traits, identified=identified, of=of), 0) if compiled.settled else 0

    checks = 0

    def truth(now: int) -> bool:
        nonlocal checks
        checks += 1
        world = World(events, now=now, traits=traits, identified=identified, retention=of.retention, personas=personas)
        return member(document, world)

    def wrong(what: str) -> Outcome:
        return Outcome(f"seed {seed}: {what}\nnow {of.now}\nrule {document}\n{personas}\nevents {events}\n{traits}")

    f = compiled.value(facts, of.now)
    if abs(f) <= of.now:
        return wrong(f"{f} does not reach beyond now")
    if settled not in (0, f):
        return wrong(f"traits alone were said to decide {settled}, but the value is {f}")
    # By then everything has happened that could.
    until = of.now + 2 * of.retention if abs(f) == INF else abs(f)
    passing = make.passes(document)
    for instant in of.instants(until, 1 if passing else 3):
        if truth(instant) is not (f > 0):
            return wrong(f"said {f > 0} until now + {until - of.now}, but not so at now + {instant - of.now}")
    before = truth(of.now)
    lazy = future or any(word in str((document, personas)) for word in LAZY)
    ends = abs(f) != INF and not lazy
    flips = ends and truth(until) is not before
    more = (rnd.choice(make.NAMES), of.now - rnd.randrange(of.retention), b"\xff", *make.properties(rnd, of))
    events.append(more)
    moved = truth(of.now) - before
    if moved and direction(compiled.polarity, more[0]) not in (0, moved):
        return wrong(f"the last event moved it by {moved}, its name has polarity {compiled.polarity}")
    gated = settled != 0 or not gate(compiled.polarity, before, [more[0]])
    if gated and any(truth(instant) is not before for instant in of.instants(until)):
        return wrong(f"the last event was let pass, polarity {compiled.polarity}, but the answer ends sooner")
    return Outcome(None, ends, flips, gated, checks, passing)
