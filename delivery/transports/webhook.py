"""Webhooks: one message a request, or a batch of them; signed. Anything but a 2xx is tried again."""

from collections.abc import Sequence

from delivery.outgoing import Item, Target, Verdict, usual
from persona.lib.outbound import Answer, Request
from persona.lib.signing import signature

BATCH = 1
MOST = 100
USER_AGENT = "Persona/1 (+webhook)"


def request(target: Target, items: Sequence[Item], *, now: int) -> Request:
    """`now`: ms. A batch is signed as one body."""
    batch = b",".join(item.message for item in items)
    body = items[0].message if len(items) == 1 else b'{"type":"batch","messages":[' + batch + b"]}"
    headers = {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "persona-delivery": items[0].key,
        "persona-signature": signature(target.secrets, body, now=now // 1000),
    }
    return Request(target.url, body, headers)


def verdict(items: Sequence[Item], answer: Answer) -> Verdict:
    return usual(items, answer)
