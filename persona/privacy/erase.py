"""Erase one profile: every room deletes what it holds, in one transaction, and the log tells whoever follows it.

Left are a digest of each of its ids, and rows of the change log that name a profile of which nothing is known.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from delivery import erasing as deliveries
from ingestion import erasing as events
from ingestion import tombstones
from ingestion.applying.cursors import bulk_transaction
from ingestion.models import Profile
from keys.audit import Actor, record
from keys.models import AuditEntry, Project
from persona.lib.clock import rfc3339
from persona.lib.problems import no_such_thing
from segments import cursors
from segments import erasing as memberships


class Receipt(msgspec.Struct, frozen=True):
    """What was done. profile: the public id, which now leads nowhere; the others: how many rows went."""

    id: str
    profile: str
    at: str
    suppressed: bool
    personas_left: int
    events: int
    ids: int
    dead_letters: int
    parked_batches: int
    deliveries: int


def erase(*, project: Project, profile: Profile, suppress: bool, actor: Actor) -> Receipt:
    """Erase `profile` and all that was merged into it. suppress: its ids may never start a profile again.

    Raises the 404 when somebody else erased it meanwhile.
    """
    with bulk_transaction() as cursor:
        events.lock_writer(cursor, project.pk)
        memberships.lock_lanes(cursor, project.pk)
        if not Profile.objects.filter(project=project, id=profile.pk, merged_into=None).exists():
            raise no_such_thing()
        now = _now()
        who = events.found(cursor, project.pk, profile.pk)
        with cursors.raw_cursor() as rows:
            left = memberships.leave_all(rows, project.pk, who.profiles, now=now)
        tombstones.bury(cursor, project.pk, who.keys, at=now, suppressed=suppress)
        sent = deliveries.delete(
            cursor, project.pk, who.profiles, [*(external for _, external in who.keys), *who.words]
        )
        deleted = events.delete(cursor, project.pk, who)
        counts: Mapping[str, Any] = {
            "suppressed": suppress,
            "personas_left": left,
            **msgspec.structs.asdict(deleted),
            "deliveries": sent,
        }
        record(
            project=project,
            actor=actor,
            action="profile.erased",
            target=profile.public_id,
            detail={"at": rfc3339(now), **counts},
        )
        entry = AuditEntry.objects.filter(project=project, action="profile.erased").latest("id")
    return Receipt(id=f"x_{entry.pk}", profile=profile.public_id, at=rfc3339(now), **counts)


def _now() -> int:
    with cursors.raw_cursor() as rows:
        return cursors.clock(rows)
