"""A client that speaks ASGI to the application of this process, and a shop whose keys it may use."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import pytest
from django.apps import apps
from django.db import connection, transaction
from django.test import Client
from pytest_django import DjangoDbBlocker

from ingestion.accepting.inbox import inbox
from ingestion.models import Batch
from ingestion.signals import accepted
from keys.auth import ring
from keys.models import Project
from keys.services import issue_key
from persona.asgi import application

INGEST = "/api/v2/pipeline/ingest"
CONFIG = "/api/v2/pipeline/config"
EVENT = {"type": "track", "event": "checkout_completed", "properties": {"value": 4900}}


class Got(NamedTuple):
    """An answer; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        """Of a problem document."""
        assert self.headers["content-type"] == "application/problem+json", self.body
        document = self.json()
        assert document["status"] == self.status
        assert document["type"].endswith(document["code"])
        return str(document["code"])


def call(
    method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"", chunks: int = 1
) -> Got:
    """One request through raw ASGI, its body in some chunks."""
    lines = {"host": "testserver", **(headers or {})}
    return asyncio.run(_call(method, path, lines, body, chunks))


async def _call(method: str, path: str, headers: Mapping[str, str], body: bytes, chunks: int) -> Got:
    size = max(1, -(-len(body) // chunks))
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    incoming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    incoming[-1]["more_body"] = False
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not incoming:
            await asyncio.Event().wait()  # the client stays until it is answered
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    await application(
        {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
        },
        receive,
        send,
    )
    start = sent[0]
    names = [name for name, _ in start["headers"]]
    assert len(names) == len(set(names)), f"a header twice: {names}"
    found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
    return Got(start["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


def call_view(method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Got:
    """The same request through Django's URLs and middleware, as a WSGI server would."""
    given = {"host": "testserver", **(headers or {})}
    media_type = given.pop("content-type", "application/json")
    encoded = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in given.items()}
    answer = Client().generic(method, path, body, media_type, **encoded)  # type: ignore[arg-type]  # the stubs see flags
    return Got(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content)


def plain(answer: Got) -> Got:
    """Without what differs from request to request."""
    moving = {"ratelimit-remaining": "n", "ratelimit-reset": "n"}
    headers = {name: moving.get(name, value) for name, value in answer.headers.items()}
    if b'"batchId"' in answer.body:
        document = answer.json()
        assert document.pop("batchId").startswith("b_")
        return Got(answer.status, headers, msgspec.json.encode(document))
    return Got(answer.status, headers, answer.body)


class Shop:
    """A project with its keys."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.pk = self.key("pk")
        self.sk = self.key("sk")

    def key(self, kind: Any, **given: Any) -> str:
        _, secret = issue_key(project=self.project, kind=kind, name=kind, actor="test", **given)
        return secret

    def ingest(
        self, *events: Any, key: str | None = None, headers: Mapping[str, str] | None = None, **more: Any
    ) -> Got:
        """One batch of `events`."""
        body = msgspec.json.encode({"batch": events, **more})
        lines = {"authorization": f"Bearer {key or self.pk}", **(headers or {})}
        return call("POST", INGEST, headers=lines, body=body)

    def post(self, body: bytes, **headers: str) -> Got:
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        return call("POST", INGEST, headers={"authorization": f"Bearer {self.pk}", **lines}, body=body)

    def rows(self) -> list[Batch]:
        """What lies in the inbox, oldest first."""
        return list(Batch.objects.filter(project=self.project).order_by("id"))

    def sweep(self) -> None:
        """What it was sent is gone; its keys stay."""
        _delete([Batch._meta.db_table], self.project)


def _tables() -> Iterator[str]:
    """Those whose rows belong to a project."""
    for model in apps.get_models():
        if any(field.column == "project_id" for field in model._meta.local_concrete_fields):
            yield model._meta.db_table


# The way of Django's models, which looks for what may refer to it, takes six times as long, after each of a thousand
# tests.
def _delete(tables: Iterable[str], project: Project) -> None:
    """The project's rows, in one message and one transaction."""
    with connection.cursor() as cursor:
        cursor.execute(";".join(f"delete from {table} where project_id = {project.pk}" for table in tables))


def _forget(project: Project) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "delete from segments_personaversion where persona_id in"
            f" (select id from segments_persona where project_id = {project.pk});"
            f"delete from keys_project where id = {project.pk}"
        )
        _delete(_tables(), project)


@contextmanager
def opened(slug: str, **settings: int) -> Iterator[Shop]:
    """A new project, committed; gone without a trace afterwards."""
    project = Project.objects.create(slug=slug, name=slug, settings=settings)
    try:
        yield Shop(project)
    finally:
        _forget(project)


@pytest.fixture(scope="session")
def way_in(django_db_setup: None) -> Iterator[None]:
    """The inbox's and the ring's threads, ended before the test database goes. Nobody is told of new batches."""
    told = accepted.receivers
    accepted.receivers = []
    accepted.sender_receivers_cache.clear()
    inbox.start()
    yield
    inbox.stop()
    ring.close()
    accepted.receivers = told
    accepted.sender_receivers_cache.clear()


@pytest.fixture
def db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The test database without a transaction around the test: inbox and ring have connections of their own."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def shop(db: None, way_in: None) -> Iterator[Shop]:
    """Alice's."""
    with opened("alices") as alices:
        yield alices


@pytest.fixture(scope="module")
def lasting(django_db_setup: None, django_db_blocker: DjangoDbBlocker, way_in: None) -> Iterator[Shop]:
    """One for all tests of a module that only send something. Its keys are never paced."""
    with django_db_blocker.unblock(), opened("lasting", ingest_burst=1_000_000_000) as shop:
        yield shop


@pytest.fixture
def empty_shop(db: None, lasting: Shop) -> Iterator[Shop]:
    """The lasting one, with nothing in its inbox."""
    yield lasting
    lasting.sweep()


@pytest.fixture
def elsewhere(db: None, way_in: None) -> Iterator[Shop]:
    """Charlie's."""
    with opened("charlies") as charlies:
        yield charlies
