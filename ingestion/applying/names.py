"""Event names as small numbers, dense from 1 in each project. Handed out under the writer lane's lock."""

from collections.abc import Mapping

import msgspec
from django.db import transaction

from ingestion.applying.cursors import Cursor

NAMES_MOST = 5_000  # of a project
# Beyond these only a secret key makes new names: whoever finds a publishable key in a page cannot use them all up.
PUBLIC_MOST = 2_500
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

# Every process remembers them, so they must not be taken back by a crash: this commit waits for the disk.
DURABLE = "set local synchronous_commit to default"

# Names are never changed nor removed, so what was committed once may be remembered for ever.
_remembered: dict[int, dict[str, int]] = {}


def numbered(cursor: Cursor, project: int, names: Mapping[str, bool]) -> Mapping[str, int]:
    """The numbers of `names`, new ones included; of each, whether a secret key sent it. Names beyond NAMES_MOST, or
    PUBLIC_MOST, are missing in the answer."""
    known = _remembered.get(project, {})
    missing = {name: secret for name, secret in names.items() if name not in known}
    if not missing:
        return known
    found = _look_up_or_add(cursor, project, missing)
    transaction.on_commit(lambda: _remember(project, found))
    return {**known, **found}


def _look_up_or_add(cursor: Cursor, project: int, missing: Mapping[str, bool]) -> dict[str, int]:
    rows = cursor.execute(
        LOOK_UP, {"project": project, "names": msgspec.json.encode(sorted(missing)).decode()}
    ).fetchall()
    last = max((number for number, _ in rows), default=0)
    found = {name: number for number, name in rows}
    numbers = _numbers({name: secret for name, secret in missing.items() if name not in found}, last)
    if numbers:
        items = [{"id": number, "name": name} for name, number in numbers.items()]
        cursor.execute(ADD, [project, msgspec.json.encode(items).decode()])
        cursor.execute(DURABLE)
    return found | numbers


def _numbers(new: Mapping[str, bool], last: int) -> dict[str, int]:
    """As many of the new names as there is room for, those of secret keys first."""
    given: dict[str, int] = {}
    for secret, most in ((True, NAMES_MOST), (False, PUBLIC_MOST)):
        for name in sorted(name for name in new if new[name] is secret):
            if last < most:
                last = given[name] = last + 1
    return given


def _remember(project: int, found: Mapping[str, int]) -> None:
    if project not in _remembered and len(_remembered) >= PROJECTS_REMEMBERED:
        _remembered.clear()
    # A new dict: another thread may be reading the old one.
    _remembered[project] = {**_remembered.get(project, {}), **found}
