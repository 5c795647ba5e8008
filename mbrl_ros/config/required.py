"""What has no default when commands go to a robot: the interface and the joints of the commands."""

from __future__ import annotations

from collections.abc import Collection

PREFIX = "robot."
_MEANING = {
    "robot.interface": "what a command is: effort, velocity or position",
    "robot.joints": "the joints in the order of the commands",
}


def missing_for_robot(given: Collection[str], *, commanded: bool, shadow: bool = False) -> str:
    """Say in one line what must be configured before a controller may act; empty where nothing is missing.

    Parameters
    ----------
    given
        keys that were set by a file, a launch file, a command line or a service, and not by a default.
    commanded
        whether commands go to a robot, and not to a simulation in lockstep or to nobody.
    shadow
        whether commands go to nobody: then interface and joints may have their defaults.
    """
    if not any(key.startswith(PREFIX) for key in given):
        return (
            "no parameter robot.* was given, so that the robot is not known: "
            "give the robot's parameter file (params_file:=FILE, or --ros-args --params-file FILE)"
        )
    missing = [key for key in _MEANING if key not in given] if commanded and not shadow else []
    if not missing:
        return ""
    wanted = " and ".join(f"{key} ({_MEANING[key]})" for key in missing)
    return f"{wanted} must be given: where commands go to a robot there is no default"
