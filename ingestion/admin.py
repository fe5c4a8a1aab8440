"""The operator's view of profiles, the inbox and dead letters. Every list and search is answered by an index.

Searches are exact: a public id, an external id or a batch id, as a whole.
"""

from functools import lru_cache
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from ingestion import deadletters, parked
from ingestion.events import EVENT_BYTES
from ingestion.models import Alias, Batch, DeadLetter, Profile
from keys.confirming import confirmed
from keys.models import Project
from keys.pagination import BoundedPaginator, NewestFirst
from keys.people.visitor import person
from keys.rows import page_of
from persona.lib.clock import rfc3339
from persona.lib.problems import Problem

BODY_SHOWN = 20_000  # bytes
MOST = 1_000  # rows of one action: a page of "all" may be millions


@lru_cache(maxsize=1_000)
def slug(project: int) -> str:
    """Slugs never change. The inbox may be another database, so its rows cannot be joined with projects."""
    return Project.objects.using("default").values_list("slug", flat=True).get(pk=project)


def text_of(body: bytes | memoryview, most: int = BODY_SHOWN) -> str:
    return bytes(body)[:most].decode(errors="replace")


def project_ids() -> list[int]:
    """Every key begins with the project: a search over all of them is one probe of the index for each."""
    return list(Project.objects.values_list("id", flat=True))


class BulkAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """A table of millions of rows: newest first, never counted, never edited by hand."""

    ordering = ("-id",)
    paginator = BoundedPaginator
    show_full_result_count = False
    sortable_by = ()
    list_filter = ("project",)
    search_fields = ("id",)  # shows the search box; get_search_results decides

    def get_changelist(self, request: HttpRequest, **more: Any) -> type[NewestFirst]:
        return NewestFirst

    @admin.display(description="project")
    def slug(self, row: Any) -> str:
        return slug(row.project_id)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (self.found(queryset, term) if term else queryset), False

    def found(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """The rows of a batch."""
        return queryset.filter(project_id__in=project_ids(), batch_id=term)


@admin.register(Profile)
class ProfileAdmin(BulkAdmin):
    list_display = ("public_id", "slug", "identified", "shard", "first_at", "last_at", "merged_into", "page")
    fields = readonly_fields = (
        "public_id", "slug", "external_ids", "identified", "traits", "shard", "first_at", "last_at", "merged_into",
    )  # fmt: skip
    search_help_text = "A public id (u_...) or an external id, as a whole."

    @admin.display(description="page")
    def page(self, profile: Profile) -> SafeString:
        return page_of("Profile", "profile", slug(profile.project_id), profile.public_id)

    @admin.display(description="first seen")
    def first_at(self, profile: Profile) -> str:
        return rfc3339(profile.first_seen)

    @admin.display(description="last seen")
    def last_at(self, profile: Profile) -> str:
        return rfc3339(profile.last_seen)

    @admin.display(description="external ids")
    def external_ids(self, profile: Profile) -> str:
        aliases = Alias.objects.filter(project=profile.project_id, profile_id=profile.pk).order_by(
            "kind", "external_id"
        )
        return format_html_join("", "<div>{}: {}</div>", ((alias.kind, alias.external_id) for alias in aliases[:100]))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def found(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        projects = project_ids()
        kinds = Alias.Kind.values
        aliases = Alias.objects.filter(project_id__in=projects, kind__in=kinds, external_id=term)
        by_alias = list(aliases.values_list("profile_id", flat=True))
        named = Profile.objects.filter(project_id__in=projects, public_id=term).values_list("id", flat=True)
        return queryset.filter(id__in=[*by_alias, *named])


@admin.register(Batch)
class BatchAdmin(BulkAdmin):
    list_display = ("batch_id", "slug", "dialect", "n", "received", "parked", "error", "page")
    list_filter = ("project", "parked")  # type: ignore[assignment]  # one more than in the class above
    fields = readonly_fields = ("batch_id", "slug", "dialect", "n", "received", "parked", "error", "text")
    search_help_text = "The id of a parked batch (b_...), as a whole."
    actions = ("try_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).using(settings.INBOX_ALIAS).defer("body")
        return rows

    def found(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Those that wait have no index by their batch id: each would cost the door, and they are gone in a moment."""
        return super().found(queryset, term).filter(parked=True)

    @admin.display(description="page")
    def page(self, batch: Batch) -> SafeString | str:
        return page_of("Parked batches", "parked", slug(batch.project_id)) if batch.parked else ""

    @admin.display(description="received at")
    def received(self, batch: Batch) -> str:
        return rfc3339(batch.received_at)

    @admin.display(description="body")
    def text(self, batch: Batch) -> str:
        return text_of(batch.body)

    @admin.action(description="Try the selected parked batches again")
    @confirmed("Try these parked batches again?", most=MOST)
    def try_again(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        projects = Project.objects.using("default").in_bulk({batch.project_id for batch in queryset})
        done = sum(
            parked.retry(project=projects[batch.project_id], row=batch.pk, actor=person(request)) for batch in queryset
        )
        self.message_user(request, f"{done} batches wait again.", messages.SUCCESS)


class CorrectedEvent(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The event of a dead letter as text, to be corrected."""

    event = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 20, "cols": 100}),
        help_text="One event, as its wire writes it. Saving puts it back into the inbox.",
    )

    class Meta:
        model = DeadLetter
        fields: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["event"].initial = text_of(self.instance.body, EVENT_BYTES)  # whole, since it is what is saved

    def clean_event(self) -> str:
        event = str(self.cleaned_data["event"])
        try:
            deadletters.check(letter=self.instance, event=event.encode())
        except Problem as problem:
            raise forms.ValidationError(problem.detail) from None
        return event


@admin.register(DeadLetter)
class DeadLetterAdmin(BulkAdmin):
    form = CorrectedEvent
    list_display = ("batch_id", "index", "slug", "dialect", "code", "detail", "since", "page")
    readonly_fields = ("batch_id", "index", "slug", "dialect", "code", "detail", "since")
    fields = (*readonly_fields, "event")
    search_help_text = "A batch id (b_...), as a whole."
    actions = ("redrive",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).defer("body")
        return rows

    @admin.display(description="page")
    def page(self, letter: DeadLetter) -> SafeString:
        return page_of("Dead letter", "letter", slug(letter.project_id), letter.pk)

    @admin.display(description="at")
    def since(self, letter: DeadLetter) -> str:
        return rfc3339(letter.at)

    def save_model(self, request: HttpRequest, obj: DeadLetter, form: Any, change: bool) -> None:
        try:
            deadletters.redrive(letter=obj, actor=person(request), event=form.cleaned_data["event"].encode())
        except Problem as problem:
            self.message_user(request, f"Not put back. {problem.detail}", messages.ERROR)

    @admin.action(description="Put the selected events back into the inbox as they are")
    @confirmed("Put these events back into the inbox as they are?", most=MOST)
    def redrive(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        done, refused = deadletters.redrive_all(letters=queryset, actor=person(request))
        self.message_user(request, f"{done} events were put back.", messages.SUCCESS if done else messages.WARNING)
        for reason in refused[:10]:
            self.message_user(request, f"Not put back. {reason}", messages.ERROR)
