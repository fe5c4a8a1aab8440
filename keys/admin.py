"""The operator's view of projects, members, keys and the audit. What changes a key goes through the services."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from keys import services
from keys.audit import record
from keys.forms import ApiKeyForm, ProjectForm
from keys.models import ApiKey, AuditEntry, Member, Project
from keys.pagination import BoundedPaginator
from keys.state import state
from persona.lib.problems import Problem

GRACE = timedelta(hours=24)


def person(request: HttpRequest) -> User:
    """Who is signed in; the admin lets nobody else in."""
    if not isinstance(request.user, User):
        raise TypeError("the admin was reached without a signed-in person")
    return request.user


def address(request: HttpRequest) -> str | None:
    return request.META.get("REMOTE_ADDR") or None


def show_secret(request: HttpRequest, key: ApiKey, secret: str) -> None:
    messages.warning(request, f"{key.name}: {secret} - copy it now, it is not shown again.")


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    form = ProjectForm
    list_display = ("slug", "name", "mode", "shards", "created_at")
    list_filter = ("mode",)
    search_fields = ("slug", "name")
    ordering = ("-id",)
    show_full_result_count = False
    paginator = BoundedPaginator

    def get_readonly_fields(self, request: HttpRequest, obj: Project | None = None) -> tuple[str, ...]:
        """Slug, mode and shards are part of addresses, keys and rows: they never change."""
        return ("slug", "mode", "shards", "created_at") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Project | None = None) -> tuple[str, ...]:
        return ("slug", "name", "mode", "settings", "shards", "created_at") if obj else ("slug", "name", "mode")

    def has_delete_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        return False  # a project's events and profiles are not reached by a cascade

    def save_model(self, request: HttpRequest, obj: Project, form: "forms.ModelForm[Any]", change: bool) -> None:
        who, where = person(request), address(request)
        if change:
            obj.save()
            record(
                project=obj,
                actor=who,
                action="project.changed",
                target=obj.slug,
                detail={"fields": form.changed_data},
                address=where,
            )
            return
        made = services.create_project(slug=obj.slug, name=obj.name, mode=obj.mode, owner=who, actor=who, address=where)
        obj.pk = made.pk
        obj.refresh_from_db()


@admin.register(Member)
class MemberAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    list_display = ("user", "project", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "project")
    search_fields = ("user__username", "project__slug")
    autocomplete_fields = ("user", "project")
    ordering = ("-id",)
    show_full_result_count = False
    paginator = BoundedPaginator

    def save_model(self, request: HttpRequest, obj: Member, form: "forms.ModelForm[Any]", change: bool) -> None:
        obj.save()
        self._record(request, obj, "member.changed" if change else "member.added")

    def delete_model(self, request: HttpRequest, obj: Member) -> None:
        self._record(request, obj, "member.removed")
        obj.delete()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Member]) -> None:
        for member in queryset.select_related("user", "project"):
            self.delete_model(request, member)

    def _record(self, request: HttpRequest, member: Member, action: str) -> None:
        record(
            project=member.project,
            actor=person(request),
            action=action,
            target=member.user.get_username(),
            detail={"role": member.role},
            address=address(request),
        )


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    form = ApiKeyForm
    list_display = ("name", "project", "kind", "lookup", "state", "expires_at", "created_by", "created_at")
    list_filter = ("kind", ("revoked_at", admin.EmptyFieldListFilter), ("replaced_by", admin.EmptyFieldListFilter))
    list_select_related = ("project", "created_by")
    search_fields = ("name", "lookup", "project__slug")
    autocomplete_fields = ("project",)
    ordering = ("-id",)
    show_full_result_count = False
    paginator = BoundedPaginator
    actions = ("rotate", "revoke")

    @admin.display(description="state")
    def state(self, key: ApiKey) -> str:
        return state(key, timezone.now())

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        """Never the digest: it is nobody's business."""
        given = ("project", "kind", "name", "origins", "scopes", "expires_at")
        return (*given, "lookup", "state", "revoked_at", "replaced_by", "created_by", "created_at") if obj else given

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        changeable = {"name", "origins", "scopes"}
        return tuple(field for field in self.get_fields(request, obj) if field not in changeable) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False  # a revoked key stays, for the audit

    def save_model(self, request: HttpRequest, obj: ApiKey, form: "forms.ModelForm[Any]", change: bool) -> None:
        who, where = person(request), address(request)
        if change:
            services.change_key(
                key=obj, name=obj.name, origins=obj.origins, scopes=obj.scopes, actor=who, address=where
            )
            return
        made, secret = services.issue_key(
            project=obj.project,
            kind=obj.kind,
            name=obj.name,
            origins=obj.origins,
            scopes=obj.scopes,
            expires_at=obj.expires_at,
            actor=who,
            address=where,
        )
        obj.pk = made.pk
        obj.refresh_from_db()
        show_secret(request, made, secret)

    @admin.action(description="Rotate: make successors, the old keys work on for 24 hours", permissions=["change"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            try:
                made, secret = services.rotate_key(
                    key=key, grace=GRACE, actor=person(request), address=address(request)
                )
            except Problem as problem:
                messages.error(request, problem.detail)
            else:
                show_secret(request, made, secret)

    @admin.action(description="Revoke: end the keys now", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            services.revoke_key(key=key, actor=person(request), address=address(request))
        messages.success(request, "Revoked. The keys stop working everywhere within 2 seconds.")


@admin.register(AuditEntry)
class AuditEntryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    list_display = ("at", "project", "actor", "action", "target", "address")
    list_filter = ("at",)  # not "action": finding all its values reads the whole table
    list_select_related = ("project",)
    search_fields = ("=actor", "=target", "=project__slug")
    ordering = ("-id",)
    show_full_result_count = False
    paginator = BoundedPaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
