"""The personas of the demo shop: what its visitors (persona.demo.traffic) enter and leave within minutes."""

from typing import Any

Node = dict[str, Any]


def _count(event: str, cmp: str, value: int, window: str, where: Node | None = None) -> Node:
    node: Node = {"op": "event", "event": event, "cmp": cmp, "value": value, "window": {"last": window}}
    return {**node, "where": where} if where else node


def _path(prefix: str) -> Node:
    return {"op": "trait", "path": "path", "cmp": "prefix", "value": prefix}


PERSONAS: dict[str, tuple[str, Node]] = {
    "browsing_now": ("Browsing now", _count("product_viewed", "gte", 1, "PT1M")),
    "high_intent": (
        "High intent",
        {
            "op": "all",
            "of": [
                _count("page_viewed", "gte", 3, "PT10M", _path("/pricing")),
                {"op": "not", "of": _count("checkout_completed", "gte", 1, "PT10M")},
            ],
        },
    ),
    "cart_waiting": (
        "Cart waiting",
        {
            "op": "all",
            "of": [
                _count("cart_added", "gte", 1, "PT3M"),
                _count("checkout_completed", "lte", 0, "PT3M"),
            ],
        },
    ),
    "trial_explorers": (
        "Trial explorers",
        {
            "op": "all",
            "of": [
                {"op": "trait", "path": "plan", "cmp": "eq", "value": "trial"},
                _count("product_viewed", "gte", 3, "PT5M"),
            ],
        },
    ),
    "sale_or_big_spender": (
        "Sale or big spender",
        {
            "op": "any",
            "of": [
                _count("page_viewed", "gte", 2, "PT2M", _path("/sale")),
                _count(
                    "checkout_completed",
                    "gte",
                    1,
                    "PT15M",
                    {"op": "trait", "path": "total", "cmp": "gte", "value": 200},
                ),
            ],
        },
    ),
}
