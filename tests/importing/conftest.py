"""The installation that the whole run shares, as Alice's backend calls it."""

from tests.e2e.conftest import server

__all__ = ["server"]  # a fixture
