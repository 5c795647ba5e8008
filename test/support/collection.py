"""Hooks of pytest: which tests are slow, and that no session is green because nothing ran.

A mark `slow(but=n)` leaves the first n cases of a test with parameters among the quick ones.

A module that skips itself while it is imported is an error (support/needs.py says why), and so is a session in which no
test was selected. pytest's own exit code for the latter, 5, counts as success with `colcon test`; the error reported
here ends the session with another one, and it stands in the result file that `colcon test-result` reads.
"""

from collections import Counter

import pytest


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items):
    """Take the mark from the cases that `slow(but=n)` excepts."""
    seen = Counter()
    for item in items:
        mark = item.get_closest_marker("slow")
        if mark is not None and mark.kwargs:
            function = item.nodeid.partition("[")[0]
            seen[function] += 1
            if seen[function] <= mark.kwargs["but"]:
                item.own_markers = [mark for mark in item.own_markers if mark.name != "slow"]


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    """Turn a skip while modules are listed or imported into an error; support/needs.py says what it would hide."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = (
            f"{report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr}\n"
            "A test module skipped itself while it was imported. With launch_testing's pytest plugin that skips all\n"
            "tests beside it. Use `pytestmark = needs(...)` of support/needs.py instead."
        )


def pytest_collection_finish(session):
    """Fail a session in which no test is left to run."""
    if not session.items:
        session.config.hook.pytest_collectreport(
            report=pytest.CollectReport(
                nodeid="test", outcome="failed", longrepr="No test was collected, or all were deselected.", result=[]
            )
        )
