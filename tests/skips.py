"""A pytest plugin: with CI=true nothing may be skipped. A suite that lacks its program is a hole, not a success."""

import os

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and os.environ.get("CI") == "true":
        reporter.write_line(f"\n{len(skipped)} skipped, and CI=true: that counts as a failure.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
