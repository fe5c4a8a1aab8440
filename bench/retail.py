"""A real shop's year, replayed and judged: `python bench/retail.py`. Needs the Online Retail file (PERSONA_RETAIL_CSV).

Starts an installation of its own on 127.0.0.1 in a temporary folder and replays the whole file into it, its last event
now. Six personas (sums, count, distinct, between, sequence) must have the members that plain Python over the CSV has:
now, and at each of the next instants at which somebody leaves, to the millisecond. Exit code 1 if not.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import installation

from tests.e2e.calling import Caller
from tests.replay import plain
from tests.replay.plain import Lines, Question
from tests.stack import ROOT, Stack, wait_for

if TYPE_CHECKING:
    from keys.models import Project

Members = dict[str, set[str]]
MARGIN = 2_000  # ms that a worker may be late with the members now
LONG = 300.0  # seconds for what a loaded machine does slowly


class Instant(NamedTuple):
    """Who belongs where at an instant: by the product, and by plain Python."""

    at: int
    got: Members
    expected: Members

    @property
    def wrong(self) -> int:
        return sum(len(self.got[slug] ^ self.expected[slug]) for slug in self.expected)


def main() -> int:
    given = arguments()
    path = ROOT / Path(os.environ.get("PERSONA_RETAIL_CSV") or "../shared/data/online-retail.csv.gz")
    lines, asked = plain.read(path), plain.questions(plain.WHOLE)
    with installation.installation(PERSONA_INGEST_RATE="0") as stack:
        shop = Caller(stack.url, stack.secret_key)
        if not given.after:
            create(shop, asked)
        print(f"load {os.getloadavg()[0]:.1f}", replayed(stack, path), f"load {os.getloadavg()[0]:.1f}", flush=True)
        began = time.monotonic()
        if given.after:
            create(shop, asked)
        settled(shop, asked)
        print(f"judged {time.monotonic() - began:.1f} s later", flush=True)
        installation.connect(stack.database_url)
        people = plain.by_person(lines, shift_of(lines))
        wrong = sum(report(*check_now(shop, asked, people)))
        wrong += check_ahead(asked, people, given.leaves)
        wrong += verified(stack, given.verify, asked, people)
        again = replayed(stack, path)
        print(again)
        wrong += "; 0 stored" not in again
    print("all the same" if not wrong else f"{wrong} DIFFERENCES")
    return int(wrong > 0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", type=int, default=50, help="how many of the next instants of a leave are looked at")
    parser.add_argument("--verify", type=int, default=5, help="at how many of them manage.py verify --at looks too")
    parser.add_argument(
        "--after", action="store_true", help="make the personas after the replay: by backfill, not live"
    )
    return parser.parse_args()


def replayed(stack: Stack, path: Path) -> str:
    """What `manage.py replay` says."""
    words = [sys.executable, "manage.py", "replay", str(path), "--project", "demo", "--shift-to-now"]
    environment = {**os.environ, "PERSONA_HOME": str(stack.home), "DATABASE_URL": stack.database_url}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.strip()


def create(shop: Caller, asked: Sequence[Question]) -> None:
    for question in asked:
        rule = {"v": 1, "rule": question.rule, "identified_only": question.identified_only}
        made = shop.ask("POST", f"{shop.root}/personas", {"slug": question.slug, "rule": rule})
        assert made.status == 201, made


def settled(shop: Caller, asked: Sequence[Question]) -> None:
    """Everything is applied, everybody is judged."""
    for question in asked:

        def done(slug: str = question.slug) -> bool:
            persona = shop.get(f"/personas/{slug}")
            return bool(persona["status"] == "live" and persona["lag_ms"] == 0)

        wait_for(done, f"{question.slug} to be judged", LONG)


def shift_of(lines: Sequence[plain.Line]) -> int:
    """How far the stored instants are from those of the file (ms); each of them must be as far."""
    from ingestion.models import Event

    stored = sorted(Event.objects.filter(project_id=project().pk).values_list("ts", flat=True))
    inside = sorted(line.ts for line in lines)
    shift = stored[-1] - inside[-1]
    assert stored == [ts + shift for ts in inside], "the stored instants are not those of the file, moved"
    return shift


def check_now(shop: Caller, asked: Sequence[Question], people: Lines) -> tuple[Sequence[Question], Instant]:
    """Asked over HTTP, in a moment in which nobody comes or goes."""
    while True:
        before = clock()
        got = {question.slug: shop.members(question.slug) for question in asked}
        expected, later = (everybody(asked, people, at) for at in (before - MARGIN, clock()))
        if expected == later:
            return asked, Instant(before, got, expected)


def check_ahead(asked: Sequence[Question], people: Lines, most: int) -> int:
    """At the next leaves, and a millisecond before each."""
    leaves = plain.next_leaves(asked, people, clock(), most)
    instants = sorted({at for turn in leaves for at in (turn.at - 1, turn.at)})
    found = judged(instants)
    wrong = sum(Instant(at, got, everybody(asked, people, at)).wrong for at, got in found.items())
    for turn in leaves:
        left = turn.whose not in found[turn.at][turn.slug] and turn.whose in found[turn.at - 1][turn.slug]
        wrong += not left
    what = ", ".join(f"{slug} {n}" for slug, n in sorted(Counter(turn.slug for turn in leaves).items()))
    hours = (leaves[-1].at - clock()) / 3_600_000
    print(
        f"{len(leaves)} leaves within {hours:.1f} h ({what}), {len(instants)} instants: {wrong} differences", flush=True
    )
    return wrong


def judged(instants: Sequence[int]) -> dict[int, Members]:
    """The members at future instants, by the code that verifies them, in one pass over all people."""
    from segments import cursors, definitions, facts
    from segments.facts import Wanted
    from segments.insight import people, reading
    from segments.models import Persona

    of = project()
    slugs = dict(Persona.objects.filter(project=of).values_list("id", "slug"))
    found: dict[int, Members] = {at: {slug: set() for slug in slugs.values()} for at in instants}
    last = 0
    with cursors.raw_cursor() as cursor:
        defined = definitions.of_project(cursor, of.pk)
        while page := people.page(of.pk, last):
            now, last = cursors.clock(cursor), page[-1]
            plan = defined.whole_plan(frozenset(defined.personas))
            wanted = {profile: Wanted(plan, now) for profile in page}
            known = facts.gather(cursor, of.pk, wanted, retention=defined.retention, now=now)
            external = reading.external_ids(of.pk, page)
            for profile, fact in known.items():
                for persona, definition in defined.personas.items():
                    for at in instants:
                        if definition.compiled.value(fact, at) > 0:
                            found[at][slugs[persona]].update(external[profile])
    return found


def verified(stack: Stack, most: int, asked: Sequence[Question], people: Lines) -> int:
    """`verify --at` finds nothing wrong, and as many other members then as plain Python does."""
    from persona.lib.clock import rfc3339

    leaves = plain.next_leaves(asked, people, clock() + 60_000, max(most, 1))
    wrong = 0
    for turn in leaves[:: max(1, len(leaves) // most)] if most else ():
        words = [sys.executable, "manage.py", "verify", "demo", "--at", rfc3339(turn.at)]
        environment = {**os.environ, "PERSONA_HOME": str(stack.home), "DATABASE_URL": stack.database_url}
        before = clock()
        said = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False).stdout
        told = re.search(r"^([\d,]+) memberships will", said, re.MULTILINE)
        different = int(told[1].replace(",", "")) if told else -1
        expected = {moved(asked, people, now, turn.at) for now in (before, clock())}
        right = ": 0 differences" in said and different in expected
        print(f"verify --at {rfc3339(turn.at)}: {said.splitlines()[-1]}, {different} others then: {right}", flush=True)
        if not right:
            print(said[:4_000], flush=True)
        wrong += not right
    return wrong


def moved(asked: Sequence[Question], people: Lines, now: int, at: int) -> int:
    """How many memberships are others at two instants."""
    one, other = (everybody(asked, people, instant) for instant in (now, at))
    return sum(len(one[slug] ^ other[slug]) for slug in one)


def report(asked: Sequence[Question], now: Instant) -> Iterator[int]:
    print("| persona | members | plain Python | differences |\n|---|---|---|---|")
    for question in asked:
        got, expected = now.got[question.slug], now.expected[question.slug]
        print(f"| {question.slug} | {len(got):,} | {len(expected):,} | {len(got ^ expected)} |", flush=True)
        yield len(got ^ expected)


def everybody(asked: Sequence[Question], people: Lines, at: int) -> Members:
    return {question.slug: plain.members(question, people, at) for question in asked}


def project() -> "Project":
    from keys.models import Project

    return Project.objects.get(slug="demo")


def clock() -> int:
    """The database's, ms."""
    from segments import cursors

    with cursors.raw_cursor() as cursor:
        return cursors.clock(cursor)


if __name__ == "__main__":
    sys.exit(main())
