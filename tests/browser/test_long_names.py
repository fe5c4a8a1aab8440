"""Names as long and as strange as they may be, of everything that has one: no page scrolls sideways for them."""

from typing import Any

from tests.browser.looks import DESK, PHONE, SIDEWAYS, look, opened
from tests.browser.person import Person
from tests.browser.shop import Shop, addresses
from tests.e2e.calling import Caller, count, track

SLUG, PERSONA = "long", "p" + "o" * 63
NAME = ("Übergrößen-Buchhandlung مكتبة الميناء 📚 " + "W" * 200)[:200]
EVENT = ("<b>\N{RIGHT-TO-LEFT OVERRIDE}مرحبا</b>" + "E" * 200)[:200]
PEOPLE = [NAME, "u" * 500, "\N{RIGHT-TO-LEFT OVERRIDE}مرحبا"]


def test_no_name_is_too_long(shop: Shop, operator: Person) -> None:
    known = furnished(shop)
    pages = addresses(known, of_projects=True)
    assert len(pages) > 25
    wide = []
    for name, path in {**pages, "home": "/", "quickstart": f"/quickstart?project={SLUG}"}.items():
        opened(operator, path)
        for width in (PHONE, DESK):
            look(operator.chromium, width=width)
            if beyond := operator.chromium.run(SIDEWAYS):
                wide.append(f"{name} at {width}: {beyond} px")
    assert wide == []


def furnished(shop: Shop) -> dict[str, Any]:
    """A project in which everything has the longest name that it can; what the addresses of its pages are made of."""
    asked = shop.owner.ask("POST", "/api/projects", {"slug": SLUG, "name": NAME})
    assert asked.status == 201, asked
    owner = Caller(shop.stack.url, shop.owner.key, SLUG)
    key = owner.ask("POST", f"{owner.root}/keys", {"kind": "sk", "name": NAME}).json()
    for slug in (PERSONA, "q" * 64):
        rule = {"v": 1, "rule": count(EVENT, 1, "P7D")}
        owner.ask("POST", f"{owner.root}/personas", {"slug": slug, "name": NAME, "rule": rule})
    server = Caller(shop.stack.url, key["key"], SLUG)
    traits = {"name": NAME, "t" * 200: NAME}
    server.applied(server.ingest(*({"type": "identify", "userId": who, "traits": traits} for who in PEOPLE)))
    server.applied(server.ingest(*(track(EVENT, who, properties={"p" * 200: NAME}) for who in PEOPLE)))
    server.caught_up()
    member = owner.get(f"/personas/{PERSONA}/members?limit=1")["results"][0]["profile"]
    return {"slug": SLUG, "persona": PERSONA, "profile": member, "lookup": key["lookup"], "version": 1}
