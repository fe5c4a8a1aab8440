"""One life of the fuzz: events on time and late, traits, new rules, timers early and late, gates; and the oracle."""

import random
from functools import partial

from ingestion.stale import TRAITS, Mark
from segments.judge import Current, Verdict, judge
from segments.rules import Compiled, Facts, compile_rule, gate, parse
from tests.rules import make
from tests.rules.oracle import Event, World, member

STEPS = 12


class Life:
    """A profile and one persona, as the evaluator keeps them."""

    def __init__(self, seed: int) -> None:
        self.rnd = random.Random(seed)
        self.of = make.scale(self.rnd)
        self.now = self.of.now - 12 * self.of.unit
        self.personas = make.personas(self.rnd, self.of)
        self.events: list[Event] = []
        self.traits = make.traits(self.rnd, self.of)
        self.identified = self.rnd.random() < 0.5
        self.version = 0
        self.current: Current | None = None
        self.timers = self.gated = self.checks = 0
        self.redefine()

    def redefine(self) -> None:
        self.document = make.document(self.rnd, self.of, tuple(self.personas))
        self.compiled: Compiled = compile_rule(parse(self.document, resolve=self.personas.get))
        self.version += 1
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
        if self.due():
            self.timers += 1
            self.judge(None)

    def happen(self) -> None:
        """Some events at once, most of them late."""
        names = set()
        for _ in range(self.rnd.choice((1, 1, 1, 2, 3))):
            name, _, uid, properties, context = make.event(self.rnd, self.of, future=False)
            late = self.rnd.choice((0, 0, 1, 3, 8, 20)) * self.of.unit
            uid = bytes([len(self.events)]) + uid
            self.events.append((name, self.now - late, uid, properties, context))
            names.add(name)
        is_member = self.current is not None and self.current.is_member
        if not self.due() and not gate(self.compiled.polarity, is_member, names):
            self.gated += 1
            return
        last = self.events[-1]
        self.judge(Mark(1, 0, (1,), self.now, last[1], last[2].hex()))

    def wrong(self) -> str | None:
        """What is not as the oracle says, now that no timer is due."""
        self.checks += 1
        world = World(
            self.events,
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
