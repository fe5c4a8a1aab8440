"""The places in front of Django: a crowd is answered by few threads, or told when to come back."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

import msgspec
import pytest
from asgiref.sync import sync_to_async

from persona import errors, places
from persona.lib.wire import Receive, Scope, Send
from persona.places import Places
from tests.waiting import DEADLINE

Message = MutableMapping[str, Any]


class Shop:
    """An application that works in a thread, as Django does, and remembers how many did so at once."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.at_work = self.most = 0
        self.threads: set[int] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        body = (await receive())["body"]
        try:
            await sync_to_async(self.work)()
        finally:
            self.at_work -= 1
        if scope["path"] == "/broken":
            raise RuntimeError("as if Django itself had failed")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def busy(self) -> None:
        """Somebody has a place, and whoever came before that waits in the line."""
        while not self.at_work:
            await asyncio.sleep(0)

    def work(self) -> None:
        self.threads.add(threading.get_ident())
        assert self.opened.wait(DEADLINE)


class Visit:
    """One request: what it sends, and what it was answered."""

    def __init__(self, path: str = "/api/things", *chunks: bytes, whole: bool = True, reads: bool = True) -> None:
        self.scope: Message = {"type": "http", "path": path, "method": "POST", "headers": []}
        self.coming = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        if whole:
            self.coming.append({"type": "http.request", "body": b"", "more_body": False})
        self.reads = reads
        self.answers: list[Message] = []

    async def receive(self) -> Message:
        if not self.coming:
            await asyncio.Event().wait()
        return self.coming.pop(0)

    async def send(self, message: Message) -> None:
        if not self.reads:
            await asyncio.Event().wait()
        self.answers.append(message)

    def to(self, door: Places) -> Coroutine[Any, Any, None]:
        return door(self.scope, self.receive, self.send)

    @property
    def status(self) -> int:
        return int(self.answers[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.answers[1:])

    @property
    def code(self) -> str:
        return str(msgspec.json.decode(self.body)["code"])

    def header(self, name: bytes) -> bytes:
        return bytes(dict(self.answers[0]["headers"])[name])


@pytest.fixture
def shop() -> Shop:
    return Shop()


def run(shop: Shop, story: Callable[[Places], Awaitable[None]], *, count: int = 1) -> None:
    async def told() -> None:
        async with asyncio.timeout(DEADLINE):
            await story(Places(shop, places=count, refused=errors.before_django))

    asyncio.run(told())


def test_a_crowd_is_answered_by_few_threads(shop: Shop) -> None:
    visits = [Visit("/api/things", b"%d" % n) for n in range(100)]

    async def story(door: Places) -> None:
        shop.opened.set()
        await asyncio.gather(*(visit.to(door) for visit in visits))

    run(shop, story, count=3)
    assert [(visit.status, visit.body) for visit in visits] == [(200, b"%d" % n) for n in range(100)]
    assert shop.most == 3
    assert len(shop.threads) <= 3


@pytest.mark.parametrize("slow", [Visit(whole=False), Visit(reads=False)], ids=["sends", "reads"])
def test_whoever_is_slow_holds_no_place(slow: Visit, shop: Shop) -> None:
    others = [Visit() for _ in range(3)]

    async def story(door: Places) -> None:
        shop.opened.set()
        task = asyncio.create_task(slow.to(door))
        for other in others:
            await other.to(door)
        task.cancel()

    run(shop, story)
    assert [other.status for other in others] == [200, 200, 200]


def test_a_large_answer_is_not_held_in_memory(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a slow reader does hold a place; the server cuts who takes nothing."""
    monkeypatch.setattr(places, "KEPT_BYTES", 10)
    slow, other = Visit("/api/things", b"x" * 11, reads=False), Visit("/api/things", b"x" * 11)

    async def story(door: Places) -> None:
        shop.opened.set()
        task = asyncio.create_task(slow.to(door))
        await shop.busy()
        waiting = asyncio.create_task(other.to(door))
        assert not (await asyncio.wait({waiting}, timeout=0.05))[0]
        task.cancel()
        await waiting

    run(shop, story)
    assert (other.status, other.body) == (200, b"x" * 11)


def test_a_failure_gives_its_place_back(shop: Shop) -> None:
    other = Visit()

    async def story(door: Places) -> None:
        shop.opened.set()
        with pytest.raises(RuntimeError):
            await Visit("/broken").to(door)
        await other.to(door)

    run(shop, story)
    assert other.status == 200


def test_a_line_that_is_full_takes_nobody_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST_WAITING", 2)
    served, refused = [Visit() for _ in range(3)], [Visit(), Visit("/a-page")]

    async def story(door: Places) -> None:
        tasks = [asyncio.create_task(visit.to(door)) for visit in served]
        await shop.busy()
        for visit in refused:
            await visit.to(door)
        shop.opened.set()
        await asyncio.gather(*tasks)

    run(shop, story)
    assert [visit.status for visit in served] == [200, 200, 200]
    assert [(visit.status, visit.header(b"retry-after")) for visit in refused] == [(503, b"1"), (503, b"1")]
    assert refused[0].code == "service.busy"
    assert refused[0].header(b"x-request-id")
    assert refused[1].body.startswith(b"<!doctype html>")


def test_nobody_waits_for_ever(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "PATIENCE", 0.01)
    first, second, third = Visit(), Visit(), Visit()

    async def story(door: Places) -> None:
        task = asyncio.create_task(first.to(door))
        await shop.busy()
        await second.to(door)
        shop.opened.set()
        await task
        await third.to(door)  # the place was not lost

    run(shop, story)
    assert (first.status, second.status, third.status) == (200, 503, 200)
    assert second.code == "service.busy"


def test_a_body_that_does_not_come(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "READING", 0.01)
    visit = Visit(whole=False)
    run(shop, visit.to)
    assert (visit.status, visit.code, visit.header(b"connection")) == (408, "request.timeout", b"close")


def test_a_body_that_is_too_large(shop: Shop) -> None:
    visit = Visit("/api/things", b"x" * places.BODY_BYTES, b"x")
    run(shop, visit.to)
    assert (visit.status, visit.code) == (413, "request.too_large")


def test_the_bodies_of_all_together_are_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "HELD_BYTES", 100)
    first, second = Visit("/api/things", b"x" * 60), Visit("/api/things", b"x" * 60)

    async def story(door: Places) -> None:
        task = asyncio.create_task(first.to(door))
        await shop.busy()
        await second.to(door)
        shop.opened.set()
        await task
        assert (second.status, second.code) == (503, "service.busy")
        second.coming, second.answers = Visit("/api/things", b"x" * 60).coming, []
        await second.to(door)

    run(shop, story)
    assert (first.status, second.status) == (200, 200)


def test_a_client_that_left_is_not_answered(shop: Shop) -> None:
    visit = Visit(whole=False)
    visit.coming = [{"type": "http.disconnect"}]
    run(shop, visit.to)
    assert visit.answers == []
