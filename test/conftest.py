"""Every test session talks to nobody else: its own DDS domain on this machine only, never a robot's.

And no session is green because nothing ran: a module that skips itself while it is imported is an error, and so is a session
in which no test was selected. `colcon test` takes pytest's own exit code for that (5) for success; what is reported here
fails the session and stands in the result file that colcon reads.
"""

import logging
import os
import tempfile

import pytest

from support.domains import new_domain

os.environ["ROS_DOMAIN_ID"] = str(new_domain(keep=True))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"  # a message field of the wrong type raises here, as it will on the robot
_logs = tempfile.TemporaryDirectory(prefix="mbrl-test-log-")
os.environ["ROS_LOG_DIR"] = _logs.name
os.environ["MPLBACKEND"] = "Agg"

from mbrl_ros.cli.environment import prepare  # noqa: E402  (after the variables above, before anything imports rclpy)

prepare()


@pytest.fixture(autouse=True)
def _log_level_of_its_own():
    """A command that quietens the log for its process must not quieten the next test's."""
    logger = logging.getLogger("mbrl_ros")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    """Turn a skip raised while modules are listed or imported into an error; see support/needs.py for what it would hide."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = (
            f"{report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr}\n"
            "A test module skipped itself while it was imported. Under launch_testing's pytest plugin that skips every\n"
            "test beside it. Use `pytestmark = needs(...)` of support/needs.py instead."
        )


def pytest_collection_finish(session):
    """Fail a session in which no test is left to run."""
    if not session.items:
        session.config.hook.pytest_collectreport(
            report=pytest.CollectReport(
                nodeid="test", outcome="failed", longrepr="No test was collected, or all were deselected.", result=[]
            )
        )
