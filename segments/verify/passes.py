"""Verify a project while it lives: are all memberships what the rules say of the stored events, do the timers hold,
and does the change log explain every membership?

A pass is made of small steps: pages of profiles, then looks at those that were not settled, then the log's numbers.
A profile that was not settled is a difference only if the very thing it waited for is still waiting in the end.
"""

import time
from collections.abc import Iterator

from keys.models import Project
from segments import cursors
from segments.insight import people
from segments.verify import log
from segments.verify.look import Range, look
from segments.verify.report import Difference, Report

LOOKS = 20  # at what was on its way
PAUSE = 0.25  # seconds between two of them: what was on its way arrives meanwhile
END = 1 << 62


def verify(project: Project, *, at: int | None = None, looks: int = LOOKS) -> Iterator[Report]:
    """Look at everything; yields the growing report after each step, the last one is the whole.

    at: an instant (ms) in the future: also counts who will be in or out then if nothing happens, and holds the timers
    against that. looks: how often what is on its way is looked at again.
    """
    report = Report()
    while not report.done:
        if report.cursor is None and report.waiting:
            time.sleep(PAUSE)
        step(project.pk, report, at=at, looks=looks)
        yield report


def step(project_id: int, report: Report, *, at: int | None = None, looks: int = LOOKS) -> None:
    """The next step of a pass: a page of it at most."""
    if report.cursor is not None:
        _page(project_id, report, report.cursor, at)
    elif report.waiting:
        _look_again(project_id, report, at, last=report.looks + 1 >= looks)
        report.looks += 1
    else:
        with cursors.raw_cursor() as cursor:
            report.add(log.numbers(cursor, project_id))
        report.done = True


def _page(project_id: int, report: Report, after: int, at: int | None) -> None:
    profiles = people.page(project_id, after)
    last = len(profiles) < people.PAGE
    seen = look(project_id, profiles, report, at=at, rows=Range(after, END if last else profiles[-1]))
    report.wait(seen.waiting, seen.now)
    report.profiles += len(profiles)
    report.cursor = None if last else profiles[-1]


def _look_again(project_id: int, report: Report, at: int | None, *, last: bool) -> None:
    waiting = list(report.waiting)
    left: dict[int, int] = {}
    for start in range(0, len(waiting), people.PAGE):
        left |= look(project_id, waiting[start : start + people.PAGE], report, at=at).waiting
    first = report.waiting
    report.waiting = {profile: first[profile] for profile in left}
    if last:
        stuck = sum(since <= first[profile] for profile, since in left.items())
        report.busy += len(left) - stuck
        report.waiting = {}
        if stuck:
            text = f"{stuck} profiles were still not judged after {report.looks + 1} looks: is a worker running?"
            report.add([Difference("membership", text)])
