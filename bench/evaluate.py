"""How fast profiles are judged: `python bench/evaluate.py`, or with --small for a quick look.

Makes a shop in its own PostgreSQL (with fsync) with a hundred personas whose memberships are there, then lets events
happen to 20 and to 2,000 different profiles at once, and 10,000 timers become due at once. The events are written
straight into the tables; what is measured is the evaluator's turns in this one process, their commits included.
"""

import argparse
import gc
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import installation
import made

TIMERS = 10_000
MARKED = 25  # profiles of one shard that one apply transaction marks
EVENT = """
insert into ingestion_event (project_id, profile_id, name_id, ts, received_at, uid, props)
select %(project)s, profile, name, %(now)s, %(now)s, decode(md5(random()::text), 'hex'),
    jsonb_build_object('value', 50, 'path', '/', 'category', 'a')
from unnest(%(profiles)s::bigint[], %(names)s::int[]) r(profile, name)
"""
STALE = "insert into ingestion_staleprofiles (project_id, shard, at, items) values (%s, %s, %s, %s)"
DUE = """
update segments_membership m set recheck_at = %(now)s
from (select profile_id, persona_id from segments_membership where project_id = %(project)s
      order by random() limit %(timers)s) chosen
where m.project_id = %(project)s and m.profile_id = chosen.profile_id and m.persona_id = chosen.persona_id
"""


class Meter:
    """Counts the pairs that are judged, and the seconds of processor that this process and its backend of PostgreSQL
    take: these depend less than the time on what else the machine does."""

    def __init__(self) -> None:
        self.pairs = 0
        self.cpu = 0.0
        self.backend_cpu = 0.0

    def attach(self) -> None:
        """Put ourselves between the evaluator and its judge; a tenth of a microsecond a pair."""
        from segments import evaluator
        from segments.judge import stands

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.pairs += 1
            return stands(*args, **kwargs)

        evaluator.__dict__.update(stands=counting)

    def run(self) -> float:
        """The evaluator's turns until nothing is left; the seconds."""
        from segments.evaluator import evaluate_some

        self.pairs = 0
        cpu, backend = time.process_time(), backend_seconds()
        started = time.perf_counter()
        while evaluate_some():
            pass
        took = time.perf_counter() - started
        self.cpu, self.backend_cpu = time.process_time() - cpu, backend_seconds() - backend
        return took


def backend_seconds() -> float:
    """Of processor, that the server process of our connection has used (Linux)."""
    from django.db import connection

    connection.ensure_connection()
    path = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
    return int(path.read_text().split()[0]) / 1e9


class Shop:
    """The project, and what happens in it."""

    def __init__(self, project: Any, profiles: int) -> None:
        self.project, self.profiles = project, profiles
        self.dice = random.Random(2)

    def burst(self, size: int, events: int = 1) -> None:
        """So many events of each of so many profiles, and the writer's marks."""
        from django.db import connection

        from ingestion.applying import stale
        from persona.lib import ids

        now = int(time.time() * 1_000)
        who = self.dice.sample(range(1, self.profiles + 1), size)
        names = [[1 + int(20 * self.dice.random() ** 1.5) for _ in range(events)] for _ in who]
        marks: dict[int, list[stale.Mark]] = {}
        for profile, some in zip(who, names, strict=True):
            shard = ids.shard_of(self.project.pk, profile, self.project.shards)
            marks.setdefault(shard, []).append(stale.Mark(profile, 0, tuple(sorted({*some})), now, now, "00" * 16))
        given = {
            "project": self.project.pk,
            "now": now,
            "profiles": [profile for profile in who for _ in range(events)],
            "names": [name for some in names for name in some],
        }
        with connection.cursor() as cursor:
            cursor.execute(EVENT, given)
            for shard, of_shard in marks.items():
                for place in range(0, len(of_shard), MARKED):
                    row = stale.encode(of_shard[place : place + MARKED])
                    cursor.execute(STALE, [self.project.pk, shard, now, row])

    def fall_due(self) -> None:
        """Timers that fire early are put right when they fire, so these cost what real ones do, but change nobody."""
        from django.db import connection

        with connection.cursor() as cursor:
            given = {"project": self.project.pk, "timers": TIMERS, "now": int(time.time() * 1_000)}
            cursor.execute(DUE, given)


def measure(meter: Meter, what: str, happen: Callable[[], None], profiles: int, times: int) -> None:
    pairs, seconds, longest, cpu, backend = 0, 0.0, 0.0, 0.0, 0.0
    for turn in range(times + 2):
        happen()
        took = meter.run()
        if turn < 2:  # plans and prepared statements are there from now on
            continue
        pairs, seconds, longest = pairs + meter.pairs, seconds + took, max(longest, took)
        cpu, backend = cpu + meter.cpu, backend + meter.backend_cpu
    judged = profiles * times
    made.row(
        what,
        f"{pairs / (cpu + backend):,.0f} pairs per processor second, {pairs / seconds:,.0f} pairs/s",
        f"us of processor a profile: evaluator {cpu / judged * 1e6:.0f}, PostgreSQL {backend / judged * 1e6:.0f};"
        f" {judged / seconds:,.0f} profiles/s, {pairs / judged:.1f} pairs each,"
        f" {seconds / times * 1_000:.1f} ms, longest {longest * 1_000:.0f} ms",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.arguments(parser)
    parser.add_argument("--profile", action="store_true", help="where Python spends its time, with bursts of 2,000")
    given = parser.parse_args()
    with installation.database():
        run(made.size(given), profile=given.profile)


def run(size: made.Size, *, profile: bool) -> None:
    from segments import choosing

    project = made.fill(size)
    made.live(project, made.rules(size.personas))
    shop, meter = Shop(project, size.profiles), Meter()
    meter.attach()
    gc.freeze()  # as the task process does
    gc.set_threshold(50_000, 20, 20)
    many = min(2_000, size.profiles // 5)
    if profile:
        made.profiled(lambda: measure(meter, f"{many} profiles at once", lambda: shop.burst(many), many, 5))
        return
    measure(meter, "20 profiles at once", lambda: shop.burst(20), 20, 100)
    measure(meter, f"{many:,} profiles at once", lambda: shop.burst(many), many, 8)
    measure(meter, "20 profiles at once, five events each", lambda: shop.burst(20, 5), 20, 100)
    measure(meter, f"{many:,} at once, five events each", lambda: shop.burst(many, 5), many, 8)
    gated = choosing.gated
    choosing.gated = lambda moving, *_: [*moving.every]
    measure(meter, "20 profiles at once, without gates", lambda: shop.burst(20), 20, 100)
    measure(meter, f"{many:,} profiles at once, without gates", lambda: shop.burst(many), many, 8)
    choosing.gated = gated
    measure(meter, f"{TIMERS:,} timers due at once", shop.fall_due, TIMERS, 2)


if __name__ == "__main__":
    main()
