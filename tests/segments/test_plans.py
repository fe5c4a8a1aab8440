"""The statements of a turn are planned once: to plan them anew in each turn was a tenth of PostgreSQL's work."""

from typing import NamedTuple

import pytest

from keys.models import Project
from segments.cursors import raw_cursor
from tests.ingestion.applying import put, track
from tests.segments.living import now_ms, persona, settle, viewed

pytestmark = pytest.mark.django_db

PREPARED = "select statement || name, custom_plans, generic_plans from pg_prepared_statements"


class Plans(NamedTuple):
    """How often a prepared statement was planned for its values, and how often it was not."""

    custom: int
    generic: int


def test_turns_find_their_statements_planned(shop: Project) -> None:
    persona(shop, "keen", viewed(2))
    turns(shop, 4)
    before = prepared()
    turns(shop, 4)
    after = prepared()
    assert not [text for text, plans in after.items() if plans.custom > before.get(text, plans).custom]
    for beginning in ("delete from ingestion_batch", "select clock.now"):
        found = [text for text in before if text.strip().startswith(beginning)]  # other tests' too
        assert sum(after[text].generic - before[text].generic for text in found) >= 4


def turns(project: Project, times: int) -> None:
    for _ in range(times):
        put(project, track(userId="alice"), received_at=now_ms())
        settle()


def prepared() -> dict[str, Plans]:
    with raw_cursor() as cursor:
        cursor.execute(PREPARED)
        return {text: Plans(custom, generic) for text, custom, generic in cursor.fetchall()}
