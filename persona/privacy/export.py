"""Everything that is stored of one profile, as NDJSON: an object a line, each with its `type`, in bounded pages."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import msgspec
from asgiref.sync import sync_to_async
from django.db import connection

from ingestion.applying.cursors import bulk_cursor
from ingestion.erasing import Found, found
from ingestion.models import Alias, EventName, Profile
from keys.models import Project
from persona.lib.clock import rfc3339
from segments import log
from segments.insight import reading

PAGE = 500

EVENTS = """
select encode(uid, 'hex'), name_id, ts, received_at, props::text, context::text from ingestion_event
where project_id = %s and profile_id = any(%s) and (ts, uid) > (%s, decode(%s, 'hex')) order by ts, uid limit %s
"""
ATTEMPTS = """
select id, status, seq, created_at, body from delivery_attempt
where project_id = %s and profile_id = any(%s) and id > %s order by id limit %s
"""


async def stream(project: Project, profile: Profile) -> AsyncIterator[bytes]:
    """The lines, some at a time. Each page is read on the request's own thread."""
    pages = export(project, profile)
    while page := await sync_to_async(_next)(pages):
        yield page


def export(project: Project, profile: Profile) -> Iterator[bytes]:
    """`profile`: one that was not merged."""
    with bulk_cursor() as cursor:
        who = found(cursor, project.pk, profile.pk)
    yield _lines(_profile(project, profile))
    yield _lines(_ids(project, who))
    for page in (_changes(project, who), _events(project, who), _deliveries(project, who)):
        yield from page


def _profile(project: Project, profile: Profile) -> Iterator[dict[str, Any]]:
    yield {
        "type": "profile",
        "profile": profile.public_id,
        "project": project.slug,
        "traits": profile.traits,
        "first_seen": rfc3339(profile.first_seen),
        "last_seen": rfc3339(profile.last_seen),
    }
    for one in reading.belongings(project=project, profile_id=profile.pk):
        yield {"type": "membership", **msgspec.to_builtins(one)}


def _ids(project: Project, who: Found) -> Iterator[dict[str, Any]]:
    for row in Alias.objects.filter(project=project, profile_id__in=who.profiles).order_by("kind", "external_id"):
        yield {"type": "id", "kind": row.kind, "id": row.external_id}


def _changes(project: Project, who: Found) -> Iterator[bytes]:
    for number in who.profiles:
        after = 0
        while rows := log.after(project.pk, after, None, PAGE, profile_id=number):
            after = rows[-1].seq
            yield _lines(
                {"type": "change", "seq": row.seq, "persona": row.persona, "op": row.op, "at": rfc3339(row.at),
                 "cause": row.cause, "version": row.version}
                for row in rows
            )  # fmt: skip


def _events(project: Project, who: Found) -> Iterator[bytes]:
    names = dict(EventName.objects.filter(project=project).values_list("id", "name"))
    ts, uid = -1, ""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(EVENTS, [project.pk, list(who.profiles), ts, uid, PAGE])
            rows = cursor.fetchall()
        if not rows:
            return
        uid, ts = rows[-1][0], rows[-1][2]
        yield _lines(
            {"type": "event", "id": f"e_{one}", "event": names.get(name, ""), "at": rfc3339(at),
             "received_at": rfc3339(received_at), "properties": msgspec.Raw(props.encode()),
             "context": context and msgspec.Raw(context.encode())}
            for one, name, at, received_at, props, context in rows
        )  # fmt: skip


def _deliveries(project: Project, who: Found) -> Iterator[bytes]:
    after = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(ATTEMPTS, [project.pk, list(who.profiles), after, PAGE])
            rows = cursor.fetchall()
        if not rows:
            return
        after = rows[-1][0]
        yield _lines(
            {"type": "delivery", "id": str(number), "status": status, "seq": seq, "created_at": rfc3339(created_at),
             "body": msgspec.Raw(body.encode())}
            for number, status, seq, created_at, body in rows
        )  # fmt: skip


def _next(pages: Iterator[bytes]) -> bytes:
    return next(pages, b"")


def _lines(rows: Iterable[object]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
