"""Wake the workers: one thread per process publishes all tasks, so that no request and no commit ever waits for the
broker, and a broker that is away costs latency, never data (beat's sweep finds the rows).

In a web process the same thread holds the next due timer of all personas, and wakes a worker at that instant.
"""

import threading
import time

import psycopg
from celery import current_app
from django.db import Error, connection
from kombu.exceptions import OperationalError as BrokerError

from persona.lib.log import get_logger
from segments.cursors import raw_cursor

DRAIN, BACKFILL = "segments.drain", "segments.backfill"
GAP = 0.005  # seconds between two messages: what is rung meanwhile becomes one
BUSY = 0.02  # seconds after which one is asked for again while one lies untaken, or a timer is looked for again
LOOK = 0.2  # seconds between two looks at the timers
COMPLAIN = 30.0  # seconds between two complaints about the same thing

# Two index probes a lane: is anything overdue, and how many ms from now is the next instant after that.
NEXT_DUE = """
select bool_or(exists (
        select from segments_membership m
        where m.project_id = l.project_id and m.shard = l.shard and m.recheck_at <= clock.now)),
    min((select min(m.recheck_at) from segments_membership m
        where m.project_id = l.project_id and m.shard = l.shard and m.recheck_at > clock.now) - clock.now)
from (select floor(extract(epoch from statement_timestamp()) * 1000)::bigint as now) clock, segments_lane l
"""

log = get_logger(__name__)


class Publisher:
    """Sends what was asked for, each task name at most once every GAP."""

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._wake = threading.Event()
        self._complained = 0.0
        self._holds_timers = False

    def wake(self, task: str = DRAIN) -> None:
        """Ask for a worker. Never blocks, never fails; callable from any thread.

        Only a process that has called `start` publishes (web, worker, bulk); what a command asks for is found by
        beat's sweep.
        """
        self._asked.add(task)
        self._wake.set()

    def start(self, *, timers: bool) -> None:
        """Run the thread. Once a process; again after a fork, which takes no thread along.

        timers: hold them as well. One process is enough for that, and each costs the database up to 40 looks a second.
        """
        self._holds_timers = timers
        threading.Thread(target=self._run, name="publisher", daemon=True).start()

    def _run(self) -> None:
        due_at = time.monotonic()  # of the next timer, or of the next look
        gap = GAP
        while True:
            self._wake.wait(max(due_at - time.monotonic(), 0) if self._holds_timers else None)
            self._wake.clear()
            try:
                if self._holds_timers and time.monotonic() >= due_at:
                    due_at = time.monotonic() + self._look()
                published = [self._send(self._asked.pop()) for _ in range(len(self._asked))]
                gap = GAP if all(published) else BUSY
            except Exception:  # whatever it was: without this thread every nudge is lost until the process ends
                log.exception("publisher.turn_failed")
                due_at = time.monotonic() + LOOK
            time.sleep(gap)

    def _look(self) -> float:
        """Seconds until the next look, which is the next timer if one is near; asks for a drain when one is due."""
        try:
            with raw_cursor() as cursor:
                overdue, left = cursor.execute(NEXT_DUE).fetchone() or (False, None)
        except Error as error:
            connection.close()
            self._complain("publisher.timers_unknown", error)
            return LOOK
        if overdue:
            self._asked.add(DRAIN)
        return LOOK if left is None else min(max(float(left) / 1000, BUSY), LOOK)

    def _send(self, task: str) -> bool:
        """False: one lies there that nobody has taken. Whoever takes it sees to all that has come until then."""
        try:
            return current_app.send_task(task, ignore_result=True, retry=False) is not None
        except (BrokerError, psycopg.Error, OSError) as error:  # psycopg's: of the queue inside PostgreSQL
            self._complain("publisher.broker_away", error)
            return True

    def _complain(self, event: str, error: Exception) -> None:
        if time.monotonic() - self._complained > COMPLAIN:
            self._complained = time.monotonic()
            log.warning(event, error=type(error).__name__)


_publisher = Publisher()
wake = _publisher.wake
start = _publisher.start
