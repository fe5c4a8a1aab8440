"""How long every page and every list of the admin takes on a filled database: `python bench/pages.py`.

A PostgreSQL of its own is filled with 5 million events of 200,000 people, their ids, ten personas with their
members, a log of changes, deliveries, dead letters and an audit log. Then each page is asked for again and again, as a
signed-in person, through Django's own handler and middleware. Figures are of the whole answer in this process,
without the network.
"""

import argparse
import os
import statistics
import sys
import time
from typing import Any

os.environ.setdefault("PERSONA_LOG_LEVEL", "ERROR")  # that a page is not there is said by its own line

import filled
import installation
import made

WANTED_MS = 300
WARM = 2  # requests of a page that are not counted


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    made.arguments(given, events=5_000_000, profiles=200_000)
    given.set_defaults(personas=10)
    given.add_argument("--times", type=int, default=15, help="requests of each page that are counted")
    asked = given.parse_args()
    with installation.database():
        size = made.size(asked)
        client, known = prepared(size)
        slow = measure(client, known, asked.times)
        sys.exit(f"slower than {WANTED_MS} ms: {', '.join(slow)}" if slow else 0)


def prepared(size: made.Size) -> tuple[Any, dict[str, Any]]:
    """A filled project, a browser of its owner, and what the addresses of its pages are made of."""
    from django.contrib.auth.models import User
    from django.test import Client

    from delivery.services import create_destination
    from ingestion.models import DeadLetter
    from keys.models import Invitation, Member
    from keys.people.invitations import invite
    from keys.services import create_project, issue_key
    from segments.models import PersonaVersion
    from segments.services import create_persona
    from tests.browser.shop import addresses

    owner = User.objects.create_superuser("bench", "", "bench")
    project = create_project(slug="bench", name="Bench", mode="live", owner=owner, actor=owner)
    made.fill(size, project)
    for number, rule in enumerate(made.rules(size.personas)):
        create_persona(project=project, slug=f"p{number}", name="", rule=rule, actor=owner, status="draft")
    earlier = {"version": 2, "rule": made.rules(1)[0], "author": "bench"}
    PersonaVersion.objects.create(persona=project.personas.get(slug="p0"), **earlier)
    project.personas.update(status="live")  # nobody is judged: who is a member is written down below
    key, _ = issue_key(project=project, kind="sk", name="Bench", actor=owner)
    hook, _ = create_destination(project=project, kind="webhook", name="CRM", url="https://crm.example/", actor=owner)
    invite(project=project, role="viewer", email="", actor=owner)
    filled.fill(project, hook, size)
    letter = DeadLetter.objects.filter(project=project).order_by("-id")[0]
    known = {
        "slug": "bench", "persona": "p0", "profile": "u_77", "lookup": key.lookup, "version": 2, "code": letter.code,
        "docs.name": "errors", "destination": hook.public_id, "letter.number": letter.pk,
        "delivery.number": size.profiles, "pk": Member.objects.get(project=project).pk,
        "invitation-withdraw.pk": Invitation.objects.get(project=project).pk,
    }  # fmt: skip
    client = Client(headers={"host": "localhost"})
    client.force_login(owner)
    return client, {**addresses(known), **variants(known), **admin_lists(project.pk)}


def variants(known: dict[str, Any]) -> dict[str, str]:
    """The same pages, asked differently."""
    home = f"/projects/{known['slug']}"
    return {
        "home, 24 hours": f"{home}/?last=24h",
        "home, 7 days": f"{home}/?last=7d",
        "live rows": f"{home}/live/rows?after_event=4900&after_change=0",
        "personas by size": f"{home}/personas/?sort=-size",
        "members, searched": f"{home}/personas/{known['persona']}/members/?q=user-4711",
        "profiles, searched": f"{home}/profiles/?q=user-4711",
        "a busy profile": f"{home}/profiles/u_1/",
        "why a busy profile": f"{home}/profiles/u_1/explain/{known['persona']}/",
        "overlap": f"{home}/personas/{known['persona']}/overlap/?with=p1",
        "dead deliveries": f"{home}/destinations/{known['destination']}/?status=dead",
        "dead letters of a cause": f"{home}/dead-letters/?code={known['code']}",
    }


def admin_lists(project: int) -> dict[str, str]:
    """Each list as it opens, of one project, and searched."""
    from django.contrib import admin
    from django.urls import reverse

    found = {"admin": reverse("admin:index")}
    for model, shown in admin.site._registry.items():
        name = f"admin, {model._meta.verbose_name_plural}"
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        found[name] = address
        if "project" in shown.list_filter:
            found[f"{name} of a project"] = f"{address}?project__id__exact={project}"
        if shown.search_fields:
            found[f"{name}, searched"] = f"{address}?q=user-4711"
    return found


def measure(client: Any, addresses: dict[str, str], times: int) -> list[str]:
    """Prints a line a page, slowest first; the names of those that are too slow."""
    lines = []
    for name, address in addresses.items():
        took = [_asked(client, address) for _ in range(WARM + times)][WARM:]
        p95 = statistics.quantiles(took, n=20, method="inclusive")[-1]
        lines.append((p95, statistics.median(took), name, address))
    print(f"\n| page | median ms | p95 ms |\n|---|---|---|  {made.load()}")
    for p95, median, name, _ in sorted(lines, reverse=True):
        print(f"| {name} | {median:.0f} | {p95:.0f} |")
    return [name for p95, _, name, _ in lines if p95 > WANTED_MS]


def _asked(client: Any, address: str) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    answer = client.get(address)
    if answer.streaming:
        b"".join(answer)
    took = (time.perf_counter() - started) * 1_000
    if answer.status_code not in (200, 302, 404):
        raise SystemExit(f"{address} answers {answer.status_code}")
    return took


if __name__ == "__main__":
    main()
