"""A small shop's visitors, for the demo project: sends events through the HTTP ingest at a gentle rate.

Run by `up` as a process of its own (`python -m persona.demo.traffic`);
PERSONA_URL and PERSONA_KEY say where to. No Django.
"""

import http.client
import os
import random
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from persona.lib.log import configure_logging, get_logger

log = get_logger(__name__)

VISITORS = 40
ACTIVE = 6  # visitors in the shop at the same time
PAUSE = 0.7  # seconds between two events of the whole shop, on average
PRODUCTS = (
    ("Lamp", "home", 39),
    ("Chair", "home", 120),
    ("Kettle", "kitchen", 55),
    ("Knife", "kitchen", 85),
    ("Tent", "outdoor", 240),
)
PAGES = ("/", "/pricing", "/pricing/teams", "/sale", "/sale/lamps", "/about")
PLANS = ("free", "trial", "trial", "team")
COUNTRIES = ("TR", "DE", "FR", "GB", "US")

Event = dict[str, Any]


def visit(chance: random.Random, visitor: int) -> Iterator[Event]:
    """The events of one visit, without times and ids: look around, perhaps fill a cart, perhaps pay."""
    who = {"userId": f"visitor-{visitor:03d}"}
    traits = {"plan": PLANS[visitor % len(PLANS)], "country": COUNTRIES[visitor % len(COUNTRIES)]}
    yield {**who, "type": "identify", "traits": traits}
    cart = uuid.UUID(int=chance.getrandbits(128)).hex[:12]
    total = 0
    for _ in range(chance.randint(2, 7)):
        if chance.random() < 0.45:
            yield {**who, "type": "track", "event": "page_viewed", "properties": {"path": chance.choice(PAGES)}}
            continue
        product, category, price = chance.choice(PRODUCTS)
        shown = {"product": product, "category": category, "price": price}
        yield {**who, "type": "track", "event": "product_viewed", "properties": shown}
        if chance.random() < 0.4:
            total += price
            yield {**who, "type": "track", "event": "cart_added", "properties": {**shown, "cart_id": cart}}
    if total and chance.random() < 0.5:
        yield {**who, "type": "track", "event": "checkout_completed", "properties": {"cart_id": cart, "total": total}}


def shop(chance: random.Random) -> Iterator[Event]:
    """Visits without end, a few of them interleaved."""
    visits: list[Iterator[Event]] = []
    while True:
        while len(visits) < ACTIVE:
            visits.append(visit(chance, chance.randrange(VISITORS)))
        chosen = chance.choice(visits)
        event = next(chosen, None)
        if event is None:
            visits.remove(chosen)
        else:
            yield event


class Sender:
    """Sends one batch until it is accepted: the ids in it make every repetition harmless."""

    def __init__(self, url: str, key: str) -> None:
        self._address = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None

    def send(self, event: Event) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        body = msgspec.json.encode(
            {"batch": [{**event, "messageId": uuid.uuid4().hex, "timestamp": now}], "sentAt": now}
        )
        while (wait := self._try(body)) is not None:
            time.sleep(wait)

    def _try(self, body: bytes) -> float | None:
        """None when it is done with; else the seconds to wait before the next attempt."""
        try:
            response = self._post(body)
        except (OSError, http.client.HTTPException):
            self._connection = None
            return 1.0  # the web process starts, or starts again
        if response.status == http.HTTPStatus.ACCEPTED:
            return None
        log.warning("traffic.refused", status=response.status)
        return float(response.headers.get("Retry-After") or 10)

    def _post(self, body: bytes) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=10)
        self._connection.request("POST", "/api/v2/pipeline/ingest", body, self._headers)
        response = self._connection.getresponse()
        response.read()
        return response


def main() -> None:
    configure_logging("WARNING", colors=False)
    sender = Sender(os.environ["PERSONA_URL"], os.environ["PERSONA_KEY"])
    chance = random.Random()  # noqa: S311 - shoppers, not secrets
    for event in shop(chance):
        sender.send(event)
        time.sleep(chance.expovariate(1 / PAUSE))


if __name__ == "__main__":
    main()
