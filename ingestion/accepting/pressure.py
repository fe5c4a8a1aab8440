"""Back-pressure: when what waits to be applied fills the disk, nothing more is taken, and clients are told to wait.

One thread of the web process looks once a second. Below the limit that is one look at the size of a file.
"""

import os
import threading
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from prometheus_client import Gauge

from persona.lib.log import get_logger
from persona.lib.problems import Problem

log = get_logger(__name__)

EVERY = 1.0  # seconds
STATEMENT_MS = 5_000

FULL = Gauge(
    "persona_ingest_refusing",
    "Whether new batches are refused until older ones are applied.",
    multiprocess_mode="livemax",
)
FREE = Gauge(
    "persona_disk_free_bytes", "Free on the disk of the embedded PostgreSQL.", multiprocess_mode="livemostrecent"
)

SIZE = "select pg_total_relation_size('ingestion_batch'), pg_relation_size('ingestion_batch') / 8192"
# The file keeps the room of applied batches until it is used again or vacuumed away: when it is large, a sample of
# about SAMPLE pages says how much of it still waits.
SAMPLE = 2_000
WAITING = """
select coalesce(sum(octet_length(body) + 100), 0) * 100 / %(percent)s
from ingestion_batch tablesample system (%(percent)s) where not parked
"""


class Pressure:
    """One per process that takes batches."""

    def __init__(self) -> None:
        self._refusal: Problem | None = None
        self._folder: Path | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def refusal(self) -> Problem | None:
        """Why no batch can be taken now; None as a rule."""
        return self._refusal

    def start(self) -> None:
        """Look once a second, until `stop`."""
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(target=self._watch, name="pressure", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def look(self, connection: "psycopg.Connection[Any]") -> None:
        """Ask how full it is, and remember what to tell clients. Raises psycopg.Error."""
        waiting, room = waiting_bytes(connection), self._free(connection)
        if room is not None:
            FREE.set(room)
        if waiting > settings.PERSONA_INBOX_MOST_BYTES:
            self._note(full(f"{waiting // 1024**2} MB wait to be applied"))
        elif room is not None and room < settings.PERSONA_LEAST_FREE_BYTES:
            self._note(full("the disk is nearly full"))
        else:
            self._note(None)

    def _watch(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        while not self._stop.wait(EVERY):
            try:
                connection = connection or _connect()
                self.look(connection)
            except Exception as error:
                # Whoever commits finds out that the database is away; what was true a second ago stays true.
                if isinstance(error, psycopg.Error):
                    log.debug("pressure.unknown", error=type(error).__name__)
                else:
                    log.exception("pressure.failed")
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _free(self, connection: "psycopg.Connection[Any]") -> int | None:
        """Bytes free where the embedded server keeps its data; of other servers only their size is known."""
        if not (settings.PERSONA_HOME / "database_url").exists():
            return None
        if self._folder is None:
            (folder,) = connection.execute("show data_directory").fetchone() or ("",)
            self._folder = Path(folder)
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return None
        return disk.f_bavail * disk.f_frsize

    def _note(self, refusal: Problem | None) -> None:
        if (refusal is None) != (self._refusal is None):
            said = "ingest.accepting" if refusal is None else "ingest.refusing"
            log.warning(said, reason="" if refusal is None else refusal.detail)
        FULL.set(refusal is not None)
        self._refusal = refusal


def full(why: str) -> Problem:
    detail = f"No batch is taken right now: {why}. Keep it and try again."
    return Problem(503, "ingest.full", detail, retry_after=10)


def waiting_bytes(connection: "psycopg.Connection[Any]") -> int:
    """About how many bytes wait to be applied; exact enough to compare with a limit, and 0 when clearly below it."""
    size, pages = connection.execute(SIZE).fetchone() or (0, 0)
    if size <= settings.PERSONA_INBOX_MOST_BYTES:
        return 0
    percent = 100 if pages <= SAMPLE else 100 * SAMPLE / pages
    (waiting,) = connection.execute(WAITING, {"percent": percent}).fetchone() or (0,)
    return int(waiting)


def _connect() -> "psycopg.Connection[Any]":
    given = connections[settings.INBOX_ALIAS].get_connection_params()
    given.pop("cursor_factory", None)  # Django's own would log every statement of a debug run
    given.pop("context", None)
    connection = psycopg.connect(**{**given, "autocommit": True})
    connection.execute(f"set statement_timeout = {STATEMENT_MS}")
    return connection


pressure = Pressure()
refusal = pressure.refusal
