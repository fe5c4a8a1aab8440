"""What the older operations take and answer, for the OpenAPI document. Their views build plain objects."""

from typing import Any, Literal

import msgspec

from segments.api import ChangedPersona, NewPersona
from segments.api_imports import Segment
from segments.api_insight import Imagined, Proposed

Status = Literal["draft", "backfilling", "live", "paused", "error"]
Object = dict[str, Any]


class PersonaShown(msgspec.Struct):
    """A persona. size: how many members; everything received before evaluated_through has been judged."""

    slug: str
    name: str
    rule: Object
    version: int
    status: Status
    progress: float
    size: int
    evaluated_through: str
    lag_ms: int
    created_at: str
    updated_at: str


class PersonaPage(msgspec.Struct):
    """All personas of a project."""

    results: list[PersonaShown]
    next: str | None


class MemberShown(msgspec.Struct):
    """One member. leaves_at: when that ends if nothing happens."""

    profile: str
    external_ids: list[str]
    since: str
    leaves_at: str | None


class MemberPage(msgspec.Struct):
    """A page of members; head: the number of the change log before it was read."""

    results: list[MemberShown]
    next: str | None
    head: int


class Belonging(msgspec.Struct):
    """One persona of a profile."""

    persona: str
    since: str
    leaves_at: str | None


class ProfileShown(msgspec.Struct):
    """A profile."""

    profile: str
    external_ids: list[str]
    traits: Object
    first_seen: str
    last_seen: str
    personas: list[Belonging]


class ChangeShown(msgspec.Struct):
    """A row of the change log."""

    seq: int
    profile: str
    persona: str
    op: Literal["enter", "leave"]
    at: str
    cause: str
    version: int
    trigger: str | None
    late_ms: int | None


class ChangePage(msgspec.Struct):
    """Rows of the change log; next: the value for `after`."""

    results: list[ChangeShown]
    next: int
    head: int
    oldest: int


class Move(msgspec.Struct):
    """An enter or leave that would be."""

    persona: str
    op: Literal["enter", "leave"]
    at: str


class Outlook(msgspec.Struct):
    """What a hypothetical event would change."""

    now: list[Move]
    later: list[Move]


class Imported(msgspec.Struct):
    """A rule, and what to know about it."""

    rule: Object
    notes: list[Object]


ANSWERS: dict[str, type[msgspec.Struct]] = {
    "personas_list": PersonaPage,
    "personas_create": PersonaShown,
    "personas_get": PersonaShown,
    "personas_change": PersonaShown,
    "personas_members": MemberPage,
    "profiles_get": ProfileShown,
    "changes_list": ChangePage,
    "sandbox": Outlook,
    "personas_import_segops": Imported,
}
BODIES: dict[str, type[msgspec.Struct]] = {
    "personas_create": NewPersona,
    "personas_change": ChangedPersona,
    "personas_preview": Proposed,
    "personas_import_segops": Segment,
    "sandbox": Imagined,
}
