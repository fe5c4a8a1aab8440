"""The process in which a worker's tasks run, when it has been killed: by the kernel that needs memory, say."""

from typing import Any

from billiard import pool


class Pool(pool.Pool):
    """Billiard's, whose processes share a pipe and lock it while they wait for a task. One that is killed there takes
    the lock with it: its successor would wait for that for ever, and so would the worker when it stops."""

    def _repopulate_pool(self, exitcodes: list[int]) -> None:
        own: Any = self
        if own._state == pool.RUN and not own._pool:  # whoever holds a lock now is dead
            for lock in (own._inqueue._rlock, own._outqueue._wlock):
                lock.acquire(block=False)
                lock.release()
        super()._repopulate_pool(exitcodes)  # type: ignore[misc]  # the stubs leave it out
