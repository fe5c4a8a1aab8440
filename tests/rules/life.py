"""One life of the fuzz: events on time, late and twice, traits, merges, new rules, timers early and late, gates.

The oracle looks at all that was ever received.
"""

import random
from functools import partial

from ingestion.applying.stale import MERGED, TRAITS, Mark
from segments.judge import Current, Verdict, judge, stands
from segments.rules import Compiled, Facts, compile_rule, gate, parse
from tests.rules import make
from tests.rules.oracle import Event, World, member

STEPS = 12


class Life:
    """A profile and one persona, as the evaluator keeps them."""

    def __init__(self, seed: int, op: str = "") -> None:
        """op: what the rules consist of, "" for anything."""
        self.op = op
        self.rnd = random.Random(seed)
        self.of = make.scale(self.rnd)
        self.now = self.of.now - 12 * self.of.unit
        self.personas = make.personas(self.rnd, self.of)
        self.received: list[Event] = []
        self.events: list[Event] = []  # as they are stored: the first of each uid
        self.traits = make.traits(self.rnd, self.of)
        self.identified = self.rnd.random() < 0.5
        self.version = 0
        self.current: Current | None = None
        self.timers = self.gated = self.checks = self.merged = self.doubled = self.passing = 0
        self.redefine()

    def redefine(self) -> None:
        self.document = make.document(self.rnd, self.of, tuple(self.personas), self.op)
        self.compiled: Compiled = compile_rule(parse(self.document, resolve=self.personas.get))
        self.version += 1
        self.passing += make.passes(self.document)
        self.judge(None)

    def facts(self) -> Facts:
        return make.facts(self.events, self.traits, identified=self.identified, of=self.of)

    def judge(self, mark: Mark | None) -> None:
        value = partial(self.compiled.value, self.facts())
        verdict = judge(
            value,
            now=self.now,
            revision=self.version,
            current=self.current,
            mark=mark,
            event_at=lambda instant: next((event[2] for event in self.events if event[1] == instant), None),
        )
        value_now = value(self.now)
        assert stands(value_now, self.now, self.version, self.current) is not verdict.write, (value_now, verdict)
        self.store(verdict)

    def store(self, verdict: Verdict) -> None:
        if verdict.write:
            self.current = Current(verdict.is_member, verdict.since, self.version, verdict.recheck_at)

    def due(self) -> bool:
        return self.current is not None and self.current.recheck_at is not None and self.current.recheck_at <= self.now

    def step(self) -> None:
        """Time passes, something happens, and the worker comes, perhaps too late for some timers."""
        self.now += self.rnd.choice((0, 1, 1, 2, 5, 9)) * self.of.unit
        what = self.rnd.random()
        if what < 0.7:
            self.happen()
        elif what < 0.8:
            self.traits = make.traits(self.rnd, self.of)
            self.judge(Mark(1, TRAITS, (), self.now, self.now, ""))
        elif what < 0.83:
            self.redefine()
        elif what < 0.9:
            self.merge()
        if self.due():
            self.timers += 1
            self.judge(None)

    def happen(self) -> None:
        """Some events at once, most of them late."""
        names = {self.receive() for _ in range(self.rnd.choice((1, 1, 1, 2, 3)))}
        is_member = self.current is not None and self.current.is_member
        settled = self.compiled.settled is not None and self.compiled.settled(self.facts(), 0) != 0
        if not self.due() and (settled or not gate(self.compiled.polarity, is_member, names)):
            self.gated += 1
            return
        last = self.events[-1]
        self.judge(Mark(1, 0, (1,), self.now, last[1], last[2].hex()))

    def receive(self) -> str:
        """One event, late or not; some come twice, and claim another instant or other properties then."""
        name, _, uid, properties, context = make.event(self.rnd, self.of, future=False)
        late = self.rnd.choice((0, 0, 1, 3, 8, 20)) * self.of.unit
        uid = bytes([len(self.events)]) + uid
        known = {event[2]: event for event in self.events}
        if known and self.rnd.random() < 0.15:
            uid = self.rnd.choice(sorted(known))
            name = known[uid][0]
            self.doubled += 1
        event = (name, self.now - late, uid, properties, context)
        self.received.append(event)
        if uid not in known:
            self.events.append(event)
        return name

    def merge(self) -> None:
        """Somebody else turns out to be the same person; of some of her events we had a copy."""
        self.merged += 1
        for _ in range(self.rnd.randrange(5)):
            self.receive()
        self.traits = {**make.traits(self.rnd, self.of), **self.traits}
        self.identified = self.identified or self.rnd.random() < 0.5
        self.judge(Mark(1, MERGED, (), self.now, self.now, ""))

    def wrong(self) -> str | None:
        """What is not as the oracle says, now that no timer is due."""
        self.checks += 1
        first_of_each = {event[2]: event for event in reversed(self.received)}
        world = World(
            list(first_of_each.values()),
            now=self.now,
            traits=self.traits,
            identified=self.identified,
            retention=self.of.retention,
            personas=self.personas,
        )
        truth = member(self.document, world)
        if truth is (self.current is not None and self.current.is_member):
            return None
        return f"{truth}, but {self.current} at {self.now}\n{self.document}\n{self.personas}\n{self.events}"

    def run(self) -> str | None:
        for _ in range(STEPS):
            self.step()
            if wrong := self.wrong():
                return wrong
        while self.current is not None and self.current.recheck_at is not None:  # and then nothing more happens
            for instant in (self.current.recheck_at - 1, self.current.recheck_at):
                self.now = instant
                if self.due():
                    self.timers += 1
                    self.judge(None)
                if wrong := self.wrong():
                    return wrong
        return None
