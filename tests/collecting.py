"""A pytest plugin: Python's garbage collector does not look through everything that was imported again and again.

Django, hypothesis and thousands of tests are some hundred thousand objects that live to the end.
"""

import gc

import pytest

gc.set_threshold(20_000, 20, 20)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
