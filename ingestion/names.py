"""Event names as small numbers, dense from 1 in each project. Handed out under the writer lane's lock."""

from collections.abc import Collection, Mapping

import msgspec
from django.db import transaction

from ingestion.cursors import Cursor

NAMES_MOST = 5_000  # of a project
PROJECTS_REMEMBERED = 1_000

LOOK_UP = """
select id, name from ingestion_eventname
where project_id = %(project)s and (name in (select json_array_elements_text(%(names)s::json))
    or id = (select max(id) from ingestion_eventname where project_id = %(project)s))
"""
ADD = """
insert into ingestion_eventname (project_id, id, name)
select %s, r.id, r.name from json_to_recordset(%s) as r(id integer, name text)
"""

# Names are never changed nor removed, so what was committed once may be remembered for ever.
_remembered: dict[int, dict[str, int]] = {}


def numbered(cursor: Cursor, project: int, names: Collection[str]) -> Mapping[str, int]:
    """The numbers of `names`, new ones included. Names beyond NAMES_MOST are missing in the answer."""
    known = _remembered.get(project, {})
    missing = {name for name in names if name not in known}
    if not missing:
        return known
    found = _look_up_or_add(cursor, project, missing)
    transaction.on_commit(lambda: _remember(project, found))
    return {**known, **found}


def _look_up_or_add(cursor: Cursor, project: int, missing: Collection[str]) -> dict[str, int]:
    rows = cursor.execute(
        LOOK_UP, {"project": project, "names": msgspec.json.encode(sorted(missing)).decode()}
    ).fetchall()
    last = max((number for number, _ in rows), default=0)
    found = {name: number for number, name in rows}
    added = [name for name in sorted(missing) if name not in found][: max(0, NAMES_MOST - last)]
    numbers = {name: last + place for place, name in enumerate(added, start=1)}
    if numbers:
        items = [{"id": number, "name": name} for name, number in numbers.items()]
        cursor.execute(ADD, [project, msgspec.json.encode(items).decode()])
    return found | numbers


def _remember(project: int, found: Mapping[str, int]) -> None:
    if project not in _remembered and len(_remembered) >= PROJECTS_REMEMBERED:
        _remembered.clear()
    # A new dict: another thread may be reading the old one.
    _remembered[project] = {**_remembered.get(project, {}), **found}
