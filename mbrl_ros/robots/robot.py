"""A robot as the controller knows it: named joints in command order, and the limits of each quantity.

Limits come from the URDF and are tightened by `RobotSettings`. For joint i with URDF range [a, b]:
position_lower = a + min(margin, 0.1 (b - a)), position_upper = b - min(margin, 0.1 (b - a)).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..codegen import units
from ..config.section import per_joint
from ..config.sections.robot import RobotSettings
from ..exceptions import ConfigurationError, JointNameError, RobotDescriptionError, listed
from ..types import Array
from .document import digest
from .mimic import Follower, followers_of, uncontrolled_of
from .mounting import mounted
from .sources import read
from .tips import check_fixed, tip_of
from .urdf import Joint, Tree, parse, transform
from .watched import Watched, watched_of

# A margin may take at most this fraction of a joint's range at either end, so that short joints keep one.
MARGIN_OF_RANGE = 0.1
# A position servo lags by some ten milliseconds: the way at full speed in this time [s] is a large step of its command.
SERVO_TIME = 0.05
# A continuous joint has no stops, but a position command needs finite bounds: two turns either way [rad].
CONTINUOUS_COMMAND = 4.0 * np.pi
MOST_JOINTS = 64  # more than any arm has; a plan for hundreds would take minutes to build


@dataclass(frozen=True, eq=False, slots=True)
class Robot:
    """The n controlled joints of a fixed-base robot. Every array is (n,), in the order of `joints`, read-only.

    Movable joints that are not controlled are at zero, but kinematics and distances take those of `uncontrolled` where
    they are measured. Joints that follow a controlled one (mimic) move with it.

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
    tip, tip_offset, tip_rotation : the tool's frame stands at tip_offset (3,) [m] in the frame of link `tip`, turned by
        tip_rotation (3, 3); its origin is the end effector
    rotor_inertia : [kg m^2 or kg], reflected through the gears; None: unknown
    gravity : (3,) [m/s^2] in the root link's frame
    damping : [N m s/rad or N s/m], friction : [N m or N], as the URDF says, 0 where it says nothing
    uncontrolled : names of the k joints that are measured and not controlled: those that move the end effector, from
        the root on, and then those of `watched`
    watched : the joints of `uncontrolled` that do not move the end effector, as those of another arm
    followers : the joints that follow a controlled one
    mounting : (4, 4), the root link's frame in the frame `mounting_frame`; None: unknown
    frame_prefix : what precedes a link's name in that of its frame; guess_inertials : see effective_inertia.py
    units : where the functions of this robot are from
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
    damping: Array
    friction: Array
    rotor_inertia: Array | None = None
    uncontrolled: tuple[str, ...] = ()
    watched: tuple[Watched, ...] = ()
    followers: tuple[Follower, ...] = ()
    gravity: tuple[float, ...] = (0.0, 0.0, -9.81)
    tip_rotation: Array = field(default_factory=lambda: np.eye(3))
    mounting: Array | None = None
    mounting_frame: str = "world"
    frame_prefix: str = ""
    guess_inertials: bool = False
    units: units.Units = field(default_factory=units.Units, repr=False)

    def identity(self) -> dict[str, object]:
        """Return what makes this robot another one for its functions: all of it but how its links look."""
        kept = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "units"}
        return {**kept, "urdf": digest(self.urdf)}

    @property
    def base_frame(self) -> str:
        """The name of the root link's frame in tf2."""
        return self.frame_prefix + self.root

    @property
    def n(self) -> int:
        """The number of controlled joints."""
        return len(self.joints)

    @property
    def displacing(self) -> int:
        """How many of `uncontrolled`, its first ones, move the end effector."""
        return len(self.uncontrolled) - len(self.watched)

    @property
    def moving(self) -> tuple[str, ...]:
        """The names of the controlled joints, and then of the ones that follow them."""
        return (*self.joints, *(follower.name for follower in self.followers))

    @property
    def bounded(self) -> NDArray[np.bool_]:
        """Which joints (n,) have limits of their position; the others are continuous."""
        found: NDArray[np.bool_] = np.isfinite(self.position_lower) & np.isfinite(self.position_upper)
        return found

    @property
    def middle(self) -> Array:
        """The middle of the joints' ranges (n,), 0 for a continuous joint."""
        lower, upper = (np.where(self.bounded, limit, 0.0) for limit in (self.position_lower, self.position_upper))
        middle: Array = 0.5 * (lower + upper)
        return middle

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
    DataError : the file of settings.units cannot be used
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
    _check_vectors(settings)
    mounting, gravity = mounted(settings, tree)
    rotors = per_joint(settings.rotor_inertia, n, "rotor_inertia") if settings.rotor_inertia else None
    tip, followers = tip_of(tree, names, settings.tip), followers_of(tree, names)
    moving_tip = uncontrolled_of(tree, tip, names, followers)
    watched = tuple(watched_of(tree, settings.measured_joints, names, moving_tip))
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
        tip=tip,
        tip_offset=_frozen(np.array(settings.tip_offset)),
        tip_rotation=_frozen(transform(np.zeros(3), np.array(settings.tip_rotation))[:3, :3]),
        damping=_frozen(np.array([joint.damping for joint in controlled])),
        friction=_frozen(np.array([joint.friction for joint in controlled])),
        rotor_inertia=None if rotors is None else _frozen(rotors),
        uncontrolled=(*moving_tip, *(joint.name for joint in watched)),
        watched=watched,
        followers=followers,
        gravity=gravity,
        mounting=None if mounting is None else _frozen(mounting),
        mounting_frame=settings.mounting_frame,
        frame_prefix=settings.frame_prefix,
        guess_inertials=settings.guess_inertials,
        units=units.read(settings.units) if settings.units else units.Units(),
    )


def _check_vectors(settings: RobotSettings) -> None:
    for key, unit in {"tip_offset": "m", "tip_rotation": "rad", "gravity": "m/s^2"}.items():
        vector = getattr(settings, key)
        if len(vector) != 3:
            raise ConfigurationError(f"'{key}' must have 3 entries [{unit}], got {len(vector)}", key=key, value=vector)


def _controlled(tree: Tree, wanted: tuple[str, ...]) -> list[Joint]:
    joints = {joint.name: joint for joint in tree.joints}
    movable = [joint.name for joint in tree.joints if joint.movable]
    if not movable:
        raise RobotDescriptionError(
            "the URDF has no movable joint (revolute, continuous, prismatic); give that of an arm"
        )
    for name in wanted:
        if name in joints and not joints[name].movable:
            why = f"follows '{joints[name].mimic}' (mimic)" if joints[name].mimic else "is fixed"
            raise RobotDescriptionError(
                f"joint '{name}' {why} and cannot be controlled; movable joints: {listed(movable)}"
            )
    if any(name not in movable for name in wanted):
        raise JointNameError(wanted, movable, what="controlled joints and the URDF's movable joints")
    if len(set(wanted)) != len(wanted):
        raise ConfigurationError(f"'joints' names a joint twice: {list(wanted)}", key="joints", value=wanted)
    if len(wanted or movable) > MOST_JOINTS:
        raise RobotDescriptionError(
            f"{len(wanted or movable)} joints are to be controlled, of at most {MOST_JOINTS}; name those "
            "of one arm in robot.joints"
        )
    chosen = [joints[name] for name in wanted or movable]
    for joint in chosen:
        check_fixed(tree, joint.child, f"the controlled joint '{joint.name}'")
    return chosen


def _range(joint: Joint) -> tuple[float, float]:
    if joint.kind == "continuous":
        return -np.inf, np.inf
    _check_readable(joint, "lower", "upper")
    lower, upper = joint.limit.get("lower", 0.0), joint.limit.get("upper", 0.0)
    if not np.isfinite([lower, upper]).all():
        raise RobotDescriptionError(
            f"joint '{joint.name}' has the range {lower:g} to {upper:g}; make a joint without stops continuous, or "
            "write its range from the robot's data sheet into its <limit>"
        )
    if lower >= upper:
        raise RobotDescriptionError(
            f"joint '{joint.name}' has no range (lower {lower:g}, upper {upper:g}); give its "
            f"<limit> a lower below its upper, make it continuous, or do not control it"
        )
    return lower, upper


def _check_readable(joint: Joint, *keys: str) -> None:
    """Raise RobotDescriptionError if one of these limits is no number."""
    for key in keys:
        if key in joint.unreadable:
            raise RobotDescriptionError(
                f"<limit {key}> of joint '{joint.name}' must be 1 finite number(s), got '{joint.unreadable[key][:80]}'"
                "; write digits with a decimal point, and no unit"
            )


def _positive(joints: list[Joint], key: str) -> Array:
    """Return the limit `key` of every joint (n,); RobotDescriptionError names the first one that is not positive."""
    for joint in joints:
        _check_readable(joint, key)
        value = joint.limit.get(key, 0.0)
        if not 0.0 < value < np.inf:
            raise RobotDescriptionError(
                f"joint '{joint.name}' has no {key} limit ({value:g}); write {key}=\"...\" from "
                f"the robot's data sheet into its <limit>, or leave it out of 'joints'"
            )
    return np.array([joint.limit[key] for joint in joints])


def _frozen(array: Array) -> Array:
    array = np.array(array, dtype=np.float64)
    array.setflags(write=False)
    return array
