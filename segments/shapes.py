"""Personas, profiles and the change log as the API takes and shows them."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from keys.models import SLUG_PATTERN, Project
from persona.lib.clock import milliseconds, rfc3339
from segments import log, warnings, watermark
from segments.insight import reading
from segments.models import Persona

Object = dict[str, Any]
Status = Literal["draft", "backfilling", "live", "paused", "error"]
Op = Literal["enter", "leave"]
# What a service checks is refused in its words; the document says beforehand what it will take.
Slug = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": SLUG_PATTERN})]
Rule = Annotated[Any, msgspec.Meta(extra_json_schema={"$ref": "#/components/schemas/Rule"})]
ShownRule = Annotated[dict[str, Any], msgspec.Meta(description="a Rule, as it was saved")]


class NewPersona(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a create. silent: those who are members from the start are logged, but not told."""

    slug: Slug
    rule: Rule
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    status: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["live", "draft"]})] = "live"
    silent: bool = False


class ChangedPersona(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of a change: what is left out stays. silent: who moves because of it is logged, but not told."""

    rule: Rule = UNSET
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    status: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["live", "draft", "paused"]})] | UnsetType = UNSET
    silent: bool = False


class WholePersona(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of a replacement: the persona as it was shown, edited. What nobody can set is passed over."""

    rule: Rule
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    status: (
        Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["live", "draft", "paused", "backfilling"]})] | UnsetType
    ) = UNSET
    silent: bool = False
    slug: Slug | UnsetType = UNSET
    version: Any = UNSET
    progress: Any = UNSET
    size: Any = UNSET
    warnings: Any = UNSET
    evaluated_through: Any = UNSET
    lag_ms: Any = UNSET
    created_at: Any = UNSET
    updated_at: Any = UNSET


def replaced(whole: WholePersona) -> ChangedPersona:
    """What of it can be set. A persona that was read while everybody was being judged is one that shall be live."""
    status = "live" if whole.status == "backfilling" else whole.status
    return ChangedPersona(rule=whole.rule, name=whole.name, status=status, silent=whole.silent)


class WarningShown(msgspec.Struct):
    """Where the data is not what the rule was written for; since, latest: when it was seen first and last."""

    kind: str
    path: str
    profiles: int
    at_least: bool
    since: str
    latest: str
    samples: list[str]


class PersonaShown(msgspec.Struct):
    """A persona. size: how many members; progress: how much of a backfill is done, 0 to 1; everything received before
    evaluated_through has been judged, lag_ms ago."""

    slug: str
    name: str
    rule: ShownRule
    version: int
    status: Status
    progress: float
    size: int
    warnings: list[WarningShown]
    evaluated_through: str
    lag_ms: int
    created_at: str
    updated_at: str


class PersonaPage(msgspec.Struct):
    """All personas of a project, in one page."""

    results: list[PersonaShown]
    next: None = None


class MemberPage(msgspec.Struct):
    """A page of members; head: the number of the change log before it was read."""

    results: list[reading.Member]
    next: str | None
    head: int


class ProfileShown(msgspec.Struct):
    """A profile."""

    profile: str
    external_ids: list[str]
    traits: Object
    first_seen: str
    last_seen: str
    personas: list[reading.Belongs]


class ChangeShown(msgspec.Struct):
    """A row of the change log. trigger, late_ms: the event behind it and how late that came, where there is one."""

    seq: int
    profile: str
    persona: str
    op: Op
    at: str
    cause: str
    version: int
    trigger: str | None
    late_ms: int | None


class ChangePage(msgspec.Struct):
    """Rows of the change log; next: the value for `after`; head, oldest: the newest and the oldest number kept."""

    results: list[ChangeShown]
    next: int
    head: int
    oldest: int


def personas_shown(project: Project, personas: Iterable[Persona]) -> list[PersonaShown]:
    """Personas of one project, in a constant number of queries."""
    mark = watermark.of_project(project.pk)
    sizes = reading.sizes(project.pk)
    progress = reading.progress(project.pk)
    warned = warnings.of_project(project.pk)
    return [
        PersonaShown(
            slug=persona.slug,
            name=persona.name,
            rule=persona.rule,
            version=persona.version,
            status=persona.status,  # type: ignore[arg-type]  # a choice of the column
            progress=progress.get(persona.pk, 1.0),
            size=sizes.get(persona.pk, 0),
            warnings=[warning_shown(one) for one in warned.get(persona.pk, [])],
            evaluated_through=rfc3339(mark.evaluated_through),
            lag_ms=mark.lag_ms,
            created_at=rfc3339(milliseconds(persona.created_at)),
            updated_at=rfc3339(milliseconds(persona.updated_at)),
        )
        for persona in personas
    ]


def warning_shown(warned: warnings.Warned) -> WarningShown:
    """A warning on a persona."""
    return WarningShown(**{**warned._asdict(), "since": rfc3339(warned.since), "latest": rfc3339(warned.latest)})


def change_shown(row: log.LogRow) -> ChangeShown:
    """A row of the log."""
    return ChangeShown(
        seq=row.seq,
        profile=row.profile,
        persona=row.persona,
        op=row.op,  # type: ignore[arg-type]  # the column holds these two
        at=rfc3339(row.at),
        cause=row.cause,
        version=row.version,
        trigger=row.trigger and f"e_{row.trigger}",
        late_ms=row.late_ms,
    )
