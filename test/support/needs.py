"""What a test needs and may be missing: a mark that skips it with the reason and the remedy.

    pytestmark = needs("rclpy", "mujoco")
    if present("rclpy"):
        from std_msgs.msg import String

No module skips itself while it is imported (`pytest.importorskip` or `pytest.skip` at its top level). The pytest plugin
of launch_testing, which every ROS 2 installation loads, imports the test modules while pytest still lists them, and a
skip raised there skips the list: of the whole session with pytest 7, of the folder with later ones. Nothing is
collected then, and nothing fails.
"""

import importlib.metadata
import importlib.util
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from mbrl_ros.cli.main import missing
from mbrl_ros.codegen.compiler import find_compiler
from support import SHARED
from support.browser import browser

_FROM_ROS = "source a ROS 2 installation; it is not on PyPI"


def _distribution(name: str) -> bool:
    """Whether a Python distribution is installed."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _prefix(package: str) -> Path | None:
    """Where a ROS package is installed, as ROS 2 finds it; None where it is not."""
    if importlib.util.find_spec("ament_index_python") is None:
        return None
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        return Path(get_package_prefix(package))
    except PackageNotFoundError:
        return None


def _ros2_control() -> bool:
    """Whether ros2_control is installed and its node can be loaded."""
    packages = ("controller_manager", "forward_command_controller", "joint_state_broadcaster")
    if None in map(_prefix, packages):
        return False
    node = _prefix("controller_manager") / "lib" / "controller_manager" / "ros2_control_node"
    if shutil.which("ldd") is None:
        return node.is_file()
    return "not found" not in subprocess.run(["ldd", node], capture_output=True, text=True).stdout


def sdf_tool() -> str | None:
    """The command of Gazebo that has `sdf`: gz, or ign with older versions."""
    for tool in ("gz", "ign"):
        if shutil.which(tool) and subprocess.run([tool, "sdf", "--versions"], capture_output=True).returncode == 0:
            return tool
    return None


# What is no Python module: (whether it is there, what to do otherwise).
_OTHERS: dict[str, tuple[Callable[[], bool], str]] = {
    "a browser": (lambda: browser() is not None, "install chromium"),
    "a C++ compiler": (lambda: find_compiler() is not None, "install g++ or clang++"),
    "an x86-64 processor": (lambda: platform.machine() in ("x86_64", "AMD64"), "run the test on one"),
    "example-robot-data": (lambda: _distribution("example-robot-data"), "pip install 'mbrl_ros[robots]'"),
    "ros2_control": (
        _ros2_control,
        "source a ROS 2 that has it, with the libraries that `ldd ros2_control_node` names",
    ),
    "ros2 launch": (
        lambda: shutil.which("ros2") is not None and _prefix("ros2launch") is not None,
        _FROM_ROS,
    ),
    "check_urdf": (lambda: shutil.which("check_urdf") is not None, "install liburdfdom-tools"),
    "gz sdf": (lambda: sdf_tool() is not None, "install Gazebo, or sdformat's command line tools"),
    "/proc": (lambda: Path("/proc/self/environ").is_file(), "run the test on Linux"),
}
_ROS_MODULES = ("launch", "launch_ros", "launch_pytest", "ament_index_python", "control_msgs", "tf2_msgs", "tf2_ros")
_REMEDIES = {
    **dict.fromkeys(_ROS_MODULES, _FROM_ROS),
    "setuptools": "pip install 'setuptools>=70.1'",
    "setuptools.command.bdist_wheel": "pip install 'setuptools>=70.1'",
    "catkin_pkg": "pip install 'mbrl_ros[check]'",
    "onnx": "pip install 'mbrl_ros[onnx]'",
    "pyarrow": "pip install 'mbrl_ros[parquet]'",
}


@cache
def present(*names: str) -> bool:
    """Whether all of `names` are there: Python modules, recordings ('data/NAME'), 'package NAME' of ROS, or _OTHERS."""
    return all(_is_present(name) for name in names)


def _is_present(name: str) -> bool:
    if name in _OTHERS:
        return _OTHERS[name][0]()
    if name.startswith("data/"):
        return (SHARED / name).is_file()
    if name.startswith("package "):
        return _prefix(name.removeprefix("package ")) is not None
    if not all(map(str.isidentifier, name.split("."))):
        raise ValueError(f"{name!r} is no Python module, so that what needs it would never run")
    return importlib.util.find_spec(name.partition(".")[0]) is not None and importlib.util.find_spec(name) is not None


def _remedy(name: str) -> str:
    """What to do about something that is missing."""
    if name in _OTHERS:
        return _OTHERS[name][1]
    if name.startswith("data/"):
        return f"put it into {SHARED.name}/ beside the checkout"
    if name.startswith("package "):
        return "install it in the ROS 2 that is sourced"
    return _REMEDIES.get(name) or missing(ModuleNotFoundError("", name=name)).partition(": ")[2]


def _reason(names: Sequence[str]) -> str:
    """What is missing, by what to do about it."""
    by_remedy: dict[str, list[str]] = {}
    for name in names:
        by_remedy.setdefault(_remedy(name), []).append(name)
    return "; ".join(f"needs {', '.join(missed)}: {remedy}" for remedy, missed in by_remedy.items())


def needs(*names: str) -> pytest.MarkDecorator:
    """A mark that skips a test where one of `names` is missing, and says how to get it; see `present` for the names."""
    absent = [name for name in names if not present(name)]
    return pytest.mark.skipif(bool(absent), reason=_reason(absent) or "nothing is missing")
