"""Settings of the robot: its description, its joints and its limits."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class RobotSettings(Section):
    """The robot's description, its controlled joints and the limits that are used."""

    description: str = setting(
        "",
        "URDF file, or 'package-data:NAME' for a robot of example-robot-data; empty: the parameter or "
        "topic robot_description",
    )
    units: str = setting(
        "",
        "file that `mbrl build` wrote for this robot and these settings, so that neither CasADi nor a compiler is "
        "needed; empty: functions are built at the start",
    )
    joints: tuple[str, ...] = setting(
        (), "names of the controlled joints in the order of the commands; empty: every movable joint of the URDF"
    )
    measured_joints: tuple[str, ...] = setting(
        (),
        "names of further joints of the URDF that are measured and not controlled, as those of another arm: the "
        "collision rule and cost take them where joint_states says; those that move the tip are measured anyway",
    )
    tip: str = setting("", "link whose origin is the end effector; empty: the last link of the chain")
    tip_offset: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0), "position of the end-effector point in the frame of the tip link", unit="m"
    )
    tip_rotation: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0),
        "roll, pitch and yaw of the tool's frame against that of the tip link, as `rpy` in a URDF",
        unit="rad",
    )
    interface: str = setting(
        "effort",
        "what a command is: an effort (torque or force), a velocity or a position of each joint",
        choices=("effort", "velocity", "position"),
    )
    position_margin: tuple[float, ...] = setting(
        (0.02,), "distance kept from the position limits of the URDF", unit="rad or m", low=0.0, per_joint=True
    )
    velocity_scale: tuple[float, ...] = setting(
        (1.0,), "fraction of the URDF's velocity limits that is used", low=0.01, high=1.0, per_joint=True
    )
    effort_scale: tuple[float, ...] = setting(
        (1.0,), "fraction of the URDF's effort limits that is used", low=0.01, high=1.0, per_joint=True
    )
    acceleration_limit: tuple[float, ...] = setting(
        (7.5,),
        "joint acceleration limit, which a URDF does not contain",
        unit="rad/s^2 or m/s^2",
        low=1e-3,
        per_joint=True,
    )
    jerk_limit: tuple[float, ...] = setting(
        (100.0,), "joint jerk limit of references", unit="rad/s^3 or m/s^3", low=1e-2, per_joint=True
    )
    gravity: tuple[float, ...] = setting(
        (0.0, 0.0, -9.81),
        "gravity in the frame of the root link, for a robot on a wall or a ceiling whose URDF does not begin with a "
        "fixed joint from an upright world; [0, 0, 9.81] where the root link hangs upside down; with robot.mounting, "
        "in the frame in which the root link is mounted",
        unit="m/s^2",
    )
    mounting: tuple[float, ...] = setting(
        (),
        "x, y, z [m], roll, pitch and yaw [rad] of the root link in the frame robot.mounting_frame, whose axis z is "
        "up: turns gravity, and targets may stand in that frame; [0, 0, 2, 3.14159265, 0, 0] hangs from a ceiling at "
        "2 m; empty: not known",
    )
    mounting_frame: str = setting("world", "name of the frame in which robot.mounting places the root link")
    frame_prefix: str = setting(
        "",
        "what precedes the names of links in the names of frames, as frame_prefix of robot_state_publisher; with a "
        "slash at its end if there is one",
    )
    rotor_inertia: tuple[float, ...] = setting(
        (),
        "known part of the rotors' inertia, reflected through the gears (armature), as a lower bound; a "
        "URDF does not contain it; empty: unknown",
        unit="kg m^2 or kg",
        low=0.0,
        per_joint=True,
    )
    guess_inertials: bool = setting(
        False,
        "effort interface: guess the inertia of an arm whose URDF has no <inertial> for every controlled joint from "
        "its size, with a warning; false: such a URDF is refused",
    )
