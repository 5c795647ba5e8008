"""Every test session talks to nobody else: its own DDS domain on this machine only, never a robot's."""

import logging
import os
import tempfile

import pytest

from support.collection import (  # noqa: F401  # pytest's hooks
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_make_collect_report,
)
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
