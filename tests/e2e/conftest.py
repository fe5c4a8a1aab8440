"""The installation that the whole run shares, as a server and as a browser may call it."""

import pytest

from tests.e2e.calling import Caller
from tests.stack import Stack


@pytest.fixture(scope="session")
def server(stack: Stack) -> Caller:
    """Alice's backend, with the secret key."""
    return Caller(stack.url, stack.secret_key)


@pytest.fixture(scope="session")
def browser(stack: Stack) -> Caller:
    """Somebody's browser, with the publishable key."""
    return Caller(stack.url, stack.publishable_key)
