"""The stored memberships, as the evaluator, the backfill and whoever verifies read them."""

from collections.abc import Iterable, Mapping

from segments import lookups
from segments.cursors import Rows
from segments.judge import Current

CURRENT_COLUMNS = "select profile_id, persona_id, is_member, since, revision, recheck_at from segments_membership"
CURRENT = f"{CURRENT_COLUMNS} where project_id = %s and profile_id = any(%s::bigint[])"
CURRENT_OF = f"{CURRENT} and persona_id = any(%s::bigint[])"

# One walk along the key for each profile, whatever the planner thinks of the sizes: hence the offset.
CURRENT_OF_EACH = f"""
select m.* from unnest(%(profiles)s::bigint[], %(personas)s::text[]) as r(profile, personas)
cross join lateral ({CURRENT_COLUMNS}
    where project_id = %(project)s and profile_id = r.profile and persona_id = any(r.personas::bigint[]) offset 0) m
union all {CURRENT_COLUMNS} where project_id = %(project)s and profile_id = any(%(wholly)s::bigint[])
"""  # noqa: S608 - the columns are a constant

Pair = tuple[int, int]  # profile id, persona id
Stored = Mapping[int, Mapping[int, Current]]  # by profile id and persona id


def stored(
    cursor: Rows, project_id: int, profiles: Iterable[int], personas: Iterable[int] | None = None
) -> dict[Pair, Current]:
    """The memberships of those profiles: in all personas, or in these."""
    if personas is None:
        cursor.execute(CURRENT, (project_id, lookups.int_array(profiles)))
    else:
        cursor.execute(CURRENT_OF, (project_id, lookups.int_array(profiles), lookups.int_array(personas)))
    return _by_pair(cursor)


def stored_of_each(
    cursor: Rows, project_id: int, personas: Mapping[int, frozenset[int]], wholly: Iterable[int]
) -> Stored:
    """The memberships of each profile in its own set of personas; of the profiles in `wholly`, all they have."""
    arrays = {some: f'"{lookups.int_array(some)}"' for some in set(personas.values())}
    given = {
        "project": project_id,
        "profiles": lookups.int_array(personas),
        "personas": f"{{{','.join([arrays[some] for some in personas.values()])}}}",
        "wholly": lookups.int_array(wholly),
    }
    cursor.execute(CURRENT_OF_EACH, given)
    found: dict[int, dict[int, Current]] = {}
    for profile, persona, *rest in cursor.fetchall():
        found.setdefault(profile, {})[persona] = Current(*rest)
    return found


def _by_pair(cursor: Rows) -> dict[Pair, Current]:
    return {(profile, persona): Current(*rest) for profile, persona, *rest in cursor.fetchall()}
