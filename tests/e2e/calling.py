"""A program that speaks HTTP to a running installation with one of its keys, and the rules that these tests use."""

import http.client
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from tests.stack import Stack, wait_for

Json = dict[str, Any]
INGEST = "/api/v2/pipeline/ingest"
CONFIG = "/api/v2/pipeline/config"
STREAM = "/api/v2/pipeline/stream"
SOON = 60.0  # seconds; what takes milliseconds may take that long on a busy machine


class Got(NamedTuple):
    """An answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of a problem document, whose form is checked."""
        assert self.headers["content-type"] == "application/problem+json", self.body
        document = self.json()
        assert document["status"] == self.status
        assert document["detail"]
        return str(document["code"])


class Caller:
    """One key of one project. Each request takes a connection of its own, so that nothing outlives a killed server."""

    def __init__(self, url: str, key: str, project: str = "demo") -> None:
        self.url = url
        self.key = key
        self.root = f"/api/projects/{project}"

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        wait: float = SOON,
    ) -> Got:
        """One request; a body that is not bytes is sent as JSON."""
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **(headers or {})}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=wait)
        try:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            got = Got(response.status, response.headers, response.read())
        finally:
            connection.close()
        assert got.headers["x-request-id"]
        return got

    def get(self, path: str) -> Any:
        """The JSON of a 200 from the management API."""
        got = self.ask("GET", self.root + path)
        assert got.status == 200, got
        return got.json()

    def ingest(self, *events: object, **more: object) -> Got:
        return self.ask("POST", INGEST, {"batch": events, **more})

    def applied(self, got: Got) -> Json:
        """What became of an accepted batch, once it is applied."""
        assert got.status == 202, got
        path = f"/api/v2/pipeline/batches/{got.json()['batchId']}"

        def state() -> Json | None:
            answer: Json = self.ask("GET", path).json()
            return answer if answer["status"] == "applied" else None

        return wait_for(state, "the batch to be applied", SOON)

    def persona(self, slug: str, rule: Json) -> str:
        """Create it, and wait until it is live."""
        made = self.ask("POST", f"{self.root}/personas", {"slug": slug, "rule": {"v": 1, "rule": rule}})
        assert made.status == 201, made
        wait_for(lambda: self.get(f"/personas/{slug}")["status"] == "live", f"{slug} to be live", SOON)
        return slug

    def profile(self, reference: str) -> Json:
        got: Json = self.get(f"/profiles/{quote(reference, safe='')}")
        return got

    def caught_up(self) -> None:
        """Everything that was accepted is applied and judged."""
        slug = self.get("/personas")["results"][0]["slug"]
        wait_for(lambda: self.get(f"/personas/{slug}")["lag_ms"] == 0, "everything to be judged", SOON)

    def members(self, slug: str) -> set[str]:
        """Every external id of every member."""
        found: set[str] = set()
        cursor = ""
        while True:
            page = self.get(f"/personas/{slug}/members?limit=1000{cursor}")
            found.update(*(member["external_ids"] for member in page["results"]))
            if page["next"] is None:
                return found
            cursor = f"&cursor={quote(page['next'])}"


def made_key(stack: Stack, project: str = "demo", kind: str = "sk") -> str:
    """A new key of a project."""
    made = stack.manage("create_key", project, "--kind", kind, "--name", "made by a test")
    assert made.returncode == 0, made
    return made.stdout.strip()


def count(event: str, value: int, window: str | None = None, cmp: str = "gte", **more: Any) -> Json:
    """A rule about the number of events, or about the aggregate in `more`."""
    node = {"op": "event", "event": event, "cmp": cmp, "value": value, **more}
    return {**node, "window": {"last": window}} if window else node


def track(event: str, user: str, **more: Any) -> Json:
    return {"type": "track", "event": event, "userId": user, **more}
