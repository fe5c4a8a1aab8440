"""One process is a whole installation: it hands out its own style sheets, scripts and pictures."""

import pytest
from django.test import Client


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("persona.css", "text/css"),
        ("live.js", "text/javascript"),
        ("icons.svg", "image/svg+xml"),
        ("admin/css/base.css", "text/css"),
    ],
)
def test_an_asset_comes_whole_and_only_when_it_has_changed(path: str, kind: str, client: Client) -> None:
    answer = client.get(f"/static/{path}")
    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (200, kind)
    assert not answer.streaming
    assert len(answer.content) == int(answer["Content-Length"]) > 0
    again = client.get(f"/static/{path}", headers={"If-Modified-Since": answer["Last-Modified"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["no-such.css", "../persona/settings.py", "..%2fpersona/settings.py", "/etc/passwd", ""]
)
def test_nothing_else_is_handed_out(path: str, client: Client) -> None:
    assert client.get(f"/static/{path}").status_code in (400, 404)


def test_the_sdk_may_be_loaded_by_pages_of_any_origin(client: Client) -> None:
    answer = client.get("/assets/sdk.js", headers={"Origin": "https://shop.example"})
    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (200, "text/javascript")
    assert b"/api/v2/pipeline/ingest" in answer.content
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Cross-Origin-Resource-Policy"] == "cross-origin"
    again = client.get("/assets/sdk.js", headers={"If-Modified-Since": answer["Last-Modified"]})
    assert (again.status_code, again.content) == (304, b"")
