"""A coroutine that is begun by hand and finished by a task is one and the same: each step once, in order."""

import asyncio

import pytest

from segments.streaming.connection import begin, finish


async def steps(gates: list[asyncio.Event], done: list[int]) -> None:
    for number, gate in enumerate(gates):
        await gate.wait()
        done.append(number)


def test_through_at_once() -> None:
    async def run() -> list[int]:
        gates, done = [asyncio.Event(), asyncio.Event()], list[int]()
        for gate in gates:
            gate.set()
        assert begin(steps(gates, done)) is None
        return done

    assert asyncio.run(run()) == [0, 1]


@pytest.mark.parametrize("open_ones", [0, 1])
def test_the_rest_is_awaited_wherever_it_waits(open_ones: int) -> None:
    async def run() -> list[int]:
        gates, done = [asyncio.Event(), asyncio.Event()], list[int]()
        for gate in gates[:open_ones]:
            gate.set()
        suspended = begin(steps(gates, done))
        assert suspended is not None
        assert len(done) == open_ones
        task = asyncio.create_task(finish(suspended))
        await asyncio.sleep(0)
        for gate in gates:
            gate.set()
        await task
        return done

    assert asyncio.run(run()) == [0, 1]


def test_a_cancelled_rest_is_closed() -> None:
    async def run() -> list[int]:
        gates, done = [asyncio.Event()], list[int]()
        suspended = begin(steps(gates, done))
        assert suspended is not None
        task = asyncio.create_task(finish(suspended))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gates[0].set()
        assert suspended.coroutine.cr_frame is None  # type: ignore[attr-defined]  # it is one of ours
        return done

    assert asyncio.run(run()) == []
