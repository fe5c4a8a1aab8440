"""Rows as the writer and the evaluator leave them, written by hand: pages only read."""

import json
import time
from typing import Any

from django.db import connection, transaction

from ingestion.models import Alias, Profile, WriterLane
from keys.models import Project
from segments.models import Persona


def now() -> int:
    return int(time.time() * 1000)


def run(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def make_lanes(project: Project) -> None:
    run("insert into ingestion_writerlane (project_id) values (%s) on conflict do nothing", project.pk)
    run("insert into segments_head (project_id) values (%s) on conflict do nothing", project.pk)


def make_profile(project: Project, public_id: str = "u_anna") -> Profile:
    return Profile.objects.create(project=project, public_id=public_id, shard=0, first_seen=now(), last_seen=now())


def make_persona(project: Project, slug: str = "high_intent") -> Persona:
    rule = {"v": 1, "rule": {"op": "event", "event": "product_viewed", "cmp": "gte", "value": 1}}
    return Persona.objects.create(project=project, slug=slug, name=slug.title(), rule=rule, status="live")


def as_applied(uid: str = "00" * 16, **more: Any) -> dict[str, Any]:
    """One event as the writer puts it into the log of what was applied."""
    usual = {"id": uid, "name": "product_viewed", "profile": "u_anna", "received_at": now(), "outcome": "stored"}
    return {**usual, "dialect": "pipeline", "batch": "b_1", "index": 0, "props": {}, **more}


@transaction.atomic
def apply(project: Project, *events: dict[str, Any]) -> None:
    """One apply transaction, logged: number and row are seen together or not at all, as the writer's are."""
    lane = WriterLane.objects.get(project=project)
    lane.applied_seq += 1
    lane.save(update_fields=["applied_seq"])
    run(
        "insert into ingestion_applied (project_id, seq, at, events) values (%s, %s, %s, %s::jsonb)",
        *(project.pk, lane.applied_seq, now(), json.dumps(events)),
    )


def store(project: Project, profile: Profile, *, uid: bytes, name: str, props: dict[str, Any]) -> None:
    """One stored event, as it was before anybody looked."""
    run(
        "insert into ingestion_eventname (project_id, id, name) values (%s, 1, %s) on conflict do nothing",
        *(project.pk, name),
    )
    run(
        "insert into ingestion_event (project_id, profile_id, name_id, ts, received_at, uid, props)"
        " values (%s, %s, 1, %s, %s, %s, %s::jsonb)",
        *(project.pk, profile.pk, now(), now(), uid, json.dumps(props)),
    )


def change(
    persona: Persona, profile: Profile, *, op: str = "enter", trigger: bytes | None = None, silent: bool = False
) -> None:
    """One row of the log, numbered like the others."""
    run(
        "with head as (update segments_head set last_seq = last_seq + 1 where project_id = %s returning last_seq)"
        " insert into segments_change (project_id, seq, profile_id, persona_id, op, at, cause, version, trigger,"
        " silent)"
        " select %s, last_seq, %s, %s, %s, %s, %s, 1, %s, %s from head",
        *(persona.project_id, persona.project_id, profile.pk, persona.pk, op, now()),
        *("event" if trigger else "time", trigger, silent),
    )


def profile_of(project: Project, user_id: str) -> Profile:
    """The profile that a userId belongs to."""
    alias = Alias.objects.get(project=project, kind="user", external_id=user_id)
    return Profile.objects.get(project=project, id=alias.profile_id)
