"""The operator's view of projects, keys and the audit. What changes goes through the services."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from keys import services
from keys.confirming import confirmed
from keys.forms import ApiKeyForm, ProjectForm
from keys.models import ApiKey, AuditEntry, Project
from keys.pagination import BoundedPaginator, NewestFirst
from keys.people import admin as people_admin
from keys.people import admin_members
from keys.people.visitor import person
from keys.project_settings import replace_settings
from keys.rows import page_of
from keys.state import state
from persona.lib.problems import Problem

__all__ = ["admin_members", "people_admin"]  # the tables of people register themselves
GRACE = timedelta(hours=24)
MOST = 20  # keys at once: more is an accident


def show_secret(request: HttpRequest, key: ApiKey, secret: str) -> None:
    messages.warning(request, f"{key.name}: {secret} - copy it now, it is not shown again.")


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    form = ProjectForm
    list_display = ("slug", "name", "mode", "shards", "created_at", "page")
    list_filter = ("mode",)
    search_fields = ("slug", "name")
    ordering = ("-id",)
    show_full_result_count = False
    paginator = BoundedPaginator

    def get_readonly_fields(self, request: HttpRequest, obj: Project | None = None) -> tuple[str, ...]:
        """Slug, mode and shards are part of addresses, keys and rows: they never change."""
        return ("slug", "mode", "shards", "created_at") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Project | None = None) -> tuple[str, ...]:
        given = ("slug", "name", "mode")
        return (*given, "settings", "etag", "shards", "created_at") if obj else given

    @admin.display(description="page")
    def page(self, project: Project) -> SafeString:
        return page_of("Home", "project", project.slug)

    def has_delete_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        return False  # a project's events and profiles are not reached by a cascade

    def save_model(self, request: HttpRequest, obj: Project, form: "forms.ModelForm[Any]", change: bool) -> None:
        who = person(request)
        if change:
            services.rename_project(project=obj, name=form.cleaned_data["name"], actor=who)
            given, etag = form.cleaned_data["settings"], form.cleaned_data["etag"]
            try:
                replace_settings(project=obj, settings=given, etag=etag, actor=who)
            except Problem as problem:  # somebody else was a moment faster
                self.message_user(request, f"The settings are not saved. {problem.detail}", messages.ERROR)
            return
        made = services.create_project(slug=obj.slug, name=obj.name, mode=obj.mode, owner=who, actor=who)
        obj.pk = made.pk
        obj.refresh_from_db()


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    form = ApiKeyForm
    list_display = ("name", "project", "kind", "lookup", "state", "expires_at", "created_by", "created_at", "page")
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

    @admin.display(description="page")
    def page(self, key: ApiKey) -> SafeString:
        return page_of("Keys", "keys", key.project.slug)

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
        who = person(request)
        if change:
            services.change_key(key=obj, name=obj.name, origins=obj.origins, scopes=obj.scopes, actor=who)
            return
        made, secret = services.issue_key(
            project=obj.project,
            kind=obj.kind,
            name=obj.name,
            origins=obj.origins,
            scopes=obj.scopes,
            expires_at=obj.expires_at,
            actor=who,
        )
        obj.pk = made.pk
        obj.refresh_from_db()
        show_secret(request, made, secret)

    @admin.action(description="Rotate: make successors, the old keys work on for 24 hours", permissions=["change"])
    @confirmed("Make successors of these keys? The old ones work on for 24 hours.", most=MOST)
    def rotate(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            try:
                made, secret = services.rotate_key(key=key, grace=GRACE, actor=person(request))
            except Problem as problem:
                messages.error(request, problem.detail)
            else:
                show_secret(request, made, secret)

    @admin.action(description="Revoke: end the keys now", permissions=["change"])
    @confirmed("End these keys now? Whatever uses them is refused from then on.", most=MOST)
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            services.revoke_key(key=key, actor=person(request))
        messages.success(request, "Revoked. The keys stop working everywhere within 2 seconds.")


@admin.register(AuditEntry)
class AuditEntryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    list_display = ("at", "project", "actor", "action", "target", "address", "page")
    list_filter = ("at", "project")  # not "action": finding all its values reads the whole table
    list_select_related = ("project",)
    search_fields = ("actor", "target")  # shows the search box; get_search_results decides
    search_help_text = "An actor or a target, as a whole: a user name, the start of a key, a slug."
    ordering = ("-id",)
    sortable_by = ()
    show_full_result_count = False
    paginator = BoundedPaginator

    def get_changelist(self, request: HttpRequest, **more: Any) -> type[NewestFirst]:
        return NewestFirst

    @admin.display(description="page")
    def page(self, entry: AuditEntry) -> SafeString | str:
        return page_of("Audit log", "audit", entry.project.slug) if entry.project else ""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(Q(actor=term) | Q(target=term)) if term else queryset), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
