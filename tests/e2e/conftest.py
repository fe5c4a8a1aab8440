"""The installation that the whole run shares, as a server and as a browser may call it."""

from collections.abc import Iterator

import pytest

from tests.e2e import wellness
from tests.e2e.calling import Caller
from tests.stack import Stack

_ill_since: list[str] = []  # the first module that has left the installation so


@pytest.fixture(autouse=True)
def while_well(request: pytest.FixtureRequest) -> None:
    """What is wrong with the installation is not the fault of all who come after."""
    if _ill_since and "stack" in request.fixturenames:
        pytest.fail(f"not tried: the installation is not well since {_ill_since[0]}", pytrace=False)


@pytest.fixture(scope="module")
def left_well(request: pytest.FixtureRequest, stack: Stack) -> Iterator[None]:
    """For tests that kill or stop parts: in the end all is well again, or it is said what is not."""
    yield
    try:
        wellness.require(stack)
    except AssertionError:
        _ill_since.append(request.node.nodeid)
        raise


@pytest.fixture(scope="session")
def server(stack: Stack) -> Caller:
    """Alice's backend, with the secret key."""
    return Caller(stack.url, stack.secret_key)


@pytest.fixture(scope="session")
def browser(stack: Stack) -> Caller:
    """Somebody's browser, with the publishable key."""
    return Caller(stack.url, stack.publishable_key)
