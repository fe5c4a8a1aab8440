"""Changing and removing members. Every deed is audited; a project is never without an owner.

All raise Problem 409 member.last_owner when nobody would be left to manage the project.
"""

from django.db import transaction

from keys.audit import Actor, record
from keys.models import Member, Project
from persona.lib.problems import Problem


@transaction.atomic
def change_role(*, member: Member, role: str, actor: Actor, address: str | None = None) -> Member:
    """`role` is one of Member.Role."""
    locked = _locked(member)
    if locked.role == role:
        return locked
    _keep_an_owner(locked, becomes=role)
    before, locked.role = locked.role, role
    locked.save(update_fields=["role"])
    _record(locked, actor, "member.changed", {"from": before, "role": role}, address)
    return locked


@transaction.atomic
def remove(*, member: Member, actor: Actor, address: str | None = None) -> None:
    """The person sees nothing of the project from now on. What they made stays."""
    locked = _locked(member)
    _keep_an_owner(locked, becomes="")
    _record(locked, actor, "member.removed", {"role": locked.role}, address)
    locked.delete()


def hold(project: Project) -> None:
    """Two owners who remove each other at the same time must wait for one another. Call it in a transaction."""
    Project.objects.select_for_update().get(pk=project.pk)


def _locked(member: Member) -> Member:
    hold(member.project)
    return Member.objects.select_related("user", "project").get(pk=member.pk, project=member.project_id)


def _keep_an_owner(member: Member, *, becomes: str) -> None:
    if Member.Role.OWNER not in (member.role, becomes) or becomes == Member.Role.OWNER:
        return
    others = Member.objects.filter(project=member.project_id, role=Member.Role.OWNER).exclude(pk=member.pk)
    if not others.exists():
        detail = f"{member.user} is the only owner. Make somebody else an owner first."
        raise Problem(409, "member.last_owner", detail)


def _record(member: Member, actor: Actor, action: str, detail: dict[str, object], address: str | None) -> None:
    who = member.user.get_username()
    record(project=member.project, actor=actor, action=action, target=who, detail=detail, address=address)
