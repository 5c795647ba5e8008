"""The shipped launch files, started by the real launch system."""

import launch_pytest
import pytest
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit

try:
    LAUNCH = get_package_share_directory("mbrl_ros") + "/launch"
except PackageNotFoundError:
    pytest.skip("mbrl_ros is not installed in this ROS environment", allow_module_level=True)


def shipped(name: str, exits: dict, **arguments: str) -> LaunchDescription:
    """A launch file of this package with its arguments; `exits` is told {process: exit code}."""
    return LaunchDescription(
        [
            RegisterEventHandler(
                OnProcessExit(
                    on_exit=lambda event, context: exits.__setitem__(event.process_name.split("-")[0], event.returncode)
                )
            ),
            IncludeLaunchDescription(f"{LAUNCH}/{name}", launch_arguments=arguments.items()),
            launch_pytest.actions.ReadyToTest(),
        ]
    )
