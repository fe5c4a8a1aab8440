"""What verifications found, kept for /metrics and the next one; and verifying by and by, beside everything else."""

import time

import msgspec
from django.conf import settings
from django.db import connection

from persona.lib.log import get_logger
from segments import cursors
from segments.verify.passes import step
from segments.verify.report import Difference, Report

BUDGET = 5.0  # seconds of one turn: the beat brings one a minute
LEASE = 600_000  # ms for which a turn keeps others off; one that was killed is taken up again after that
TOLD = 50  # differences kept of a result

PROJECTS = "insert into segments_verifyresult (project_id) select id from keys_project on conflict do nothing"
LEASED = """
update segments_verifyresult set leased_until = %(now)s + %(lease)s where project_id = (
    select project_id from segments_verifyresult
    where leased_until <= %(now)s and (running is not null or coalesce(at, 0) <= %(now)s - %(interval)s)
    order by running is null, coalesce(at, 0) limit 1 for update skip locked)
returning project_id, running
"""
GO_ON = "update segments_verifyresult set running = %s, leased_until = 0 where project_id = %s"
KEEP = """
insert into segments_verifyresult (project_id, at, differences, report) values (%s, %s, %s, %s)
on conflict (project_id) do update set at = excluded.at, differences = excluded.differences, report = excluded.report,
    running = null, leased_until = 0
"""

log = get_logger(__name__)


class Result(msgspec.Struct, frozen=True):
    """What is kept of a whole report; see Report."""

    profiles: int
    pairs: int
    busy: int
    left_out: int
    count: int
    differences: list[Difference]


def verify_some() -> int:
    """One turn of the project whose last verification is the oldest; the steps taken. 0: none is due.

    PERSONA_VERIFY_INTERVAL seconds lie between two verifications of a project; 0: never.
    """
    if not settings.PERSONA_VERIFY_INTERVAL:
        return 0
    with cursors.raw_cursor() as cursor:
        cursor.execute(PROJECTS)
        now = cursors.clock(cursor)
        interval = settings.PERSONA_VERIFY_INTERVAL * 1_000
        cursor.execute(LEASED, {"now": now, "lease": LEASE, "interval": interval})
        row = cursor.fetchone()
    return _turn(row[0], _taken_up(row[1])) if row else 0


def keep(project_id: int, report: Report) -> None:
    """A whole report is the project's result until the next one."""
    result = Result(
        profiles=report.profiles,
        pairs=report.pairs,
        busy=report.busy,
        left_out=report.left_out,
        count=report.count,
        differences=report.differences[:TOLD],
    )
    with cursors.raw_cursor() as cursor:
        cursor.execute(KEEP, (project_id, cursors.clock(cursor), report.count, msgspec.json.encode(result)))
    say = log.error if report.count else log.info
    say("project.verified", project=project_id, profiles=report.profiles, pairs=report.pairs, differences=report.count)


def _turn(project_id: int, report: Report) -> int:
    deadline = time.monotonic() + BUDGET
    steps = 0
    while not report.done and (not steps or time.monotonic() < deadline):
        looks = report.looks
        step(project_id, report)
        steps += 1
        if report.looks > looks and report.waiting:
            break  # what was on its way has until the next turn to arrive
    if report.done:
        keep(project_id, report)
    else:
        with connection.cursor() as cursor:
            cursor.execute(GO_ON, [msgspec.json.encode(report), project_id])
    return steps


def _taken_up(running: bytes | None) -> Report:
    if running is None:
        return Report()
    try:
        return msgspec.json.decode(running, type=Report)
    except msgspec.DecodeError:  # begun by another release
        log.warning("verify.begun_anew")
        return Report()
