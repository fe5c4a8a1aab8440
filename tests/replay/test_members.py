"""The first rows of the real file: each persona has the members that plain Python has, now and when somebody leaves."""

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.e2e.calling import Caller, made_key
from tests.replay import plain
from tests.replay.conftest import Replay
from tests.replay.plain import Lines, Question, Turn
from tests.skips import NOT_OURS
from tests.stack import ROOT, Stack, wait_for

REAL = ROOT / Path(os.environ.get("PERSONA_RETAIL_CSV") or "../shared/data/online-retail.csv.gz")
ROWS = 20_000
LATE = 5_000  # ms that a worker may be late
LEAVES = 20


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Caller:
    """A project of its own, which nothing else writes to."""
    made = stack.manage("create_project", "shop-year", "--owner", stack.running.admin_user)
    assert made.returncode == 0, made.stderr
    return Caller(stack.url, made_key(stack, "shop-year"), "shop-year")


@pytest.mark.skipif(
    not REAL.is_file(), reason=f"{NOT_OURS}the Online Retail data set; PERSONA_RETAIL_CSV says where it is"
)
def test_members_are_those_of_plain_python(stack: Stack, shop: Caller, replay: Replay) -> None:
    asked = plain.questions(plain.FIRST_ROWS)
    for question in asked[::2]:  # some live, the others by backfill
        made(shop, question)
    words = ("--project", "shop-year", "--shift-to-now", "--limit", str(ROWS))
    assert f"{ROWS:,} stored, 0 duplicates, 0 rejected" in replay(REAL, *words, key=shop.key)
    for question in asked[1::2]:
        made(shop, question)
    shop.caught_up()
    people = plain.by_person(plain.read(REAL, most=ROWS), shift_of(stack))
    assert_now(shop, asked, people)
    leaves = plain.next_leaves(asked, people, now_ms() + 60_000, LEAVES)
    assert len(leaves) == LEAVES
    assert len({turn.slug for turn in leaves}) > 2
    for turn in leaves:
        assert_leaves(shop, turn)
    for turn in leaves[:: LEAVES - 1]:
        assert_verified(stack, turn)
    assert f"0 stored, {ROWS:,} duplicates, 0 rejected" in replay(REAL, *words, key=shop.key)
    shop.caught_up()
    assert_now(shop, asked, people)


def made(shop: Caller, question: Question) -> None:
    rule = {"v": 1, "rule": question.rule, "identified_only": question.identified_only}
    got = shop.ask("POST", f"{shop.root}/personas", {"slug": question.slug, "rule": rule})
    assert got.status == 201, got
    wait_for(lambda: shop.get(f"/personas/{question.slug}")["status"] == "live", f"{question.slug} to be live")


def shift_of(stack: Stack) -> int:
    """How far the instants were moved, as it is stored: all of them by as much."""
    with psycopg.connect(stack.database_url) as connection:
        rows = connection.execute(
            "select ts from ingestion_event e join keys_project p on p.id = e.project_id where p.slug = %s order by ts",
            ("shop-year",),
        ).fetchall()
    moved = {ts - line.ts for (ts,), line in zip(rows, plain.read(REAL, most=ROWS), strict=True)}
    assert len(moved) == 1
    return int(moved.pop())


def assert_now(shop: Caller, asked: Sequence[Question], people: Lines) -> None:
    """In a moment in which nobody comes or goes."""

    def compared() -> tuple[dict[str, set[str]], dict[str, set[str]]] | None:
        before = now_ms() - LATE
        got = {question.slug: shop.members(question.slug) for question in asked}
        expected, later = (
            {question.slug: plain.members(question, people, at) for question in asked} for at in (before, now_ms())
        )
        return (got, expected) if expected == later else None

    got, expected = wait_for(compared, "nobody to come or go")
    assert got == expected
    assert all(len(members) > 5 for members in expected.values())


def assert_leaves(shop: Caller, turn: Turn) -> None:
    """A member until the millisecond before, and no longer then."""
    for at, matched in ((turn.at - 1, True), (turn.at, False)):
        path = f"/personas/{turn.slug}/explain?profile={quote(turn.whose)}&at={written(at)}"
        assert shop.get(path)["matched"] is matched, (turn, at)


def assert_verified(stack: Stack, turn: Turn) -> None:
    said = stack.manage("verify", "shop-year", "--at", written(turn.at))
    assert said.returncode == 0, said
    assert ": 0 differences" in said.stdout


def written(at: int) -> str:
    return datetime.fromtimestamp(at / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now_ms() -> int:
    return time.time_ns() // 1_000_000
