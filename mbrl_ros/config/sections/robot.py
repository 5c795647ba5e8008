"""Which robot, which of its joints, and how its limits are tightened."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class RobotSettings(Section):
    """Which robot, which of its joints, and how its limits are tightened."""

    description: str = setting(
        "",
        "URDF file, or 'package-data:NAME' for a robot of example-robot-data; empty: "
        "take the robot_description parameter or topic",
    )
    joints: tuple[str, ...] = setting((), "controlled joints in command order; empty: every movable joint of the URDF")
    tip: str = setting("", "link whose origin is the end effector; empty: the last link of the chain")
    tip_offset: tuple[float, ...] = setting((0.0, 0.0, 0.0), "end-effector point in the tip link's frame", unit="m")
    interface: str = setting("effort", "what a command means", choices=("effort", "velocity", "position"))
    position_margin: tuple[float, ...] = setting(
        (0.02,), "distance kept from the joint stops", unit="rad or m", low=0.0, per_joint=True
    )
    velocity_scale: tuple[float, ...] = setting(
        (1.0,), "fraction of the URDF's velocity limits in use", low=0.01, high=1.0, per_joint=True
    )
    effort_scale: tuple[float, ...] = setting(
        (1.0,), "fraction of the URDF's effort limits in use", low=0.01, high=1.0, per_joint=True
    )
    acceleration_limit: tuple[float, ...] = setting(
        (7.5,), "joint acceleration limit (the URDF has none)", unit="rad/s^2 or m/s^2", low=1e-3, per_joint=True
    )
    jerk_limit: tuple[float, ...] = setting(
        (100.0,), "joint jerk limit of references", unit="rad/s^3 or m/s^3", low=1e-2, per_joint=True
    )
    rotor_inertia: tuple[float, ...] = setting(
        (),
        "inertia of the rotors, reflected through the gears (armature), a lower bound that is sure: a URDF does not "
        "hold it; empty: none",
        unit="kg m^2 or kg",
        low=0.0,
        per_joint=True,
    )
