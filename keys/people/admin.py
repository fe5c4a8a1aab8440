"""The operator's view of people: accounts, and where they are signed in. What can be a service is one.

Only a superuser sees accounts, factors and sessions: whoever changes those can become anybody.
"""

import json
from typing import Any

import allauth.account.admin
import allauth.mfa.admin
import allauth.usersessions.admin  # noqa: F401 - these register tables of their own, which are replaced below
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from keys.audit import record
from keys.confirming import confirmed
from keys.pagination import BoundedPaginator
from keys.people import accounts
from keys.people.links import link
from keys.people.visitor import person
from persona.lib.problems import Problem

for taken in (EmailAddress, Authenticator, UserSession, User):
    admin.site.unregister(taken)


def superuser(request: HttpRequest) -> bool:
    """Also asked of nobody: the page after signing out lists no table."""
    return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


class SuperuserAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    show_full_result_count = False
    paginator = BoundedPaginator

    def has_module_permission(self, request: HttpRequest) -> bool:
        return superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return superuser(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return superuser(request)


@admin.register(User)
class PersonAdmin(SuperuserAdmin, UserAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Accounts. An account that a project needs as its owner cannot be deleted; switching it off is always possible."""

    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "second_factor", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    actions = ("reset_link", "remove_factors")

    @admin.display(boolean=True, description="second factor")
    def second_factor(self, user: Any) -> bool:
        return bool(user.has_factor)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        held = Exists(Authenticator.objects.filter(user=OuterRef("pk")))
        rows: QuerySet[User] = super().get_queryset(request)
        return rows.annotate(has_factor=held)

    @admin.action(description="Make a link with which the person sets a new password")
    @confirmed("Make a link that lets whoever has it set a new password?", most=1)
    def reset_link(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for found in queryset:
            try:
                parts = accounts.reset_key(person=found, actor=person(request))
            except Problem as problem:
                self.message_user(request, problem.detail, messages.ERROR)
                continue
            made = link(request, accounts.RESET, *parts)
            text = f"For {found} alone, works once, for 24 hours, and is not shown again: {made}"
            self.message_user(request, text, messages.WARNING)

    @admin.action(description="Take a lost second factor off the account")
    @confirmed("Take the second factor off this account, and end its sessions?", most=1)
    def remove_factors(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for found in queryset:
            gone = accounts.remove_factors(person=found, actor=person(request))
            text = f"{found} has no second factor any more; there were {gone}. All sessions are ended."
            self.message_user(request, text, messages.SUCCESS)

    def log_addition(self, request: HttpRequest, obj: User, message: Any) -> Any:
        self._audit(request, obj, "person.added", {"staff": obj.is_staff, "superuser": obj.is_superuser})
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: User, message: Any) -> Any:
        """Django calls it for every form that changes an account, the one of the password too."""
        self._audit(request, obj, "person.changed", {"fields": changed_fields(message)})
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[User]) -> Any:
        for found in queryset:
            self._audit(request, found, "person.deleted", {})
        return super().log_deletions(request, queryset)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        named, counts, lacking, protected = super().get_deleted_objects(objs, request)
        remedy = "make somebody else one first, or switch the account off"
        alone = [f"{project} would have no owner: {remedy}" for project in accounts.only_owner_of(list(objs))]
        return named, counts, lacking, [*protected, *alone]

    def _audit(self, request: HttpRequest, user: User, action: str, detail: dict[str, object]) -> None:
        target = user.get_username()
        record(project=None, actor=person(request), action=action, target=target, detail=detail)


def changed_fields(message: Any) -> list[str]:
    """The names in Django's own words about a change: text, or a list that may become JSON."""
    parts = json.loads(message) if isinstance(message, str) and message.startswith("[") else message
    if not isinstance(parts, list):
        return []
    return [str(field) for part in parts for field in part.get("changed", {}).get("fields", [])]


@admin.register(UserSession)
class SessionAdmin(SuperuserAdmin):
    """Who is signed in, and from where. Deleting a row ends the session."""

    list_display = ("user", "ip", "user_agent", "created_at")
    list_select_related = ("user",)
    search_fields = ("=user__username", "=ip")
    ordering = ("-id",)
    fields = readonly_fields = ("user", "ip", "user_agent", "created_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: UserSession) -> None:
        self.delete_queryset(request, UserSession.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        who = person(request)
        for session in queryset.select_related("user"):
            session.end()
            target, detail = session.user.get_username(), dict[str, object](sessions=1)
            record(project=None, actor=who, action="person.sessions_ended", target=target, detail=detail)
