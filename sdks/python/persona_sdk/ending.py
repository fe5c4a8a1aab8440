"""Whatever ends or begins a process: what was tracked is sent, and a child starts afresh."""

import atexit
import os
import weakref
from multiprocessing import util
from typing import Protocol


class Living(Protocol):
    """A client that is not closed."""

    def close(self) -> None: ...

    def _forked(self) -> None: ...


_living: "weakref.WeakSet[Living]" = weakref.WeakSet()


def begin(client: Living) -> None:
    """Closed at the end of the process, started afresh in the child of a fork."""
    _living.add(client)


def end(client: Living) -> None:
    _living.discard(client)


def _close_all() -> None:
    for client in list(_living):
        client.close()


def _restart_all() -> None:
    for client in list(_living):
        client._forked()


def _at_the_end_of_a_worker(_: object = None) -> None:
    """A process of `multiprocessing` ends by os._exit, which asks nobody but these."""
    util.Finalize(None, _close_all, exitpriority=0)


atexit.register(_close_all)
_at_the_end_of_a_worker()
util.register_after_fork(_living, _at_the_end_of_a_worker)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_all)
