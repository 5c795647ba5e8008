"""A robot as the controller knows it: named joints in command order, and the limits of each quantity.

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
from .sources import read
from .urdf import Joint, Tree, parse

# A margin may take at most this fraction of a joint's range at either end, so that short joints keep one.
MARGIN_OF_RANGE = 0.1
# A position servo lags by some ten milliseconds: the way at full speed in this time [s] is a large step of its command.
SERVO_TIME = 0.05
# A continuous joint has no stops, but a position command needs finite bounds: two turns either way [rad].
CONTINUOUS_COMMAND = 4.0 * np.pi


@dataclass(frozen=True, eq=False, slots=True)
class Robot:
    """The n controlled joints of a fixed-base robot. Every array is (n,), in the order of `joints`, read-only.

    Movable joints that are not controlled, and mimic joints, are held at zero.

    Attributes
    ----------
    joints : names of the controlled joints, in command order
    position_lower, position_upper : [rad or m] after the margin; -inf and inf for a continuous joint
    velocity_limit : [rad/s or m/s], positive
    effort_limit : [N m or N], positive
    acceleration_limit : [rad/s^2 or m/s^2], positive
    jerk_limit : [rad/s^3 or m/s^3], positive
    interface : what a command is: effort, velocity or position
    command_lower, command_upper : in the unit of `interface`, finite
    urdf : the robot description as text
    root : the link in whose frame positions are given
    tip, tip_offset : the end effector is the point tip_offset (3,) [m] in the frame of link `tip`
    rotor_inertia : [kg m^2 or kg], reflected through the gears; None: unknown
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
        """The number of controlled joints."""
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
    """Read the robot of `urdf`, or else of `settings.description`: URDF text, a file, or 'package-data:NAME'.

    Raises
    ------
    RobotDescriptionError : the URDF is missing, unreadable or unsuitable
    JointNameError : a joint to control is not in it
    ConfigurationError : a per-joint setting has the wrong length
    """
    tree = parse(read(settings.description if urdf is None else urdf))
    controlled = _controlled(tree, settings.joints)
    names = tuple(joint.name for joint in controlled)
    n = len(names)
    ranges = np.array([_range(joint) for joint in controlled])
    margin = per_joint(settings.position_margin, n, "position_margin")
    margin = np.minimum(margin, MARGIN_OF_RANGE * (ranges[:, 1] - ranges[:, 0]))
    lower, upper = ranges[:, 0] + margin, ranges[:, 1] - margin
    velocity = per_joint(settings.velocity_scale, n, "velocity_scale") * _positive(controlled, "velocity")
    effort = per_joint(settings.effort_scale, n, "effort_scale") * _positive(controlled, "effort")
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
    rotors = per_joint(settings.rotor_inertia, n, "rotor_inertia") if settings.rotor_inertia else None
    return Robot(
        joints=names,
        position_lower=_frozen(lower),
        position_upper=_frozen(upper),
        velocity_limit=_frozen(velocity),
        effort_limit=_frozen(effort),
        acceleration_limit=_frozen(per_joint(settings.acceleration_limit, n, "acceleration_limit")),
        jerk_limit=_frozen(per_joint(settings.jerk_limit, n, "jerk_limit")),
        interface=settings.interface,
        command_lower=_frozen(command_lower),
        command_upper=_frozen(command_upper),
        urdf=tree.text,
        root=tree.root,
        tip=_tip(tree, names, settings.tip),
        tip_offset=_frozen(np.array(settings.tip_offset)),
        rotor_inertia=None if rotors is None else _frozen(rotors),
    )


def _controlled(tree: Tree, wanted: tuple[str, ...]) -> list[Joint]:
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


def _range(joint: Joint) -> tuple[float, float]:
    if joint.kind == "continuous":
        return -np.inf, np.inf
    lower, upper = joint.limit.get("lower", 0.0), joint.limit.get("upper", 0.0)
    if lower >= upper:
        raise RobotDescriptionError(
            f"joint '{joint.name}' has no range (lower {lower:g}, upper {upper:g}); give its "
            f"<limit> a lower below its upper, make it continuous, or do not control it"
        )
    return lower, upper


def _positive(joints: list[Joint], key: str) -> Array:
    """Return the limit `key` of every joint (n,); RobotDescriptionError names the first one that is not positive."""
    for joint in joints:
        value = joint.limit.get(key, 0.0)
        if value <= 0.0:
            raise RobotDescriptionError(
                f"joint '{joint.name}' has no {key} limit ({value:g}); write {key}=\"...\" from "
                f"the robot's data sheet into its <limit>, or leave it out of 'joints'"
            )
    return np.array([joint.limit[key] for joint in joints])


def _tip(tree: Tree, controlled: tuple[str, ...], wanted: str) -> str:
    """Return `wanted`, or the first leaf moved by the most controlled joints and the fewest others."""
    if wanted and wanted not in tree.links:
        raise RobotDescriptionError(
            f"the URDF has no link '{wanted}' to be the tip; did you mean "
            f"'{nearest(wanted, tree.links)}'? Links: {list(tree.links)}"
        )

    def moved_by(link: str) -> tuple[int, int]:
        moving = [joint.name in controlled for joint in tree.chain(link) if joint.kind != "fixed"]
        return sum(moving), len(moving) - sum(moving)

    def mimic_before(link: str) -> Joint | None:
        return next((joint for joint in tree.chain(link) if joint.mimic in controlled), None)

    if wanted and (mimic := mimic_before(wanted)):
        raise RobotDescriptionError(
            f"the tip '{wanted}' stands behind joint '{mimic.name}', which follows "
            f"'{mimic.mimic}'; choose a tip before it"
        )
    # Mimic joints may carry every leaf, as in some grippers; then any link before them will do.
    candidates = [link for link in tree.leaves() if not mimic_before(link)] or [
        link for link in tree.links if not mimic_before(link)
    ]
    tip = wanted or max(candidates, key=lambda link: (moved_by(link)[0], -moved_by(link)[1]))
    if moved_by(tip)[0] == 0:
        raise RobotDescriptionError(f"no controlled joint moves the tip '{tip}'; choose a link beyond {controlled[0]}")
    return tip


def _frozen(array: Array) -> Array:
    array = np.array(array, dtype=np.float64)
    array.setflags(write=False)
    return array
