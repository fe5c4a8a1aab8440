"""A project with keys, personas and profiles, and a hand that writes its log the way the evaluator does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from ingestion.models import Profile
from keys.auth import ring
from keys.models import Project
from keys.services import issue_key
from keys.sessions import Session, issued
from segments import bell
from segments.models import Persona

APPEND = """
insert into segments_change (project_id, seq, profile_id, persona_id, op, at, cause, version, silent)
select %(project)s, %(head)s - %(n)s + i, %(profile)s, %(persona)s, %(op)s, %(at)s + i, 'event', 1, %(silent)s
from generate_series(1, %(n)s) i
"""
HEAD = """
insert into segments_head (project_id, last_seq) values (%(project)s, %(n)s)
on conflict (project_id) do update set last_seq = segments_head.last_seq + excluded.last_seq returning last_seq
"""
KNOW = """
insert into ingestion_alias (project_id, kind, external_id, profile_id) values (%s, 'user', %s, %s)
on conflict (project_id, kind, external_id) do update set profile_id = excluded.profile_id
"""
AT = 1_780_999_999_000


# Rows without a foreign key, which the deletion of a project does not reach.
BULK = (
    "segments_change",
    "segments_head",
    "segments_lane",
    "segments_streamticket",
    "ingestion_profile",
    "ingestion_alias",
    "ingestion_writerlane",
)


class Shop:
    """One project. `pk` and `sk` are secrets; `high_intent` and `churner` are personas."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.pk_key, self.pk = issue_key(project=project, kind="pk", name="browser", actor="test")
        self.sk_key, self.sk = issue_key(project=project, kind="sk", name="server", actor="test")
        self.high_intent, self.churner = (
            Persona.objects.create(project=project, slug=slug, name=slug, rule={}, status="live")
            for slug in ("high_intent", "churner")
        )
        self.profile = Profile.objects.create(
            project=project, public_id=f"u_{project.slug}", shard=0, first_seen=AT, last_seen=AT
        )

    def another(self, name: str) -> Profile:
        """One more profile, without any external id."""
        return Profile.objects.create(project=self.project, public_id=f"u_{name}", shard=0, first_seen=AT, last_seen=AT)

    def known_as(self, profile: Profile, user: str) -> None:
        """From now on the user id leads to this profile, and to no other."""
        with connection.cursor() as cursor:
            cursor.execute(KNOW, [self.project.pk, user, profile.pk])

    def session(self, user: str, *, seconds: int = 900) -> str:
        """A session token as the browser of a signed user has it."""
        key = self.pk_key
        return issued(
            Session(
                project_id=self.project.pk,
                key_id=key.pk,
                kind="pk",
                mode="live",
                lookup=key.lookup,
                user_id=user,
                expires_at=int(time.time()) + seconds,
            )
        )

    def set_streams(self, mode: str) -> None:
        """What publishable keys may see."""
        self.project.settings = {"pk_streams": mode}
        self.project.save()
        ring.forget(self.pk_key.pk)

    def append(
        self,
        n: int = 1,
        *,
        profile: Profile | None = None,
        persona: Persona | None = None,
        op: str = "enter",
        silent: bool = False,
        ring: bool = True,
    ) -> int:
        """n rows in one transaction, and the bell; the new head."""
        values: dict[str, Any] = {
            "project": self.project.pk,
            "n": n,
            "profile": (profile or self.profile).pk,
            "persona": (persona or self.high_intent).pk,
            "op": op,
            "at": AT,
            "silent": silent,
        }
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(HEAD, values)
            (head,) = cursor.fetchone() or (0,)
            cursor.execute(APPEND, {**values, "head": head})
            if ring:
                bell.ring(self.project.pk, head)
        return int(head)

    def prune(self, upto: int) -> None:
        """What retention does to old rows."""
        with connection.cursor() as cursor:
            cursor.execute("delete from segments_change where project_id = %s and seq <= %s", [self.project.pk, upto])


@contextmanager
def opened(slug: str) -> Iterator[Shop]:
    """A new project, gone without a trace afterwards."""
    project = Project.objects.create(slug=slug, name=slug)
    try:
        yield Shop(project)
    finally:
        with connection.cursor() as cursor:
            for table in BULK:
                cursor.execute(f"delete from {table} where project_id = %s", [project.pk])
        project.delete()
