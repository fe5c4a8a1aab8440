"""What the tests of evaluating share: personas, work until nothing is left, and what must hold after every test."""

from collections import Counter
from typing import Any

from ingestion import tasks as ingestion_tasks
from ingestion.models import Alias
from keys.models import Project
from segments import backfill, cursors, evaluator
from segments.models import Change, Head, Membership, Persona, PersonaHour
from segments.services import create_persona

Json = dict[str, Any]


def viewed(at_least: int, window: str | None = "P1D", event: str = "page_viewed", **where: Any) -> Json:
    """At least so many events in the window."""
    node: Json = {"op": "event", "event": event, "cmp": "gte", "value": at_least}
    if window:
        node["window"] = {"last": window}
    if where:
        node["where"] = {"op": "all", "of": [
            {"op": "trait", "path": path, "cmp": "eq", "value": value} for path, value in where.items()
        ]}  # fmt: skip
    return node


def never(event: str, window: str = "P1D") -> Json:
    return {"op": "not", "of": viewed(1, window, event)}


def everyone_of(*nodes: Json) -> Json:
    return {"op": "all", "of": list(nodes)}


def trait(path: str, value: Any) -> Json:
    return {"op": "trait", "path": path, "cmp": "eq", "value": value}


def persona(project: Project, slug: str, rule: Json, *, status: str = "live", **envelope: Any) -> Persona:
    made = create_persona(
        project=project, slug=slug, name=slug, rule={"v": 1, "rule": rule, **envelope}, actor="alice", status=status
    )
    settle()
    made.refresh_from_db()
    return made


def settle() -> None:
    """Apply, evaluate and backfill until all three find nothing: what one leaves behind is for those after it."""
    while ingestion_tasks.apply_some() + evaluator.evaluate_some():
        pass
    _backfilled()


def _backfilled() -> int:
    """All that waits; the profiles seen, and one for each page."""
    return sum(iter(backfill.backfill_some, 0))


def now_ms() -> int:
    with cursors.raw_cursor() as cursor:
        return cursors.clock(cursor)


def log(project: Project) -> list[tuple[str, str, str, str]]:
    """The change log as (who, op, persona, cause); who is a userId if the profile has one."""
    names = {row.profile_id: row.external_id for row in Alias.objects.filter(project=project).order_by("kind")}
    slugs = dict(Persona.objects.filter(project=project).values_list("id", "slug"))
    return [
        (names.get(row.profile_id, "?"), row.op, slugs[row.persona_id], row.cause)
        for row in Change.objects.filter(project=project).order_by("seq")
    ]


def members(project: Project, slug: str) -> set[str]:
    """External ids of the members."""
    rows = Membership.objects.filter(
        project=project, is_member=True, persona_id__in=Persona.objects.filter(project=project, slug=slug).values("id")
    )
    inside = {row.profile_id for row in rows}
    return {row.external_id for row in Alias.objects.filter(project=project) if row.profile_id in inside}


def assert_log_is_state(project: Project) -> None:
    """Gap-free from 1 to the head, alternating per pair, `at` never decreasing; replayed, it is the memberships."""
    rows = list(Change.objects.filter(project=project).order_by("seq"))
    assert [row.seq for row in rows] == list(range(1, Head.objects.get(project=project).last_seq + 1))
    state: dict[tuple[int, int], bool] = {}
    last_at: dict[tuple[int, int], int] = {}
    for row in rows:
        pair = (row.profile_id, row.persona_id)
        enters = row.op == Change.Op.ENTER
        assert state.get(pair, False) is not enters, f"row {row.seq} repeats {row.op}"
        assert row.at >= last_at.get(pair, 0), f"row {row.seq} goes back in time"
        state[pair], last_at[pair] = enters, row.at
    inside = {pair for pair, is_in in state.items() if is_in}
    stored = {(row.profile_id, row.persona_id) for row in Membership.objects.filter(project=project, is_member=True)}
    assert stored == inside
    tallied = PersonaHour.objects.filter(project=project)
    sizes = {row.persona_id: row.enters - row.leaves for row in tallied.filter(hour=0) if row.enters > row.leaves}
    assert sizes == Counter(persona for _, persona in stored)
    assert sum(row.enters + row.leaves for row in tallied.exclude(hour=0)) == len(rows)
