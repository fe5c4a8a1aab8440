"""Harbour & Pine: a project of the running installation with something on every page."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django.urls import get_resolver, reverse

from persona.demo.personas import PERSONAS
from persona.demo.traffic import shop as visitors
from tests.e2e.calling import SOON, Caller
from tests.stack import Stack, wait_for

NAME, SLUG = "Harbour & Pine", "harbour-pine"
EVENTS = 400
HOOK = "https://crm.harbour-pine.example/hooks/persona"
# What is no page to look at: downloads, parts of pages, what only takes a form, and what only leads elsewhere.
NO_PAGES = {
    "persona-csv", "letters-download", "live-rows", "project-parts", "parked-retry", "destination-ping",
    "delivery-redeliver", "signout", "invitation-link", "account_login", "account_set_password", "mfa_list_webauthn",
    "mfa_login_webauthn",
    # of accounts with a second factor, and of links in mail
    "mfa_authenticate", "mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_generate_recovery_codes",
    "mfa_reauthenticate", "mfa_reauthenticate_webauthn", "mfa_edit_webauthn", "mfa_remove_webauthn",
    "account_reset_password_from_key",
}  # fmt: skip

# Small forms and questions, each much like another page.
SLIGHT = {
    "destination-delete", "destination-edit", "destination-pause", "destination-redeliver", "destination-resume",
    "destination-rotate", "docs", "invitation", "invitation-withdraw", "key-change", "key-revoke", "letters-of-code",
    "parked", "person-remove", "person-role", "persona-delete", "persona-pause", "persona-restore", "persona-resume",
    "project-new", "account_inactive", "account_reauthenticate", "account_reset_password_done",
    "account_reset_password_from_key_done", "mfa_activate_totp", "mfa_add_webauthn",
}  # fmt: skip


class Shop:
    """The project, the keys that the tests use, and what the addresses of its pages are made of."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.owner = self._owner()
        self.owner.ask("POST", "/api/projects", {"slug": SLUG, "name": NAME})
        self.key = self.make("/keys", {"kind": "sk", "name": "Orders"})
        self.server = Caller(stack.url, self.key["key"], SLUG)
        self.make("/keys", {"kind": "pk", "name": "Web shop", "origins": ["https://harbour-pine.example"]})

    def _owner(self) -> Caller:
        """Whoever may do everything, as a person."""
        way_in = {"username": self.stack.running.admin_user, "password": self.stack.running.admin_password}
        token = Caller(self.stack.url, "").ask("POST", "/api/auth/token/", way_in).json()["access"]
        return Caller(self.stack.url, token, SLUG)

    def make(self, path: str, body: object) -> Any:
        made = self.owner.ask("POST", self.owner.root + path, body)
        assert made.status in (201, 202), made
        return made.json()

    def furnish(self, *, hook: str = HOOK) -> None:
        """Personas, an hour of visitors, dead letters, and destinations of which one fails and one is paused."""
        for slug, (name, rule) in PERSONAS.items():
            self.make("/personas", {"slug": slug, "name": name, "rule": {"v": 1, "rule": rule}})
        self.owner.ask("PATCH", f"{self.owner.root}/personas/high_intent", {"rule": changed("high_intent")})
        self.make("/destinations", {"kind": "webhook", "name": "CRM", "url": hook})
        forwarded = self.make("/destinations", {"kind": "amplitude", "name": "Amplitude", "secret": "none of ours"})
        self.owner.ask("POST", f"{self.owner.root}/destinations/{forwarded['id']}/pause")
        for page in batches(EVENTS):
            self.server.applied(self.server.ingest(*page))
        self.server.applied(self.server.ingest(broken(1), broken(2)))
        self.server.caught_up()
        wait_for(lambda: self.owner.get("/deliveries")["results"], "a delivery", SOON)

    @property
    def known(self) -> dict[str, Any]:
        """What stands in the addresses of pages; where two pages mean different things by a word, `page.word`."""
        changes = self.owner.get("/changes?limit=1")["results"]
        letter = self.owner.get("/dead-letters")["results"][0]
        return {
            "slug": SLUG,
            "persona": "high_intent",
            "profile": changes[0]["profile"],
            "lookup": self.key["lookup"],
            "version": 1,
            "code": letter["code"],
            "docs.name": "errors",
            "destination": self.owner.get("/destinations")["results"][0]["id"],
            "letter.number": int(letter["id"]),
            "delivery.number": int(self.owner.get("/deliveries")["results"][0]["id"]),
        }


def changed(slug: str) -> Any:
    """The rule of a demo persona with one condition more, which makes it a second version."""
    plan = {"op": "trait", "path": "plan", "cmp": "in", "value": ["trial", "team", "free"]}
    return {"v": 1, "rule": {"op": "all", "of": [PERSONAS[slug][1], plan]}}


def batches(count: int, size: int = 200) -> list[list[Any]]:
    """The demo's visitors, spread over the minutes before now."""
    events = list(islice(visitors(random.Random(7)), count))
    now = datetime.now(UTC)
    for place, event in enumerate(events):
        event["messageId"] = uuid.uuid4().hex
        event["timestamp"] = (now - timedelta(seconds=0.7 * (count - place))).isoformat()
    return [events[start : start + size] for start in range(0, count, size)]


def broken(number: int) -> Any:
    """An event that is accepted and cannot be stored."""
    properties = {"product": "Lamp", "note": "\x00"}
    return {"type": "track", "event": "cart_added", "userId": f"visitor-{number:03d}", "properties": properties}


def addresses(known: dict[str, Any], *, of_projects: bool | None = None) -> dict[str, str]:
    """Every page of the product by its name. What `known` lacks leaves a page out: see `lacking`."""
    return {name: path for name, path in _all(known).items() if path and of_projects in (None, "/projects/" in path)}


def lacking(known: dict[str, Any]) -> set[str]:
    """Pages whose address cannot be made of what is known."""
    return {name for name, path in _all(known).items() if not path}


def _all(known: dict[str, Any]) -> dict[str, str]:
    found = {}
    for name, words in _named():
        given = {word: known.get(f"{name}.{word}", known.get(word, "")) for word in words}
        found[name] = reverse(name, kwargs=given) if all(given.values()) else ""
    return found


def _named() -> list[tuple[str, list[str]]]:
    rows = [(name, rows[0][0][0][1]) for name, rows in get_resolver().reverse_dict.lists() if isinstance(name, str)]
    return sorted((name, words) for name, words in rows if name not in NO_PAGES)
