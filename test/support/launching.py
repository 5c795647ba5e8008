"""The shipped launch files, started by the real launch system where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from support.needs import present
from support.robots import planar_arm

if present("launch_pytest", "launch_ros"):
    import launch_pytest
    from launch import LaunchDescription
    from launch.actions import IncludeLaunchDescription, RegisterEventHandler
    from launch.event_handlers import OnProcessExit

# The decorator of a fixture that starts the launch description it returns. One such fixture a module: the fixtures of
# launch_pytest that stand behind it (the launch service and its event loop) are those of the module too.
launched = launch_pytest.fixture if present("launch_pytest") else pytest.fixture

JOINTS = ["joint1", "joint2"]
START = [0.3, -0.4]  # [rad]
PERIOD = 0.01  # [s]


def planar_parameters(folder: Path) -> str:
    """A parameter file in `folder`: a robot of two joints for mpc_node and sim_node, in whatever namespace they are."""
    blocks = {
        "/**": {"robot_description": planar_arm(2)},
        "/**/mpc_node": {"control": {"rate": 1.0 / PERIOD}, "supervisor": {"blind_effort": "zero"}},
        "/**/sim_node": {"plant": {"rate": 1.0 / PERIOD, "initial_position": START}},
    }
    path = folder / "planar.yaml"
    path.write_text(yaml.safe_dump({name: {"ros__parameters": block} for name, block in blocks.items()}))
    return str(path)


def launch_file(name: str) -> Path:
    """A shipped launch file, as installed."""
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("mbrl_ros"), "launch", name)


def shipped(name: str, exits: dict, **arguments: str) -> LaunchDescription:
    """A launch file of this package with its arguments; `exits` is told {process: exit code}."""
    return LaunchDescription(
        [
            RegisterEventHandler(
                OnProcessExit(
                    on_exit=lambda event, context: exits.__setitem__(event.process_name.split("-")[0], event.returncode)
                )
            ),
            IncludeLaunchDescription(str(launch_file(name)), launch_arguments=arguments.items()),
            launch_pytest.actions.ReadyToTest(),
        ]
    )
