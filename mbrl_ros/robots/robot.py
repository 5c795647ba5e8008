"""A robot as the controller knows it: named joints in command order, and the box each quantity lives in.

Limits come from the URDF and are tightened by `RobotSettings`. For joint i with URDF range [a, b]:
position_lower = a + min(margin, 0.1 (b - a)), position_upper = b - min(margin, 0.1 (b - a)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..config.section import per_joint
from ..config.sections.robot import RobotSettings
from ..exceptions import ConfigurationError, JointNameError, RobotDescriptionError, nearest
from ..types import Array
from . import urdf as description

# A margin may take at most this fraction of a joint's range at either end, so that short joints keep one.
MARGIN_OF_RANGE = 0.1
# A position servo lags by some ten milliseconds: a step of the way at full speed in this time [s] is a hard push.
SERVO_TIME = 0.05
# A continuous joint has no stops, but a position command needs finite bounds: two turns either way [rad].
CONTINUOUS_COMMAND = 4.0 * np.pi


@dataclass(frozen=True, eq=False, slots=True)
class Robot:
    """The n controlled joints of a fixed-base robot. Every array is (n,), in the order of `joints`, read-only.

    position_lower, position_upper [rad or m] after the margin, -inf and inf for a continuous joint;
    velocity_limit [rad/s or m/s], effort_limit [N m or N], acceleration_limit [rad/s^2 or m/s^2],
    jerk_limit [rad/s^3 or m/s^3], all positive; command_lower, command_upper by `interface` (effort, velocity or
    position), always finite. The end effector is the point `tip_offset` (3,) [m] in the frame of link `tip`;
    positions are given in the frame of link `root`. rotor_inertia (n,) [kg m^2 or kg], reflected through the gears; None:
    unknown. Movable joints that are not controlled, and mimic joints, are
    held at zero.
    """

    joints: tuple[str, ...]
    position_lower: Array
    position_upper: Array
    velocity_limit: Array
    effort_limit: Array
    acceleration_limit: Array
    jerk_limit: Array
    interface: str
    command_lower: Array
    command_upper: Array
    urdf: str
    root: str
    tip: str
    tip_offset: Array
    rotor_inertia: Array | None = None

    @property
    def n(self) -> int:
        return len(self.joints)

    @property
    def command_scale(self) -> Array:
        """What counts as a large command (n,): the effort or velocity limit, or the way at full speed in SERVO_TIME."""
        return {
            "effort": self.effort_limit,
            "velocity": self.velocity_limit,
            "position": SERVO_TIME * self.velocity_limit,
        }[self.interface]

    @property
    def servo(self) -> slice | None:
        """The part of [q; qd] that a command is compared with by the drive: qd, q, or nothing for an effort."""
        return {"effort": None, "velocity": slice(self.n, 2 * self.n), "position": slice(0, self.n)}[self.interface]


def load_robot(settings: RobotSettings, urdf: str | None = None) -> Robot:
    """The robot of `urdf`, or else of `settings.description`: URDF text, a file, or 'package-data:NAME'.

    Raises RobotDescriptionError (missing, unreadable or unsuitable URDF), JointNameError (a joint to control is not
    in it) or ConfigurationError (per-joint settings of the wrong length).
    """
    tree = description.parse(description.read(settings.description if urdf is None else urdf))
    controlled = _controlled(tree, settings.joints)
    names = tuple(joint.name for joint in controlled)
    n = len(names)
    ranges = np.array([_range(joint) for joint in controlled])
    margin, slower, weaker = (
        per_joint(getattr(settings, name), n, name) for name in ("position_margin", "velocity_scale", "effort_scale")
    )
    margin = np.minimum(margin, MARGIN_OF_RANGE * (ranges[:, 1] - ranges[:, 0]))
    lower, upper = ranges[:, 0] + margin, ranges[:, 1] - margin
    velocity = slower * np.array([_positive(joint, "velocity") for joint in controlled])
    effort = weaker * np.array([_positive(joint, "effort") for joint in controlled])
    command_lower, command_upper = {
        "effort": (-effort, effort),
        "velocity": (-velocity, velocity),
        "position": (np.maximum(lower, -CONTINUOUS_COMMAND), np.minimum(upper, CONTINUOUS_COMMAND)),
    }[settings.interface]
    if len(settings.tip_offset) != 3:
        raise ConfigurationError(
            f"'tip_offset' must have 3 entries [m], got {len(settings.tip_offset)}",
            key="tip_offset",
            value=settings.tip_offset,
        )
    return Robot(
        names,
        *map(
            _frozen,
            (
                lower,
                upper,
                velocity,
                effort,
                per_joint(settings.acceleration_limit, n, "acceleration_limit"),
                per_joint(settings.jerk_limit, n, "jerk_limit"),
            ),
        ),
        settings.interface,
        _frozen(command_lower),
        _frozen(command_upper),
        urdf=tree.text,
        root=tree.root,
        tip=_tip(tree, names, settings.tip),
        tip_offset=_frozen(np.array(settings.tip_offset)),
        rotor_inertia=_frozen(per_joint(settings.rotor_inertia, n, "rotor_inertia"))
        if settings.rotor_inertia
        else None,
    )


def _controlled(tree: description.Tree, wanted: tuple[str, ...]) -> list[description.Joint]:
    joints = {joint.name: joint for joint in tree.joints}
    movable = [joint.name for joint in tree.joints if joint.movable]
    if not movable:
        raise RobotDescriptionError("the URDF has no movable joint (revolute, continuous or prismatic)")
    for name in wanted:
        if name in joints and not joints[name].movable:
            why = f"follows '{joints[name].mimic}' (mimic)" if joints[name].mimic else "is fixed"
            raise RobotDescriptionError(f"joint '{name}' {why} and cannot be controlled; movable joints: {movable}")
    if any(name not in movable for name in wanted):
        raise JointNameError(wanted, movable, what="controlled joints and the URDF's movable joints")
    if len(set(wanted)) != len(wanted):
        raise ConfigurationError(f"'joints' names a joint twice: {list(wanted)}", key="joints", value=wanted)
    return [joints[name] for name in wanted or movable]


def _range(joint: description.Joint) -> tuple[float, float]:
    if joint.kind == "continuous":
        return -np.inf, np.inf
    lower, upper = joint.limit.get("lower", 0.0), joint.limit.get("upper", 0.0)
    if lower >= upper:
        raise RobotDescriptionError(
            f"joint '{joint.name}' has no range (lower {lower:g}, upper {upper:g}); give its "
            f"<limit> a lower below its upper, make it continuous, or do not control it"
        )
    return lower, upper


def _positive(joint: description.Joint, key: str) -> float:
    value = joint.limit.get(key, 0.0)
    if value <= 0.0:
        raise RobotDescriptionError(
            f"joint '{joint.name}' has no {key} limit ({value:g}); write {key}=\"...\" from "
            f"the robot's data sheet into its <limit>, or leave it out of 'joints'"
        )
    return value


def _tip(tree: description.Tree, controlled: tuple[str, ...], wanted: str) -> str:
    """`wanted`, or the first leaf moved by the most controlled joints and the fewest others."""
    if wanted and wanted not in tree.links:
        raise RobotDescriptionError(
            f"the URDF has no link '{wanted}' to be the tip; did you mean "
            f"'{nearest(wanted, tree.links)}'? Links: {list(tree.links)}"
        )

    def moved_by(link: str) -> tuple[int, int]:
        moving = [joint.name in controlled for joint in tree.chain(link) if joint.kind != "fixed"]
        return sum(moving), len(moving) - sum(moving)

    def target_manager(link: str) -> description.Joint | None:
        return next((joint for joint in tree.chain(link) if joint.mimic in controlled), None)

    if wanted and (mimic := target_manager(wanted)):
        raise RobotDescriptionError(
            f"the tip '{wanted}' stands behind joint '{mimic.name}', which follows "
            f"'{mimic.mimic}'; choose a tip before it"
        )
    # Mimic joints may carry every leaf, as in some grippers; then any link before them will do.
    candidates = [link for link in tree.leaves() if not target_manager(link)] or [
        link for link in tree.links if not target_manager(link)
    ]
    tip = wanted or max(candidates, key=lambda link: (moved_by(link)[0], -moved_by(link)[1]))
    if moved_by(tip)[0] == 0:
        raise RobotDescriptionError(f"no controlled joint moves the tip '{tip}'; choose a link beyond {controlled[0]}")
    return tip


def _frozen(array: Array) -> Array:
    array = np.array(array, dtype=np.float64)
    array.setflags(write=False)
    return array
