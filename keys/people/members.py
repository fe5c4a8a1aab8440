"""Adding, changing and removing members. Every deed is audited; a project is never without an owner.

Who stops being an owner leaves no way back open: the invitations that they made end with it.

All raise Problem 409 member.last_owner when nobody would be left to manage the project.
"""

from django.contrib.auth.models import User
from django.db import transaction

from keys.audit import Actor, record
from keys.models import Invitation, Member, Project
from persona.lib.problems import Problem


@transaction.atomic
def add(*, project: Project, user: User, role: str, actor: Actor) -> Member:
    """For operators; everybody else is invited."""
    made = Member.objects.create(project=project, user=user, role=role)
    _record(made, actor, "member.added", {"role": role})
    return made


@transaction.atomic
def change_role(*, member: Member, role: str, actor: Actor) -> Member:
    """`role` is one of Member.Role."""
    locked = _locked(member)
    if locked.role == role:
        return locked
    keep_an_owner(locked, becomes=role)
    before, locked.role = locked.role, role
    locked.save(update_fields=["role"])
    detail: dict[str, object] = {"from": before, "role": role, **_withdrawn(locked, before)}
    _record(locked, actor, "member.changed", detail)
    return locked


@transaction.atomic
def remove(*, member: Member, actor: Actor) -> None:
    """The person sees nothing of the project from now on. What they made stays."""
    locked = _locked(member)
    keep_an_owner(locked, becomes="")
    detail: dict[str, object] = {"role": locked.role, **_withdrawn(locked, locked.role)}
    _record(locked, actor, "member.removed", detail)
    locked.delete()


def hold(project: Project) -> None:
    """Two owners who remove each other at the same time must wait for one another. Call it in a transaction."""
    Project.objects.select_for_update().get(pk=project.pk)


def _locked(member: Member) -> Member:
    hold(member.project)
    return Member.objects.select_related("user", "project").get(pk=member.pk, project=member.project_id)


def keep_an_owner(member: Member, *, becomes: str) -> None:
    """`becomes`: a role, or nothing for who goes. Raises Problem 409 member.last_owner."""
    if Member.Role.OWNER not in (member.role, becomes) or becomes == Member.Role.OWNER:
        return
    others = Member.objects.filter(project=member.project_id, role=Member.Role.OWNER).exclude(pk=member.pk)
    if not others.exists():
        detail = f"{member.user} is the only owner. Make somebody else an owner first."
        raise Problem(409, "member.last_owner", detail)


def _withdrawn(member: Member, former: str) -> dict[str, object]:
    if former != Member.Role.OWNER:
        return {}
    made = Invitation.objects.filter(project=member.project_id, invited_by=member.user.get_username())
    count, _ = made.delete()
    return {"invitations_withdrawn": count} if count else {}


def _record(member: Member, actor: Actor, action: str, detail: dict[str, object]) -> None:
    who = member.user.get_username()
    record(project=member.project, actor=actor, action=action, target=who, detail=detail)
