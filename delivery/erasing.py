"""Delete what deliveries hold of a profile: bodies, and answers that repeat one of its ids or what its traits say."""

import json
from collections.abc import Iterable, Sequence

from ingestion.applying.cursors import Cursor

DELETE = "delete from delivery_attempt where project_id = %s and profile_id = any(%s)"
# A receiver of batches may say anything about anybody: what it said of this profile stands with the others' deliveries.
ANSWERS = """
update delivery_attempt a set tries = (
    select jsonb_agg(t.value || '{"answer": "", "error": null}' order by t.ordinality)
    from jsonb_array_elements(a.tries) with ordinality t)
where a.project_id = %(project)s and a.tries <> '[]' and exists (
    select from unnest(%(ids)s::text[]) as known(id) where position(known.id in a.tries::text) > 0)
"""
ERRORS = """
update delivery_cursor c set last_error = '' where c.project_id = %(project)s and exists (
    select from unnest(%(ids)s::text[]) as known(id) where position(known.id in c.last_error) > 0)
"""


def delete(cursor: Cursor, project: int, profiles: Sequence[int], ids: Iterable[str]) -> int:
    """In the transaction of `cursor`; the number of deliveries. ids: by which the outside knows the profile, and
    other words of it. What is under way may still arrive."""
    deleted = cursor.execute(DELETE, [project, profiles]).rowcount
    asked = {"project": project, "ids": sorted({form for one in ids for form in _written(one)})}
    cursor.execute(ANSWERS, asked)
    cursor.execute(ERRORS, asked)
    return deleted


def _written(external: str) -> Iterable[str]:
    """The id as it is, and as JSON may have it; each also as it stands in a text within JSON."""
    for form in (external, json.dumps(external)[1:-1]):
        yield form
        yield json.dumps(form, ensure_ascii=False)[1:-1]
