"""The good keys and fresh refusals that a process remembers: bounded, and only for as long as they may be trusted."""

import math
import threading
from collections.abc import Callable, Sequence

import msgspec

from keys import refusals, tokens
from keys.principal import Found, Principal, Snapshot
from keys.refusals import refusal
from keys.tokens import Token
from persona.lib.log import get_logger

log = get_logger(__name__)

TRUST_SECONDS = 2.0
STREAM_TRUST_SECONDS = 240.0  # an open stream outlives a failover of the database: nothing can be read meanwhile
REFUSAL_SECONDS = 1.0
IDLE_SECONDS = 300.0
CAPACITY = 10_000


class Entry:
    """One good key. The times are of the memory's clock; `deadline` is when the key expires."""

    __slots__ = ("confirmed", "deadline", "found", "principal", "used")

    def __init__(self, found: Found, principal: Principal, *, confirmed: float, deadline: float, used: float) -> None:
        self.found = found
        self.principal = principal
        self.confirmed = confirmed
        self.deadline = deadline
        self.used = used


class Memory:
    """Read without a lock (one dict look-up), written with one. Keyed by digest: no secret stays in memory."""

    def __init__(self, *, clock: Callable[[], float], capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._entries: dict[bytes, Entry] = {}
        self._by_id: dict[int, Entry] = {}
        self._refused: dict[bytes, tuple[float, str]] = {}  # until when, and the code; oldest first
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries) + len(self._refused)

    def trusted(self, digest: bytes, key_id: int = 0) -> Principal | None:
        """The principal, unless it is unknown, expired or was not confirmed lately. Counts as use."""
        entry = self._by_id.get(key_id) if key_id else self._entries.get(digest)
        if entry is None:
            return None
        now = self._clock()
        if now - entry.confirmed > TRUST_SECONDS or now >= entry.deadline:
            return None
        entry.used = now
        return entry.principal

    def known(self, token: Token) -> Principal | None:
        """The same, or raises the refusal that was found less than a second ago."""
        until, code = self._refused.get(token.digest, (0.0, ""))
        if code and self._clock() < until:
            raise refusal(code)
        return self.trusted(token.digest, token.key_id)

    def held(self, key_id: int) -> Principal | None:
        """Whom an open stream of this key speaks for, as far as is known; None: it is over. Counts as use."""
        entry = self._by_id.get(key_id)
        now = self._clock()
        if entry is None or now >= entry.deadline or now - entry.confirmed > STREAM_TRUST_SECONDS:
            return None
        entry.used = now
        return entry.principal

    def admit(self, token: Token, snapshot: Snapshot, started: float) -> Principal:
        """Judge a key by rows that were asked for at `started`, and remember the outcome. Raises Problem."""
        found = snapshot.keys.get(token.lookup)
        if found is None or not _belongs(token, found):
            return self._refuse(token, refusals.INVALID)
        if (code := _spent(found, snapshot.now)) is not None:
            return self._refuse(token, code)
        entry = _entry(found, snapshot.now, started, used=self._clock())
        if entry is None:
            raise refusal(refusals.UNAVAILABLE)
        with self._lock:
            self._make_room()
            self._put(entry)
        return entry.principal

    def current(self) -> list[Entry]:
        """All entries in use; those unused for five minutes are dropped."""
        oldest = self._clock() - IDLE_SECONDS
        with self._lock:
            for entry in [entry for entry in self._entries.values() if entry.used < oldest]:
                self._drop(entry)
            return list(self._entries.values())

    def confirm(self, entries: Sequence[Entry], snapshot: Snapshot, started: float) -> None:
        """Trust the unchanged entries anew. The others are dropped: whoever uses one next reads why."""
        with self._lock:
            for entry in entries:
                found = snapshot.keys.get(entry.found.lookup)
                if found == entry.found and _spent(entry.found, snapshot.now) is None:
                    entry.confirmed = max(entry.confirmed, started)
                    entry.deadline = _deadline(entry.found, snapshot.now, started)
                else:
                    self._renew(entry, found, snapshot.now, started)

    def forget(self, key_id: int) -> None:
        """The key changed: whoever uses it next reads it again."""
        with self._lock:
            if (entry := self._by_id.get(key_id)) is not None:
                self._drop(entry)

    def doubt(self, project_id: int) -> None:
        """The project's settings changed: whoever uses one of its keys next reads it again; open streams stay."""
        long_ago = self._clock() - 2 * TRUST_SECONDS
        with self._lock:
            for entry in [entry for entry in self._entries.values() if entry.found.project_id == project_id]:
                confirmed = min(entry.confirmed, long_ago)
                # Another entry, because what is being confirmed just now was read before the change.
                self._put(
                    Entry(
                        entry.found,
                        entry.principal,
                        confirmed=confirmed,
                        deadline=entry.deadline,
                        used=entry.used,
                    )
                )

    def _renew(self, entry: Entry, found: Found | None, now: float, started: float) -> None:
        """A changed key stays, for its open streams, if it is still good; anything else goes."""
        if self._entries.get(entry.found.digest) is not entry:
            return
        self._drop(entry)
        if found is None or found.digest != entry.found.digest or _spent(found, now) is not None:
            return
        renewed = _entry(found, now, started, used=entry.used)
        if renewed is not None:
            self._put(renewed)

    def _refuse(self, token: Token, code: str) -> Principal:
        with self._lock:
            self._refused.pop(token.digest, None)
            while len(self._refused) >= self._capacity:
                del self._refused[next(iter(self._refused))]
            self._refused[token.digest] = (self._clock() + REFUSAL_SECONDS, code)
        raise refusal(code)

    def _make_room(self) -> None:
        if len(self._entries) >= self._capacity:
            tenth = max(1, self._capacity // 10)  # many at once, because finding the oldest reads them all
            for entry in sorted(self._entries.values(), key=lambda entry: entry.used)[:tenth]:
                self._drop(entry)

    def _put(self, entry: Entry) -> None:
        self._entries[entry.found.digest] = self._by_id[entry.found.key_id] = entry

    def _drop(self, entry: Entry) -> None:
        self._entries.pop(entry.found.digest, None)
        self._by_id.pop(entry.found.key_id, None)


def _belongs(token: Token, found: Found) -> bool:
    """Is it this key, and does its prefix tell the truth about its project?"""
    known = token.key_id == found.key_id if token.key_id else tokens.same(token.digest, found.digest)
    return known and (token.kind, token.mode) == (found.kind, found.mode)


def _spent(found: Found, now: float) -> str | None:
    if found.revoked:
        return refusals.REVOKED
    if found.expires_at is not None and found.expires_at <= now:
        return refusals.EXPIRED
    return None


def _deadline(found: Found, now: float, started: float) -> float:
    """The expiry on our clock. Only the difference to the database's clock counts, so the two may disagree."""
    return math.inf if found.expires_at is None else started + (found.expires_at - now)


def _entry(found: Found, now: float, started: float, *, used: float) -> Entry | None:
    """None, and an error in the log, when this release cannot read the settings of the project."""
    try:
        principal = found.principal()
    except msgspec.MsgspecError as error:
        log.error("project.settings_unreadable", project=found.project_id, key=found.key_id, error=str(error))
        return None
    return Entry(found, principal, confirmed=started, deadline=_deadline(found, now, started), used=used)
