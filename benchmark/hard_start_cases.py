"""The arms, the conditions and the targets of hard_starts.py.

An arm starts at a posture drawn near the middle of its joints' ranges and goes to points drawn by seed. A target is
drawn again when it is nearer than CLOSEST or further than FURTHEST of the arm's reach, when its reference does not
leave REST of its slot for rest, when its pose is near a joint stop, or when holding it takes more than HOLDABLE of an
effort limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np

from mbrl_ros.bench.robots.case import with_efforts
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.references.trajectory import joint_reference
from mbrl_ros.robots import Robot, load_robot, sources
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.simulation.plant import Plant

HOLD, SLOT, REST = 0.5, 3.0, 1.25  # [s]
CLOSEST, FURTHEST = 0.1, 0.6  # of the reach
HOLDABLE = 0.7  # of the effort limit
SPREAD = 0.25  # of the first posture about `Arm.home`, either way [rad]
NEAR_STOP = 0.05  # of a joint's range
RATE = 200.0  # [Hz]


@dataclass(frozen=True)
class Arm:
    """An arm: its URDF, its joints, the posture `home` (n,) [rad] it starts near, and the payload [kg] it may carry.

    plant: settings of its plant that differ from the usual ones.
    """

    description: str
    joints: tuple[str, ...]
    tip: str
    home: tuple[float, ...]
    payload: float
    tip_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    plant: Mapping[str, Any] = field(default_factory=dict)


UR = ("shoulder_pan_joint", "shoulder_lift_joint", "elbow_joint", "wrist_1_joint", "wrist_2_joint", "wrist_3_joint")
UR_HOME = (0.0, -1.3, 1.8, -2.0, -1.57, 0.0)
ARMS = {
    "panda": Arm(
        "package-data:panda",
        tuple(f"panda_joint{i}" for i in range(1, 8)),
        "panda_hand",
        (0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8),
        1.5,
        (0.0, 0.0, 0.1034),
    ),
    "sawyer": Arm(
        "",
        tuple(f"right_j{i}" for i in range(7)),
        "right_l6",
        (0.0, -0.7, 0.0, 1.6, 0.0, 0.6, 0.0),
        1.5,
        (0.0, 0.0, 0.1),
    ),  # no package has its URDF: --urdf sawyer=FILE
    "ur10": Arm("package-data:ur10", UR, "tool0", UR_HOME, 3.0, (0.0, 0.0, 0.1)),
    "so100": Arm(
        "package-data:so100",
        ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll"),
        "gripper",
        (0.0, 1.75, -1.57, -0.65, 0.0),
        0.1,
    ),
    "z1": Arm(
        "package-data:z1",
        tuple(f"joint{i}" for i in range(1, 7)),
        "gripperStator",
        (0.0, 1.4, -1.3, 0.0, 0.0, 0.0),
        0.5,
        (0.1, 0.0, 0.0),
    ),
    "ur3": Arm("package-data:ur3_robot", UR, "tool0", UR_HOME, 0.75, (0.0, 0.0, 0.1)),
    "ur5": Arm("package-data:ur5", UR, "tool0", UR_HOME, 1.5, (0.0, 0.0, 0.1)),
    "kinova": Arm(
        "package-data:kinova",
        tuple(f"j2s6s200_joint_{i}" for i in range(1, 7)),
        "j2s6s200_end_effector",
        (0.0, 2.6, 1.5, 0.0, 2.5, 0.0),
        0.5,
    ),
    "xarm7": Arm(
        "package-data:xarm7",
        tuple(f"joint{i}" for i in range(1, 8)),
        "link_eef",
        (0.0, -0.4, 0.0, 1.0, 0.0, 1.4, 0.0),
        1.0,
    ),
}


@dataclass(frozen=True)
class Condition:
    """What differs from a nominal start.

    limits: factor of the effort limits, those of the drives and those the controller knows; spike [rad/s]; coulomb
    [N m], at most 5 % of an effort limit; fault: when a FAULT is forced (the keys of FAULTS); group: which verdict it
    is judged by.
    """

    plant: Mapping[str, Any] = field(default_factory=dict)
    delay: float = 1.0  # that the controller is configured for [ticks]
    limits: float = 1.0
    spike: float = 0.0
    coulomb: float = 0.0
    fault: str = ""
    group: str = "start"


@dataclass(frozen=True)
class Fault:
    """A forced fault.

    at: when it is forced [s], None: at half the first reference's time; loaded: when the payload is fastened [s];
    lost_after: how long after the fault it falls off [s].
    """

    at: float | None
    loaded: float | None = None
    lost_after: float | None = None


FAULTS = {
    "start": Fault(0.1),
    "rest": Fault(HOLD + SLOT - 0.2),
    "moving": Fault(None),
    "payload": Fault(HOLD + SLOT - 0.2, loaded=2.4),
    "drop": Fault(HOLD + SLOT - 0.2, loaded=2.4, lost_after=1.0),
}


def _late(share: float, ticks: int, group: str = "late") -> Condition:
    return Condition({"late_share": share, "late_ticks": ticks}, group=group)


CONDITIONS = {
    "nominal": Condition(),
    **{f"lag{ms}": Condition({"motor_lag": (0.001 * ms,)}) for ms in (5, 10, 20)},
    # the true delay minus what the controller is told
    "delay-1": Condition(delay=2.0),
    "delay+1": Condition({"command_delay": 2.0}),
    "delay+2": Condition({"command_delay": 3.0}),
    "diffvel": Condition({"differentiated_velocity": True}),
    "jitter1": Condition({"command_jitter": 1}),
    **{f"spike{size}": Condition(spike=size) for size in (1, 10, 100)},
    "coulomb": Condition(coulomb=2.0),
    "limits3": Condition(limits=3.0),
    "limits1/3": Condition(limits=1.0 / 3.0),
    "mass0.5": Condition({"mass_factor": 0.5}),
    "mass2": Condition({"mass_factor": 2.0}),
    **{f"arm{a}": Condition({"armature": (a,)}) for a in (0.01, 0.03)},
    **{f"arm{a}delay-1": Condition({"armature": (a,)}, delay=2.0) for a in (0.01, 0.03)},
    **{f"arm{a}delay+1": Condition({"armature": (a,), "command_delay": 2.0}) for a in (0.01, 0.03)},
    **{f"late{percent}": _late(0.01 * percent, 5) for percent in (10, 30, 50)},
    "late90": _late(0.9, 20, "held"),
    **{f"fault-{name}": Condition(fault=name, group="fault") for name in FAULTS},
}


@dataclass(frozen=True, eq=False)
class Case:
    """One run, ready to begin: arm at its first posture, targets (k, 3) [m]."""

    robot: Robot
    plant: Plant
    configuration: Configuration
    targets: np.ndarray


def prepare(
    name: str,
    condition: Condition,
    seed: int,
    count: int,
    *,
    interface: str = "effort",
    description: str = "",
    overrides: Mapping[str, Any] | None = None,
) -> Case:
    """Robot, plant, controller settings and `count` targets of `seed` for the arm `name` under `condition`."""
    arm = ARMS[name]
    if not (description or arm.description):
        raise ConfigurationError(f"no installed package has the URDF of {name}; give --urdf {name}=FILE")
    text = sources.read(description or arm.description)
    settings = RobotSettings(joints=arm.joints, tip=arm.tip, tip_offset=arm.tip_offset, interface=interface)
    nominal = load_robot(settings, text)
    robot = nominal if condition.limits == 1.0 else load_robot(settings, with_efforts(text, condition.limits))
    plant = PlantSettings(
        **{
            "rate": RATE,
            "seed": seed,
            "initial_noise": 0.0,
            "armature": (0.1,),
            **arm.plant,
            "frictionloss": _friction(arm, nominal, condition),
            **condition.plant,
            "velocity_spikes": _spikes(arm, condition.spike),
        }
    )
    home, targets = draw(robot, Plant(plant.replace(initial_position=arm.home), robot), arm, seed, count)
    configuration = Configuration.from_flat(
        {
            **{f"robot.{key}": value for key, value in settings.to_mapping().items()},
            "control.rate": RATE,
            "control.seed": seed,
            "control.delay": condition.delay,
            "planner.horizon": 30,
            "planner.iterations": 2,
            **(overrides or {}),
        }
    )
    return Case(robot, Plant(plant.replace(initial_position=tuple(home)), robot), configuration, targets)


def _friction(arm: Arm, nominal: Robot, condition: Condition) -> tuple[float, ...]:
    if condition.coulomb:
        return tuple(np.minimum(condition.coulomb, 0.05 * nominal.effort_limit))
    return arm.plant.get("frictionloss", tuple(np.minimum(0.5, nominal.effort_limit / 60.0)))  # whatever the limits are


def _spikes(arm: Arm, size: float) -> tuple[str, ...]:
    """One sample of the second joint soon after the first target, one of the last but one in full motion."""
    return ("0.6", arm.joints[1], str(size), "1.0", arm.joints[-2], str(-size)) if size else ()


def draw(robot: Robot, plant: Plant, arm: Arm, seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a first posture (n,) and `count` targets (count, 3) [m], one reachable from the other."""
    rng, kinematics = np.random.default_rng([seed, 11]), Kinematics(robot)
    low, high = np.maximum(robot.position_lower, -np.pi), np.minimum(robot.position_upper, np.pi)
    cloud = kinematics.positions(rng.uniform(low, np.maximum(high, low), (2000, robot.n)))
    reach = 0.5 * float(np.ptp(cloud, axis=0).max())
    reference = joint_reference(robot, Configuration.from_flat({}).reference, 0.01)
    for i in range(1000):  # further and further away, if the arm is too weak to hold itself near its home
        start = q = np.array(arm.home) + (1.0 + i / 50.0) * rng.uniform(-SPREAD, SPREAD, robot.n)
        if usable(robot, plant, q):
            break
    else:
        raise ConfigurationError(f"the arm cannot hold itself anywhere near {arm.home}")
    targets: list[np.ndarray] = []
    for _ in range(10000):
        if len(targets) == count:
            return start, np.array(targets)
        here = kinematics.position(q)
        p = here + rng.uniform(-FURTHEST, FURTHEST, 3) * reach
        if not CLOSEST * reach <= np.linalg.norm(p - here) <= FURTHEST * reach:
            continue
        there, distance = kinematics.inverse(p, q, restarts=0)
        if distance > 1e-5 or not usable(robot, plant, there):
            continue
        reference.reset(q, 0.0)
        reference.go_to(there, 0.0)
        if reference.end <= SLOT - REST:
            targets.append(p)
            q = there
    raise ConfigurationError(f"found only {len(targets)} of {count} targets")


def usable(robot: Robot, plant: Plant, q: np.ndarray) -> bool:
    """Return whether the arm can hold q (n,) with HOLDABLE of its effort limits, away from its stops."""
    span = robot.position_upper - robot.position_lower
    margin = np.where(np.isfinite(span), NEAR_STOP * span, 0.0)
    if (q < robot.position_lower + margin).any() or (q > robot.position_upper - margin).any():
        return False
    data = mujoco.MjData(plant.model)
    for name, value in zip(robot.joints, q, strict=True):
        data.joint(name).qpos[0] = value
    mujoco.mj_forward(plant.model, data)
    weight = np.array([data.joint(name).qfrc_bias[0] for name in robot.joints])
    return bool((np.abs(weight) <= HOLDABLE * robot.effort_limit).all())
