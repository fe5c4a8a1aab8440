"""One Chromium and one furnished project for all browser tests; without Chromium they are skipped by name."""

from collections.abc import Iterator

import pytest

from tests.browser import axe
from tests.browser.chromium import CHROMIUM, Chromium
from tests.browser.person import Person
from tests.browser.shop import Shop
from tests.stack import Stack


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    """Before an installation is started and furnished for it."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def shop(stack: Stack) -> Shop:
    shop = Shop(stack)
    shop.furnish()
    return shop


@pytest.fixture(scope="module")
def visitor(shop: Shop, chromium: Chromium) -> Person:
    """Not signed in; every page is prepared for axe-core."""
    if not axe.SCRIPT.exists():
        pytest.skip("needs axe-core (make interop)")
    axe.install(chromium)
    return Person(chromium, shop.stack.url)


@pytest.fixture(scope="module")
def operator(shop: Shop, visitor: Person) -> Person:
    """The administrator of the installation."""
    visitor.sign_in(shop.stack.running.admin_user, shop.stack.running.admin_password)
    return visitor
