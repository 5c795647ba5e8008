"""Arms of example-robot-data with the joints that move them, their tip and a posture to begin at."""

import importlib.metadata

import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.robots import load_robot

_UR = ("shoulder_pan_joint", "shoulder_lift_joint", "elbow_joint", "wrist_1_joint", "wrist_2_joint", "wrist_3_joint")
_UR_HOME = (0.0, -1.3, 1.8, -2.0, -1.57, 0.0)
ARMS = {  # description, joints, tip, home [rad], payload [kg]
    "panda": (
        "panda",
        tuple(f"panda_joint{i}" for i in range(1, 8)),
        "panda_hand",
        (0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8),
        1.5,
    ),
    "ur10": ("ur10", _UR, "tool0", _UR_HOME, 3.0),
    "ur3": ("ur3_robot", _UR, "tool0", _UR_HOME, 0.75),
    "so100": (
        "so100",
        ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll"),
        "gripper",
        (0.0, 1.75, -1.57, -0.65, 0.0),
        0.1,
    ),
    "z1": ("z1", tuple(f"joint{i}" for i in range(1, 7)), "gripperStator", (0.0, 1.4, -1.3, 0.0, 0.0, 0.0), 0.5),
}


def settings_of(name: str, interface: str = "effort") -> RobotSettings:
    """Skips the test where example-robot-data is not installed."""
    try:
        importlib.metadata.distribution("example-robot-data")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("example-robot-data is not installed")
    description, joints, tip, _, _ = ARMS[name]
    return RobotSettings(description=f"package-data:{description}", joints=joints, tip=tip, interface=interface)


def packaged(name: str, interface: str = "effort"):
    return load_robot(settings_of(name, interface))


def panda(interface: str = "effort"):
    return packaged("panda", interface)
