"""What threads promise each other."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from persona.lib.log import get_logger
from persona.lib.problems import Problem

log = get_logger(__name__)

A = TypeVar("A")
B = TypeVar("B")


class Promise(Future[A]):
    """A future that its reader cannot cancel: whoever has promised it may always resolve it, once.

    One is made for every request, so it has neither a lock nor a condition: a listener is taken off the list before
    it is called, and taking off is a single step of the interpreter. Who waits brings an event of his own. The
    functions of `concurrent.futures` that wait for several futures do not know it.
    """

    def __init__(self) -> None:
        self._kept = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._listeners: list[Callable[[Future[A]], object]] = []

    def done(self) -> bool:
        return self._kept

    def running(self) -> bool:
        return not self._kept

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def result(self, timeout: float | None = None) -> A:
        """Raises what the promise was broken with, or TimeoutError after `timeout` seconds."""
        error = self.exception(timeout)
        if error is not None:
            raise error
        value: A = self._value
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Raises TimeoutError after `timeout` seconds."""
        if not self._kept:
            kept = threading.Event()
            self.add_done_callback(lambda _: kept.set())
            if not kept.wait(timeout):
                raise TimeoutError
        return self._error

    def add_done_callback(self, fn: Callable[[Future[A]], object]) -> None:
        # First on the list, then the look, as `_keep` does it the other way round: one of the two finds it.
        self._listeners.append(fn)
        if self._kept:
            self._tell()

    def set_result(self, result: A) -> None:
        self._value = result
        self._keep()

    def set_exception(self, exception: BaseException | None) -> None:
        self._error = exception
        self._keep()

    def _keep(self) -> None:
        self._kept = True
        self._tell()

    def _tell(self) -> None:
        while self._listeners:
            try:
                listener = self._listeners.pop(0)
            except IndexError:  # the other thread was quicker
                return
            try:
                listener(self)
            except Exception:  # it costs nobody else the answer
                log.exception("promise.listener_failed")


def pending() -> "Promise[A]":
    return Promise()


def then(source: "Future[A]", step: Callable[[A], "B | Future[B]"], otherwise: Callable[[Problem], B]) -> "Future[B]":
    """The result of `step` on the result of `source`; a Problem of either becomes the result of `otherwise`."""
    promised: Promise[B] = pending()

    def settle(done: "Future[A]") -> None:
        outcome: B | Future[B]
        try:
            try:
                outcome = step(done.result())
            except Problem as problem:
                outcome = otherwise(problem)
        except Exception as error:  # of either; it goes on to whoever waits
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
    promised: Promise[B] = pending()

    def settle(done: "Future[A]") -> None:
        try:
            outcome = step(done.result())
        except Exception as error:
            promised.set_exception(error)
        else:
            promised.set_result(outcome)

    source.add_done_callback(settle)
    return promised
