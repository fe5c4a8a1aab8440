"""`manage.py replay` against the running installation: nothing lost, nothing twice, one line when it is refused."""

import csv
import gzip
import itertools
import os
from collections import Counter
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from tests.e2e.calling import Caller, count, made_key
from tests.effort import tries
from tests.replay.conftest import Replay, row, written
from tests.skips import NOT_OURS
from tests.stack import ROOT, Stack

REAL = ROOT / Path(os.environ.get("PERSONA_RETAIL_CSV") or "../shared/data/online-retail.csv.gz")
ROWS = tries(5_000, plain=2_000)
LEAST = 40  # order lines


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Caller:
    """A project of its own, which nothing else writes to."""
    made = stack.manage("create_project", "replayed", "--owner", stack.running.admin_user)
    assert made.returncode == 0, made.stderr
    return Caller(stack.url, made_key(stack, "replayed"), "replayed")


def test_everything_once_and_a_second_time_nothing(
    stack: Stack, server: Caller, replay: Replay, tmp_path: Path
) -> None:
    lines = [row(f"small-{n // 3}", customer="" if n % 4 == 0 else f"{90_000 + n % 7}.0") for n in range(300)]
    path = written(tmp_path / "retail.csv", *lines)
    members = server.persona("replay-small", count("order_line", 33))
    first = stack.manage("replay", str(path), "--shift-to-now")
    assert first.returncode == 0, first.stderr
    assert "300 events accepted" in first.stdout
    assert "300 stored, 0 duplicates, 0 rejected" in first.stdout
    assert "events stored per second" in first.stdout
    assert "300 of 300" in first.stderr
    bought = Counter(line[6].removesuffix(".0") for line in lines if line[6])
    expected = {customer for customer, n in bought.items() if n >= 33}
    assert 0 < len(expected) < len(bought)
    server.caught_up()
    assert server.members(members) == expected
    assert "0 stored, 300 duplicates, 0 rejected" in replay(path, "--shift-to-now")
    server.caught_up()
    assert server.members(members) == expected


@pytest.mark.skipif(
    not REAL.is_file(), reason=f"{NOT_OURS}the Online Retail data set; PERSONA_RETAIL_CSV says where it is"
)
def test_the_real_file(shop: Caller, replay: Replay) -> None:
    """Who has many order lines among the first rows, by a plain count and by a persona that was there before them."""
    slug = shop.persona("regulars", count("order_line", LEAST))
    said = replay(REAL, "--project", "replayed", "--shift-to-now", "--limit", str(ROWS), key=shop.key)
    assert f"{ROWS:,} stored, 0 duplicates, 0 rejected" in said
    with gzip.open(REAL, "rt", encoding="utf-8", newline="") as file:
        first = itertools.islice(csv.DictReader(file), ROWS)
        lines = Counter(line["CustomerID"].removesuffix(".0") or f"invoice-{line['InvoiceNo']}" for line in first)
    expected = {whose for whose, n in lines.items() if n >= LEAST}
    assert len(expected) > 10
    shop.caught_up()
    assert shop.members(slug) == expected


@pytest.mark.parametrize(
    ("words", "key", "said"),
    [
        (["--project", "somebody-elses"], "", "No key for project 'somebody-elses'"),
        ([], "sk_live_nobodyknowsthiskeyatall0000000", r"refused with 401: .*auth\.invalid_key"),
        (["--limit", "0"], "", "--limit"),
    ],
)
def test_what_it_refuses(replay: Replay, tmp_path: Path, words: list[str], key: str, said: str) -> None:
    with pytest.raises(CommandError, match=said) as refused:
        replay(written(tmp_path / "retail.csv", row()), *words, key=key)
    assert "sk_live_nobody" not in str(refused.value)


def test_a_publishable_key_sends_but_cannot_ask_what_became_of_it(stack: Stack, replay: Replay, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"403: .*auth\.wrong_kind"):
        replay(written(tmp_path / "retail.csv", row("by-a-browser")), key=stack.publishable_key)


def test_a_missing_a_broken_and_another_file(replay: Replay, tmp_path: Path) -> None:
    packed = tmp_path / "broken.csv.gz"
    packed.write_bytes(gzip.compress(written(tmp_path / "retail.csv", row()).read_bytes())[:-9])
    for path, said in (
        (tmp_path / "nothing.csv", "There is no file"),
        (packed, r"broken\.csv\.gz cannot be read"),
        (written(tmp_path / "bad.csv", row(), row(price="dear")), "line 3: UnitPrice 'dear'"),
    ):
        with pytest.raises(CommandError, match=said):
            replay(path)
