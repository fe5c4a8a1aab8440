"""The operator's view of destinations and deliveries. Secrets are not shown; deeds go through the services."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.safestring import SafeString

from delivery import again, services
from delivery.models import Attempt, Destination
from ingestion.admin import MOST, BulkAdmin, project_ids, slug
from keys.confirming import confirmed
from keys.pagination import BoundedPaginator
from keys.people.visitor import person
from keys.rows import page_of
from persona.lib.clock import rfc3339
from persona.lib.problems import Problem

BODY_SHOWN = 20_000  # characters
FEW = 20  # destinations of one action


@admin.register(Destination)
class DestinationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    list_display = ("name", "project", "kind", "url", "status", "paused_because", "created_at", "page")
    list_filter = ("kind", "status", "project")
    list_select_related = ("project",)
    search_fields = ("name", "=public_id")
    ordering = ("-id",)
    show_full_result_count = False
    paginator = BoundedPaginator
    fields = readonly_fields = (
        "public_id", "project", "kind", "name", "url", "personas", "ops", "settings", "status", "paused_because",
        "former_until", "created_at", "updated_at",
    )  # fmt: skip
    actions = ("pause", "resume")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # its secret is shown once, where it is made

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its deliveries would stay behind

    @admin.display(description="page")
    def page(self, destination: Destination) -> SafeString:
        return page_of("Destination", "destination", destination.project.slug, destination.public_id)

    @admin.action(description="Pause: nothing is sent, nothing is lost", permissions=["change"])
    @confirmed("Pause these destinations? Nothing is sent until they are resumed.", most=FEW)
    def pause(self, request: HttpRequest, queryset: QuerySet[Destination]) -> None:
        for found in queryset:
            services.pause_destination(destination=found, actor=person(request))
        self.message_user(request, "Paused.", messages.SUCCESS)

    @admin.action(description="Resume: what waits is due at once", permissions=["change"])
    @confirmed("Resume these destinations? What waits is sent at once.", most=FEW)
    def resume(self, request: HttpRequest, queryset: QuerySet[Destination]) -> None:
        for found in queryset:
            services.resume_destination(destination=found, actor=person(request))
        self.message_user(request, "Resumed.", messages.SUCCESS)


@admin.register(Attempt)
class AttemptAdmin(BulkAdmin):
    list_display = ("id", "slug", "destination", "kind", "status", "op", "n", "tried", "made", "settled", "page")
    fields = readonly_fields = (
        "slug", "destination", "kind", "status", "first_seq", "seq", "n", "op", "tried", "tries", "made", "settled",
        "text",
    )  # fmt: skip
    search_help_text = "The id of a destination (d_...), as a whole."
    actions = ("again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The name in the same statement: looked up for the rows of the page alone."""
        named = Destination.objects.filter(project=OuterRef("project_id"), pk=OuterRef("destination_id"))
        rows: QuerySet[Any] = super().get_queryset(request).defer("body", "tries")
        found: QuerySet[Any] = rows.annotate(named=Subquery(named.values("name")))
        return found

    def found(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        place = Destination.objects.filter(project__in=project_ids(), public_id=term).first()
        if place is None:
            return queryset.none()
        return queryset.filter(project_id=place.project_id, destination_id=place.pk)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="destination")
    def destination(self, attempt: Any) -> str:
        return attempt.named or f"{attempt.destination_id} (deleted)"

    @admin.display(description="page")
    def page(self, attempt: Attempt) -> SafeString:
        return page_of("Delivery", "delivery", slug(attempt.project_id), attempt.pk)

    @admin.display(description="made at")
    def made(self, attempt: Attempt) -> str:
        return rfc3339(attempt.created_at)

    @admin.display(description="settled at")
    def settled(self, attempt: Attempt) -> str:
        return rfc3339(attempt.settled_at) if attempt.settled_at else ""

    @admin.display(description="body")
    def text(self, attempt: Attempt) -> str:
        return attempt.body[:BODY_SHOWN]

    @admin.action(description="Send the selected deliveries again")
    @confirmed("Send these deliveries again?", most=MOST)
    def again(self, request: HttpRequest, queryset: QuerySet[Attempt]) -> None:
        done = 0
        for attempt in queryset.select_related("project"):
            try:
                again.redeliver_one(project=attempt.project, attempt=attempt, actor=person(request))
                done += 1
            except Problem as problem:
                self.message_user(request, f"{attempt.pk}: {problem.detail}", messages.WARNING)
        self.message_user(request, f"{done} deliveries are sent again.", messages.SUCCESS)
