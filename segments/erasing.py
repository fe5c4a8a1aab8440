"""Let an erased profile leave everything: the log says so, and no membership of it is left."""

from collections.abc import Sequence

from segments import changes, definitions, evaluator, memberships
from segments.cursors import Rows

ERASE = "erase"  # the cause in the log

LOCK = "select shard from segments_lane where project_id = %s order by shard for update"
# Who is counted in a warning is named by it.
UNWARN = """
update segments_personawarning w set profiles = array(
    select u.profile from unnest(w.profiles) with ordinality u(profile, place)
    where not u.profile = any(%(gone)s::bigint[]) order by u.place)
where w.project_id = %(project)s and w.profiles && %(gone)s::bigint[]
"""
UNWARNED = "delete from segments_personawarning where project_id = %s and profiles = '{}'"
FORGET = "delete from segments_membership where project_id = %s and profile_id = any(%s::bigint[])"


def lock_lanes(cursor: Rows, project_id: int) -> None:
    """Nobody judges anybody of the project until the transaction ends."""
    cursor.execute(LOCK, (project_id,))


def leave_all(cursor: Rows, project_id: int, profiles: Sequence[int], *, now: int) -> int:
    """Under the lanes' locks. The number of personas that were left. `now`: ms."""
    current = memberships.stored(cursor, project_id, profiles)
    defined = definitions.of_project(cursor, project_id)
    decided = [
        evaluator.leave(project_id, defined, pair, stored, cause=ERASE, now=now)
        for pair, stored in sorted(current.items())
        if stored.is_member
    ]
    changes.record(cursor, project_id, decided)
    cursor.execute(FORGET, (project_id, list(profiles)))
    cursor.execute(UNWARN, {"project": project_id, "gone": list(profiles)})
    cursor.execute(UNWARNED, (project_id,))
    return len(decided)
