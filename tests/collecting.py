"""A pytest plugin: what thousands of tests cost before the first one runs, and the garbage collector's part of all.

Django, hypothesis and the tests are some hundred thousand objects that live to the end: nobody looks at them again.
Modules of tests are compiled with their assertions rewritten, once: of a parallel run's processes, each begins with a
part of its own, and finds what the others have written when it comes to theirs.
"""

import gc
import importlib
import os
from pathlib import Path

import pytest

gc.set_threshold(100_000, 20, 20)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    worker, workers = os.environ.get("PYTEST_XDIST_WORKER", ""), os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
    if not worker or session.config.args != session.config.getini("testpaths"):
        return
    for path in sorted(Path("tests").rglob("test_*.py"))[int(worker.removeprefix("gw")) :: int(workers)]:
        importlib.import_module(".".join(path.with_suffix("").parts))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
