"""Members in the admin, by way of their services: a project keeps its last owner here too."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from keys.models import Member, Project
from keys.pagination import BoundedPaginator
from keys.people import members
from keys.people.visitor import person
from keys.rows import page_of
from persona.lib.problems import Problem


class MemberForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    def clean_role(self) -> str:
        """Beside the field, what the service would refuse."""
        role = str(self.cleaned_data["role"])
        if self.instance.pk:
            try:
                members.keep_an_owner(Member.objects.get(pk=self.instance.pk), becomes=role)
            except Problem as problem:
                raise forms.ValidationError(problem.detail) from None
        return role


@admin.register(Member)
class MemberAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    form = MemberForm
    list_display = ("user", "project", "role", "created_at", "page")
    list_filter = ("role",)
    list_select_related = ("user", "project")
    search_fields = ("user__username", "project__slug")
    autocomplete_fields = ("user", "project")
    ordering = ("-id",)
    show_full_result_count = False
    paginator = BoundedPaginator

    @admin.display(description="page")
    def page(self, member: Member) -> SafeString:
        return page_of("People", "people", member.project.slug)

    def get_readonly_fields(self, request: HttpRequest, obj: Member | None = None) -> tuple[str, ...]:
        """A member of another project is another member."""
        return ("user", "project", "created_at") if obj else ()

    def save_model(self, request: HttpRequest, obj: Member, form: "forms.ModelForm[Any]", change: bool) -> None:
        who = person(request)
        if change:
            try:
                members.change_role(member=obj, role=obj.role, actor=who)
            except Problem as problem:  # somebody else was a moment faster
                self.message_user(request, f"Not saved. {problem.detail}", messages.ERROR)
            return
        made = members.add(project=obj.project, user=obj.user, role=obj.role, actor=who)
        obj.pk = made.pk

    def delete_model(self, request: HttpRequest, obj: Member) -> None:
        try:
            members.remove(member=obj, actor=person(request))
        except Problem as problem:
            self.message_user(request, f"Not deleted. {problem.detail}", messages.ERROR)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Member]) -> None:
        for member in queryset.select_related("user", "project"):
            self.delete_model(request, member)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        named, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return named, counts, lacking, [*protected, *left_alone(list(objs))]


def left_alone(going: list[Member]) -> list[str]:
    """What is in the way when all of these go at once."""
    owned = [member.project_id for member in going if member.role == Member.Role.OWNER]
    staying = Member.objects.filter(role=Member.Role.OWNER).exclude(pk__in=[member.pk for member in going])
    alone = Project.objects.filter(pk__in=owned).exclude(pk__in=staying.values("project")).order_by("slug")
    return [f"{project} would have no owner: make somebody else one first" for project in alone]
