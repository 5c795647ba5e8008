"""What made a report: command, date, versions and machine, so that whoever reads it can repeat it."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..codegen.processor import processor_name

REPORTED_PACKAGES = ("mbrl_ros", "numpy", "scipy", "casadi", "mujoco")  # those that a result depends on


def made_by() -> str:
    """Return the command of this process, as it can be typed again, and the time (UTC)."""
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return f"Made by {command} on {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC."


def made_with() -> str:
    """Return the versions of Python and of the packages that are installed, and the machine."""
    found = [f"Python {platform.python_version()}"]
    for package in REPORTED_PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    distribution = os.environ.get("ROS_DISTRO")
    found += [f"ROS 2 {distribution}"] if distribution else []
    cores = f"{os.cpu_count()} cores, {platform.system()} on {platform.machine()}"
    return f"Versions: {', '.join(found)}. Machine: {processor_name()}, {cores}."
