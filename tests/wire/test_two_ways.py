"""The whole corpus of all wires, through raw ASGI and through Django: the same status, headers and body.

What each of them has to say is in the corpus; the tests of each wire compare it.
"""

from pathlib import Path

import pytest

from tests.ingestion.calling import INGEST, Shop, call, call_view, db, plain, shop, way_in
from tests.wire.test_pipeline import case

__all__ = ["db", "shop", "way_in"]  # fixtures

PAGE = "https://shop.example"
CORPUS = sorted(Path(__file__).parent.glob("*/*.json"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_asgi_and_django_answer_alike(path: Path, shop: Shop) -> None:
    body, found = case(path)
    headers = {"authorization": f"Bearer {shop.pk}", "x-request-id": "same", "origin": PAGE}
    address = found.get("path", INGEST)
    raw, view = (plain(way("POST", address, headers=headers, body=body)) for way in (call, call_view))
    assert raw == view
    assert raw.headers["access-control-allow-origin"] == PAGE
