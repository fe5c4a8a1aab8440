"""Whether this process can do its work: asks what it depends on, each for one second at most, all at the same time."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

import msgspec
from celery import current_app
from django.conf import settings
from django.db import connections

from persona import broker
from persona.lib.log import get_logger

log = get_logger(__name__)

T = TypeVar("T")

PATIENCE = 1  # second
CONNECT_SECONDS = 2  # libpq takes no less; whoever waits longer than PATIENCE for it is told so meanwhile

# The oldest waiting batch by its number: one step along an index, however many wait.
LAG = """
select coalesce((select extract(epoch from clock_timestamp()) * 1000 - received_at
                 from ingestion_batch where not parked order by id limit 1), 0)::bigint
"""


# The same of profiles that wait to be judged; a row is a group of them, so there are never many.
STALE = """
select coalesce(max(extract(epoch from clock_timestamp()) * 1000 - at), 0)::bigint from ingestion_staleprofiles
"""


class Readiness(msgspec.Struct, frozen=True):
    """missing: the names of what did not answer; lag_ms: age of the oldest batch that waits to be applied, stale_ms:
    since when the longest waiting profile has to be judged, both if known."""

    missing: tuple[str, ...]
    lag_ms: int | None
    stale_ms: int | None


def _ask_database(alias: str, question: str) -> int:
    """A connection of its own, so that a hanging one harms nobody else and a new one is known to be possible."""
    connection = connections[alias].copy()
    connection.settings_dict["OPTIONS"]["connect_timeout"] = CONNECT_SECONDS
    try:
        with connection.cursor() as cursor:
            cursor.execute("select set_config('statement_timeout', %s, false)", [str(int(PATIENCE * 1000))])
            cursor.execute(question)
            return int(cursor.fetchone()[0])
    finally:
        connection.close()


def _ask_queue() -> int:
    if broker.embedded():
        return _ask_database("default", "select count(*) from pgmq.meta")
    with current_app.connection_for_write(connect_timeout=PATIENCE) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=PATIENCE)
    return 0


QUESTIONS: dict[str, Callable[[], int]] = {
    "database": lambda: _ask_database("default", STALE),
    "inbox": lambda: _ask_database(settings.INBOX_ALIAS, LAG),
    "queue": _ask_queue,
}


class Asking(Generic[T]):
    """The questions under way. Whoever asks one of them again waits for the same answer: threads never pile up."""

    def __init__(self, questions: Mapping[str, Callable[[], T]]) -> None:
        self._questions = questions
        self._pool = ThreadPoolExecutor(len(questions), thread_name_prefix="readiness")
        self._lock = threading.Lock()
        self._open: dict[str, Future[T]] = {}

    def ask(self, name: str) -> Future[T]:
        with self._lock:
            answer = self._open.get(name)
            if answer is None or answer.done():
                answer = self._open[name] = self._pool.submit(self._questions[name])
            return answer


_asking = Asking(QUESTIONS)


def check() -> Readiness:
    """Asks everything; takes PATIENCE at most."""
    answers = {name: _asking.ask(name) for name in QUESTIONS}
    wait(answers.values(), timeout=PATIENCE)
    missing = tuple(name for name, answer in answers.items() if not _answered(name, answer))
    lag, stale = (None if name in missing else answers[name].result() for name in ("inbox", "database"))
    return Readiness(missing, lag, stale)


_checking = Asking({"everything": check})


def soon() -> Future[Readiness]:
    """The same for whoever may not wait; not to be cancelled, because it is shared."""
    return _checking.ask("everything")


def _answered(name: str, answer: Future[int]) -> bool:
    if not answer.done():
        log.warning("readiness.missing", what=name, error=f"no answer within {PATIENCE} s")
        return False
    if error := answer.exception():
        log.warning("readiness.missing", what=name, error=type(error).__name__)
        return False
    return True
