from collections.abc import Callable, Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tests.stream.listening import Listening
from tests.stream.serving import served
from tests.stream.shop import Shop, opened

Listen = Callable[..., Listening]


@pytest.fixture(scope="session")
def port(django_db_setup: None) -> Iterator[int]:
    """One server for all tests; it stops before the test database goes."""
    with served() as number:
        yield number


@pytest.fixture
def db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Without the usual transaction: the server has connections of its own. Every fixture removes what it made, which
    takes milliseconds; emptying every table of the test database takes half a second."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def shop(db: None) -> Iterator[Shop]:
    """Alice's."""
    with opened("shop") as alices:
        yield alices


@pytest.fixture
def elsewhere(db: None) -> Iterator[Shop]:
    """Charlie's."""
    with opened("elsewhere") as charlies:
        yield charlies


@pytest.fixture
def listen(port: int) -> Iterator[Listen]:
    """Opens streams, and closes them after the test."""
    opened: list[Listening] = []

    def open_one(*args: object, **kwargs: object) -> Listening:
        opened.append(Listening(port, *args, **kwargs))  # type: ignore[arg-type]  # handed on as they are
        return opened[-1]

    yield open_one
    for listening in opened:
        listening.close()
