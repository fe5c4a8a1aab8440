"""What threads promise each other."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from persona.lib.problems import Problem

A = TypeVar("A")
B = TypeVar("B")


def pending() -> "Future[A]":
    """A future that its reader cannot cancel: whoever has promised it may always resolve it."""
    future: Future[A] = Future()
    future.set_running_or_notify_cancel()
    return future


def then(source: "Future[A]", step: Callable[[A], "B | Future[B]"], otherwise: Callable[[Problem], B]) -> "Future[B]":
    """The result of `step` on the result of `source`; a Problem of either becomes the result of `otherwise`."""
    promised: Future[B] = pending()

    def settle(done: "Future[A]") -> None:
        try:
            outcome = step(done.result())
        except Problem as problem:
            promised.set_result(otherwise(problem))
        except Exception as error:  # it goes on to whoever waits
            promised.set_exception(error)
        else:
            if isinstance(outcome, Future):
                outcome.add_done_callback(hand_on)
            else:
                promised.set_result(outcome)

    def hand_on(done: "Future[B]") -> None:
        error = done.exception()
        if error is None:
            promised.set_result(done.result())
        else:
            promised.set_exception(error)

    source.add_done_callback(settle)
    return promised


def mapped(source: "Future[A]", step: Callable[[A], B]) -> "Future[B]":
    """The result of `step`, which must be quick, on the result of `source`; errors go on to whoever waits."""
    promised: Future[B] = pending()

    def settle(done: "Future[A]") -> None:
        try:
            outcome = step(done.result())
        except Exception as error:
            promised.set_exception(error)
        else:
            promised.set_result(outcome)

    source.add_done_callback(settle)
    return promised
