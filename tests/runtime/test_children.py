"""How soon the supervisor starts again what has ended."""

from dataclasses import dataclass, field

import pytest

from persona.running.children import LONGEST_DELAY, SETTLED_SECONDS, SHORTEST_DELAY, SPARED, Kept
from persona.running.embedded import CannotStart
from persona.running.starting import NotYet


@dataclass
class Program:
    """A part whose fate the test decides."""

    name: str = "program"
    pid: int | None = None
    works: bool = True
    starts: bool = True
    refusal: CannotStart = field(default_factory=lambda: CannotStart("not today"))
    code: int | None = None

    def start(self) -> None:
        if not self.starts:
            raise self.refusal
        self.code = None

    def ended(self) -> int | None:
        return self.code

    def is_ready(self) -> bool:
        return self.works


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def delays(program: Program, count: int, *, life: float = 1.0) -> list[float]:
    """Seconds between its ends and its starts, when it ends `life` seconds after each."""
    clock = Clock()
    kept = Kept(program, lambda _: None, clock=clock)
    found = []
    assert kept.look()
    for _ in range(count):
        kept.look()
        clock.now += life
        program.code = -9
        kept.look()
        since, due = clock.now, kept._due
        assert due is not None
        clock.now = due
        assert kept.look()
        found.append(due - since)
    return found


def test_what_did_its_work_comes_back_at_once_the_first_few_times() -> None:
    found = delays(Program(), 20)
    assert found[:SPARED] == pytest.approx([SHORTEST_DELAY] * SPARED)
    assert found[-1] == pytest.approx(LONGEST_DELAY)


def test_what_never_works_is_tried_ever_more_rarely() -> None:
    found = delays(Program(works=False), 2_000)  # for hours: no number may overflow
    assert found[:4] == pytest.approx([found[0] * 2**n for n in range(4)])
    assert found[-1] == pytest.approx(LONGEST_DELAY)


def test_what_cannot_even_start_is_tried_ever_more_rarely() -> None:
    clock = Clock()
    kept = Kept(Program(starts=False), lambda _: None, clock=clock)
    tries = []
    for _ in range(100):
        assert not kept.look()
        assert kept._due is not None
        tries.append(kept._due - clock.now)
        clock.now = kept._due
    assert tries[0] < 1
    assert tries[-1] == pytest.approx(LONGEST_DELAY)


def test_what_waits_for_another_part_starts_as_soon_as_that_is_there() -> None:
    clock, said = Clock(), list[str]()
    program = Program(starts=False, refusal=NotYet("the other is not there"))
    kept = Kept(program, said.append, clock=clock)
    for _ in range(100):
        assert not kept.look()
        clock.now += SHORTEST_DELAY
        assert kept._due == pytest.approx(clock.now)
    program.starts = True
    assert kept.look()
    assert not said


def test_what_lived_long_begins_anew() -> None:
    assert delays(Program(), 20, life=SETTLED_SECONDS + 1) == pytest.approx([SHORTEST_DELAY] * 20)
