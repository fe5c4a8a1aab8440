"""`make screenshots`: every page worth a look, light and dark, on a desk and on a phone, into docs/screenshots/.

The installation is real and its own, with the demo's visitors in it. Every page, also those that are not worth a look,
is judged by axe-core on each screen in each theme; what is found is printed, and ends the command with 1.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import psycopg

from tests.browser import axe
from tests.browser.chromium import Chromium
from tests.browser.looks import DESK, PHONE, SIDEWAYS, look, opened
from tests.browser.person import Person
from tests.browser.shop import SLIGHT, SLUG, Shop, addresses
from tests.delivery.receiver import receiver
from tests.stack import ROOT, Stack, reachable_folder, wait_for

FOLDER = ROOT / "docs" / "screenshots"
SCREENS = {"desk": (DESK, 900), "phone": (PHONE, 844)}
QUALITY = 70
SOME = 30  # deliveries
PREVIEW = "document.querySelector('#preview .btn').click()"
# What a day of the same visitors leaves: the counts by the minute and by the hour that the charts are drawn of.
HISTORY = """
with hour as (select extract(epoch from date_trunc('minute', now()))::bigint * 1000 as now)
insert into ingestion_eventminute (project_id, minute, stored, duplicates, rejected)
select p.id, h.now - n * 60000, 60 + (25 * sin(n / 7.0) + 18 * random())::int, 0, (random() * 1.04)::int
from keys_project p, hour h, generate_series(0, 59) n where p.slug = %(slug)s
on conflict (project_id, minute) do update set stored = excluded.stored;
insert into segments_personahour (project_id, persona_id, hour, enters, leaves)
select p.project_id, p.id, extract(epoch from date_trunc('hour', now()))::bigint * 1000 - n * 3600000,
    (40 + 30 * sin(n / 4.0 + p.id) + 10 * random())::int, (40 + 30 * sin(n / 4.0 + p.id) + 10 * random())::int
from segments_persona p join keys_project k on k.id = p.project_id and k.slug = %(slug)s, generate_series(1, 23) n
on conflict do nothing
"""
# The receiver has the address that the pictures show, and nothing more is sent there.
SETTLED = """
update delivery_cursor set resting_until = 9e15 where project_id = (select id from keys_project where slug = %(slug)s);
update delivery_destination set url = 'https://crm.harbour-pine.example/hooks/persona' where kind = 'webhook'
"""


def main() -> int:
    """The exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "persona.settings")
    django.setup()  # the addresses of the pages are read from the product's own table
    FOLDER.mkdir(exist_ok=True)
    with reachable_folder() as folder, receiver() as crm:
        settings = {"PERSONA_DEMO": "0", "PERSONA_ALLOW_PRIVATE_DESTINATIONS": "1"}
        with Stack(folder / "home", **settings) as stack, open_shop(stack, crm.url) as shop:
            chromium = Chromium(Path(tempfile.mkdtemp(prefix="persona-chromium-")))
            try:
                found = shoot_all(Person(chromium, stack.url), shop)
            finally:
                chromium.close()
    sizes = [path.stat().st_size for path in FOLDER.glob("*.webp")]
    lines = [f"{len(sizes)} pictures, {sum(sizes) / 1e6:.1f} MB, {len(found)} findings", *found]
    sys.stdout.write("\n  ".join(lines) + "\n")
    return 1 if found else 0


@contextmanager
def open_shop(stack: Stack, hook: str) -> Iterator[Shop]:
    """With visitors in it for as long as it is open."""
    shop = Shop(stack)
    shop.furnish(hook=hook)
    way_in = {"PERSONA_URL": stack.url, "PERSONA_KEY": shop.key["key"]}
    command = [sys.executable, "-m", "persona.demo.traffic"]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **way_in}) as traffic:
        try:
            wait_for(lambda: len(shop.owner.get("/deliveries?status=delivered")["results"]) > SOME, "some deliveries")
            with psycopg.connect(stack.database_url, cursor_factory=psycopg.ClientCursor) as connection:
                connection.execute(HISTORY, {"slug": SLUG})
                connection.execute(SETTLED, {"slug": SLUG})
            yield shop
        finally:
            traffic.kill()


def shoot_all(person: Person, shop: Shop) -> list[str]:
    """What is wrong with the pages; the pictures are taken on the way."""
    axe.install(person.chromium)
    found = shoot(person, "signin", "/signin/")
    person.sign_in(shop.stack.running.admin_user, shop.stack.running.admin_password)
    member: dict[str, Any] = shop.owner.get("/personas/high_intent/members?limit=1")["results"][0]
    known = {**shop.known, "profile": member["profile"]}
    for name, path in {**addresses(known), "missing": "/no-such-page"}.items():
        if name != "signin":
            found += shoot(person, name, path, picture=name not in SLIGHT)
    return found


def shoot(person: Person, name: str, path: str, *, picture: bool = True) -> list[str]:
    """What is wrong with one page, on every screen in every theme; and its pictures."""
    found: list[str] = []
    chromium = person.chromium
    for screen, (width, height) in SCREENS.items():
        for theme in ("light", "dark"):
            look(chromium, width=width, height=height, dark=theme == "dark")
            opened(person, path)
            if name == "persona-edit":
                chromium.run(PREVIEW)
                chromium.wait(lambda: chromium.run("document.querySelector('#preview dl') !== null"), "the preview")
            wrong = axe.findings(chromium)
            if beyond := chromium.run(SIDEWAYS):
                wrong.append(f"scrolls sideways by {beyond} px")
            found += [f"{name}, {screen}, {theme}: {one}" for one in wrong]
            if picture:
                chromium.screenshot(FOLDER / f"{name}-{theme}-{screen}.webp", quality=QUALITY)
    return found


if __name__ == "__main__":
    sys.exit(main())
