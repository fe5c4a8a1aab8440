"""The stored memberships, as the evaluator, the backfill and whoever verifies read them."""

from collections.abc import Iterable

from segments import lookups
from segments.cursors import Rows
from segments.judge import Current

CURRENT = """
select profile_id, persona_id, is_member, since, revision, recheck_at from segments_membership
where project_id = %s and profile_id = any(%s::bigint[])
"""
CURRENT_OF = f"{CURRENT} and persona_id = any(%s::bigint[])"

Pair = tuple[int, int]  # profile id, persona id


def stored(
    cursor: Rows, project_id: int, profiles: Iterable[int], personas: Iterable[int] | None = None
) -> dict[Pair, Current]:
    """The memberships of those profiles: in all personas, or in these."""
    if personas is None:
        cursor.execute(CURRENT, (project_id, lookups.int_array(profiles)))
    else:
        cursor.execute(CURRENT_OF, (project_id, lookups.int_array(profiles), lookups.int_array(personas)))
    return {(profile, persona): Current(*rest) for profile, persona, *rest in cursor.fetchall()}
