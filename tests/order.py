"""A pytest plugin: what one process of a parallel run does together, and what comes first.

A file's tests stay together, with the servers that they start. So do all that use the installation which is there for
the whole run: to start one takes ten seconds of processor time. What waits for real programs comes first, so that no
process is left alone with it in the end; beside it comes what computes for long. The marks of `--dist loadgroup` would
say it too: they are lost in pytest 9.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARING = (
    "tests/api/test_contract", "tests/e2e/", "tests/importing/test_command", "tests/replay/",
    "tests/runtime/test_commands", "tests/runtime/test_web", "tests/sdks/test_end_to_end",
    "tests/browser/test_sdk_installation",
)  # fmt: skip
CRUEL = ("tests/runtime/test_full_disk", "tests/runtime/test_up")
# Of what shares an installation: the one ends it, the other asks it for everything, and changes what it may.
LAST = ("tests/runtime/test_up", "tests/api/test_contract")
FIRST = (
    "tests/interop/", "the installation", "what is ill-treated", "tests/runtime/", "tests/sdks/", "tests/rules/",
    "tests/browser/", "tests/stream/",
)  # fmt: skip


def scope(nodeid: str) -> str:
    """What is done by one process, in the order of its tests."""
    if nodeid.startswith(SHARING):
        return "the installation"
    return "what is ill-treated" if nodeid.startswith(CRUEL) else nodeid.partition("::")[0]


def place(nodeid: str) -> int:
    return next((number for number, name in enumerate(FIRST) if scope(nodeid).startswith(name)), len(FIRST))


class Together(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist comes without types
    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (place(item.nodeid), item.nodeid.startswith(LAST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # it would put last what has few tests, which are those that take long
    return Together(config, log)
