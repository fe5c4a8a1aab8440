"""The rate limit through Redis, as a client meets it."""

from pytest_django import Settings

from keys.limits import charging
from tests.ingestion.calling import EVENT, Shop, db, shop, way_in
from tests.keys.test_leases import server, url

__all__ = ["db", "server", "shop", "url", "way_in"]  # fixtures


def test_a_bucket_is_shared_and_told(shop: Shop, url: str, settings: Settings) -> None:
    settings.REDIS_URL = url
    shop.project.settings = {"ingest_rate": 1, "ingest_burst": 10}
    shop.project.save()
    key = shop.key("sk")
    first = shop.ingest(*[EVENT] * 4, key=key)
    assert (first.status, first.headers["ratelimit-limit"], first.headers["ratelimit-remaining"]) == (202, "10", "6")
    charging._together.cache_clear()  # another process
    assert shop.ingest(*[EVENT] * 5, key=key).status == 202
    refused = shop.ingest(*[EVENT] * 9, key=key)
    assert (refused.status, refused.code) == (429, "rate.limited")
    assert int(refused.headers["retry-after"]) >= 5
    unreadable = shop.post(b"{", authorization=f"Bearer {key}")
    assert (unreadable.status, unreadable.code) == (400, "request.not_json")
    assert len(shop.rows()) == 2


def test_without_redis_events_are_taken(shop: Shop, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert shop.ingest(EVENT).status == 202
