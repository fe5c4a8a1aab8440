"""A pytest plugin: with CI=true nothing may be skipped. A suite that lacks its program is a hole, not a success.

Only tests of data that is no part of the project may be, and say so: `pytest.skip(f"{NOT_OURS}...")`.
"""

import os

import pytest

NOT_OURS = "not part of the project: "


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = [report for report in reporter.stats.get("skipped", []) if NOT_OURS not in str(report.longrepr)]
    if skipped and os.environ.get("CI") == "true":
        reporter.write_line(f"\n{len(skipped)} skipped, and CI=true: that counts as a failure.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
