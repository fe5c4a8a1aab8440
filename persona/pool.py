"""The process in which a worker's tasks run, when it has been killed: by the kernel that needs memory, say."""

from billiard import pool


class Pool(pool.Pool):  # type: ignore[misc]  # billiard carries no types
    """Billiard's, whose processes share a pipe and lock it while they wait for a task. One that is killed there takes
    the lock with it: its successor would wait for that for ever, and so would the worker when it stops."""

    def _repopulate_pool(self, exitcodes: list[int]) -> None:
        if self._state == pool.RUN and not self._pool:  # whoever holds a lock now is dead
            for lock in (self._inqueue._rlock, self._outqueue._wlock):
                lock.acquire(block=False)
                lock.release()
        super()._repopulate_pool(exitcodes)
