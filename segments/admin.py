"""Personas in the admin. What is saved here goes the way of the API, through segments.services."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from keys.pagination import BoundedPaginator
from keys.rows import page_of
from persona.lib.clock import rfc3339
from persona.lib.problems import Problem
from segments import services, warnings
from segments.models import Persona, PersonaVersion

WARNINGS = {
    "type_mismatch": "{path} met values of another type than it compares",
    "capped": "of {path} there are more events than are looked at",
}


class RuleField(forms.JSONField):
    """A rule, indented."""

    widget = forms.Textarea(attrs={"rows": 20, "class": "vLargeTextField", "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, forms.fields.InvalidJSONInput):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False)


class PersonaForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    """Refuses beside its field what the services would refuse."""

    rule = RuleField(
        help_text='For example {"v": 1, "rule": {"op": "event", "event": "product_viewed", "cmp": "gte", "value": 1}}'
    )

    class Meta:
        model = Persona
        fields = ("project", "slug", "name", "status", "rule")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        allowed = services.ALLOWED | {self.instance.status} if self.instance.pk else services.STARTS
        choices = [choice for choice in Persona.Status.choices if choice[0] in allowed]
        self.fields["status"].widget.choices = choices

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        project = cleaned.get("project") or getattr(self.instance, "project", None)
        if project is None:
            return cleaned
        if not self.instance.pk and Persona.objects.filter(project=project, slug=cleaned.get("slug"), deleted_at=None):
            self.add_error("slug", "The project already has a persona of this slug.")
        if "rule" in self.changed_data and "rule" in cleaned:
            try:
                services.checked(project, cleaned["rule"])
            except Problem as problem:
                self.add_error("rule", problem.detail)
        return cleaned


@admin.register(Persona)
class PersonaAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # takes none at run time
    """Deleted personas are not listed: their rows are kept for the log alone."""

    form = PersonaForm
    list_display = ("name", "slug", "project", "status", "version", "updated_at", "page", "live_page")
    list_filter = ("status", "project")
    list_select_related = ("project",)
    search_fields = ("name", "slug")
    ordering = ("project", "slug")
    show_full_result_count = False
    paginator = BoundedPaginator
    readonly_fields = ("version", "warnings", "created_at", "updated_at")
    fields = ("project", "slug", "name", "status", "rule", "warnings", "version", "created_at", "updated_at")

    @admin.display(description="page")
    def page(self, persona: Persona) -> SafeString:
        return page_of("Persona", "persona", persona.project.slug, persona.slug)

    @admin.display(description="Live page")
    def live_page(self, persona: Persona) -> SafeString:
        return page_of("Watch live", "live", persona.project.slug)

    @admin.display(description="Warnings")
    def warnings(self, persona: Persona) -> SafeString:
        """Where the data is not what the rule compares, and since when."""
        found = warnings.of_project(persona.project_id).get(persona.pk, []) if persona.pk else []
        lines = (
            (WARNINGS[one.kind].format(path=one.path), "at least " * one.at_least, one.profiles, rfc3339(one.since))
            for one in found
        )
        return format_html_join("", "<p>{}: {}{} profiles, since {}</p>", lines) or mark_safe("None")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Persona]:
        return super().get_queryset(request).filter(deleted_at=None)

    def get_readonly_fields(self, request: HttpRequest, obj: Persona | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "project", "slug") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Persona, form: Any, change: bool) -> None:
        actor, given = request.user.get_username(), form.cleaned_data
        if change:
            changes = {name: given[name] for name in form.changed_data}
            services.update_persona(persona=obj, changes=changes, actor=actor)
            return
        made = services.create_persona(
            project=given["project"],
            slug=given["slug"],
            name=given["name"],
            rule=given["rule"],
            status=given["status"],
            actor=actor,
        )
        obj.pk = made.pk

    def delete_model(self, request: HttpRequest, obj: Persona) -> None:
        services.delete_persona(persona=obj, actor=request.user.get_username())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Persona]) -> None:
        for persona in queryset:
            self.delete_model(request, persona)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Versions stay with the hidden row: nothing else is deleted."""
        named = [str(persona) for persona in objs]
        return named, {"personas": len(named)}, set(), []


@admin.register(PersonaVersion)
class PersonaVersionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # takes none at run time
    """Rules as they were saved: to read, not to change."""

    list_display = ("persona", "version", "author", "at", "page")
    list_filter = ("persona__project",)
    list_select_related = ("persona__project",)
    search_fields = ("persona__slug", "author")
    ordering = ("-id",)
    show_full_result_count = False
    paginator = BoundedPaginator

    @admin.display(description="page")
    def page(self, version: PersonaVersion) -> SafeString:
        return page_of("Versions", "persona-versions", version.persona.project.slug, version.persona.slug)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: PersonaVersion | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PersonaVersion | None = None) -> bool:
        return False
