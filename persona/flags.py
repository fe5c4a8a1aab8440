"""Flags that depend on a persona: `on` for its members, `off` for everybody else and for whoever is not proven one.

Only a session token with a signed user is proof. The look-up is on a thread of its own: the configuration is asked for
on the loop that also accepts events.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec
from django.db import Error, connection

from keys.models import PersonaFlag, ProjectSettings
from keys.project_settings import depends
from persona.lib.log import get_logger

THREADS = 2

MEMBER_OF = """
select s.slug from ingestion_alias a
join segments_membership m on m.project_id = %(project)s and m.profile_id = a.profile_id and m.is_member
join segments_persona s on s.project_id = %(project)s and s.id = m.persona_id and s.deleted_at is null
where a.project_id = %(project)s and a.kind = 'user' and a.external_id = %(user)s and s.slug = any(%(slugs)s)
"""

log = get_logger(__name__)
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="flags")


def personal(options: ProjectSettings) -> dict[str, PersonaFlag]:
    """The flags that depend on a persona, by name."""
    return {name: msgspec.convert(value, PersonaFlag) for name, value in options.flags.items() if depends(value)}


def answered(options: ProjectSettings, member_of: set[str]) -> dict[str, Any]:
    """All flags for somebody who is a member of those personas."""
    answers = {name: flag.on if flag.persona in member_of else flag.off for name, flag in personal(options).items()}
    return {**options.flags, **answers}


def look_up(project: int, user: str, flags: Mapping[str, PersonaFlag]) -> Future[set[str]]:
    """Of the personas that the flags name: those that the user is a member of. None of them while nobody can tell."""
    slugs = sorted({flag.persona for flag in flags.values()})
    return _threads.submit(_member_of, project, user, slugs)


def _member_of(project: int, user: str, slugs: list[str]) -> set[str]:
    try:
        with connection.cursor() as cursor:
            cursor.execute(MEMBER_OF, {"project": project, "user": user, "slugs": slugs})
            return {slug for (slug,) in cursor.fetchall()}
    except Error as error:
        log.warning("flags.unknown", project=project, error=type(error).__name__)
        return set()
    finally:
        connection.close()
