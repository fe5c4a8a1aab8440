"""The bodies of webhooks. A message is made once, when its row is taken: every try sends the same bytes. Pure."""

from collections.abc import Sequence

import msgspec

from persona.lib.clock import rfc3339
from segments.log import LogRow


class ChangeMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One enter or leave. id: the same for every try and destination; previous_seq: of the same profile and persona."""

    id: str
    type: str = "segment.updated"
    project: str
    seq: int
    previous_seq: int | None
    profile: str
    external_ids: Sequence[str]
    persona: str
    op: str
    at: str
    cause: str
    version: int
    trigger: str | None
    late_ms: int | None


class Lost(msgspec.Struct, frozen=True):
    first: int
    last: int


class GapMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the log that were pruned before this destination got them: its copy of the members must be read anew."""

    id: str
    type: str = "gap"
    project: str
    seq: int
    lost: Lost


class PingMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A test, sent on request alone."""

    id: str
    type: str = "ping"
    project: str
    at: str


def change(project: str, row: LogRow, *, previous: int | None, external_ids: Sequence[str]) -> bytes:
    message = ChangeMessage(
        id=f"{project}-{row.seq}",
        project=project,
        seq=row.seq,
        previous_seq=previous,
        profile=row.profile,
        external_ids=external_ids,
        persona=row.persona,
        op=row.op,
        at=rfc3339(row.at),
        cause=row.cause,
        version=row.version,
        trigger=row.trigger and f"e_{row.trigger}",
        late_ms=row.late_ms,
    )
    return msgspec.json.encode(message)


def gap(project: str, first: int, last: int) -> bytes:
    return msgspec.json.encode(
        GapMessage(id=f"{project}-gap-{last}", project=project, seq=last, lost=Lost(first, last))
    )


def ping(project: str, *, number: str, now: int) -> bytes:
    return msgspec.json.encode(PingMessage(id=f"{project}-ping-{number}", project=project, at=rfc3339(now)))
