"""How long everybody takes to be judged: `python bench/backfill.py`, or with --small for a quick look.

Makes a shop in its own PostgreSQL (with fsync), then backfills a persona that counts, one that sums, and all personas
at once, and previews a rule; beside them, plain SQL that counts the same events with a GROUP BY.
"""

import argparse
import time
from typing import Any

import installation
import made

DAY = 86_400_000
COUNT = {"op": "event", "event": "page_viewed", "cmp": "gte", "value": 3, "window": {"last": "P7D"}}
SUM = {
    "op": "event", "event": "order_placed", "agg": {"fn": "sum", "prop": "value"}, "cmp": "gte", "value": 100,
    "window": {"last": "P30D"},
}  # fmt: skip
TRAIT = {"op": "trait", "path": "plan", "cmp": "eq", "value": "pro"}
PLAIN = """
select count(*) from (
    select profile_id from ingestion_event where project_id = %s and name_id = 1 and ts > %s
    group by profile_id having count(*) >= 3) members
"""


def timed(deed: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    found = deed()
    return time.perf_counter() - started, found


def backfill(project: Any, rules: list[made.Json], profiles: int, what: str, most: float) -> None:
    """Save them all, then backfill until nothing is left, or for `most` seconds."""
    from segments.backfill import backfill_some
    from segments.models import BackfillJob, Head
    from segments.services import create_persona

    BackfillJob.objects.filter(project=project).delete()
    for rule in rules:
        number = project.personas.count()
        create_persona(project=project, slug=f"p{number}", name="", rule=rule, actor="bench")
    before = Head.objects.get(project=project).last_seq
    longest, started = 0.0, time.perf_counter()
    while time.perf_counter() - started < most:
        page, seen = timed(backfill_some)
        longest = max(longest, page)
        if not seen:
            break
    seconds = time.perf_counter() - started
    changes = Head.objects.get(project=project).last_seq - before
    jobs = BackfillJob.objects.filter(project=project)
    pairs = sum((profiles if job.done else job.cursor) for job in jobs) / project.shards  # ids go from 1 on
    ended = "" if seen == 0 else " so far"
    made.row(
        f"backfill, {what}{ended}",
        f"{seconds:.1f} s, {pairs / seconds:,.0f} pairs/s",
        f"{changes:,} changes, longest page {longest * 1_000:.0f} ms",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.arguments(parser)
    parser.add_argument(
        "--most", type=float, default=120.0, help="seconds for all personas at once; then it is stopped"
    )
    given = parser.parse_args()
    size = made.size(given)
    with installation.database():
        measure(size, given.most)


def measure(size: made.Size, most: float) -> None:
    from django.db import connection

    from segments.insight.preview import preview

    project = made.fill(size)
    with connection.cursor() as cursor:
        seconds, _ = timed(lambda: cursor.execute(PLAIN, [project.pk, int(time.time() * 1_000) - 7 * DAY]))
        made.row("plain SQL: count of 7 days with GROUP BY", f"{seconds:.2f} s", f"{cursor.fetchone()[0]:,} members")
    for what, rule in (("a count of 7 days", COUNT), ("a sum of 30 days", SUM), ("a trait", TRAIT)):
        backfill(project, [{"v": 1, "rule": rule}], size.profiles, what, most)
    seconds, found = timed(lambda: preview(project=project, rule={"v": 1, "rule": SUM}))
    made.row("preview of a sum of 30 days", f"{seconds:.1f} s", f"{found.seen:,} profiles, complete: {found.complete}")
    backfill(project, made.rules(size.personas), size.profiles, f"{size.personas} personas at once", most)


if __name__ == "__main__":
    main()
