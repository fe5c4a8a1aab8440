"""One Chromium for all browser tests; without Chromium they are skipped by name."""

from collections.abc import Iterator

import pytest

from tests.browser.chromium import CHROMIUM, Chromium


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()
