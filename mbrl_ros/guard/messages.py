"""What mpc_node tells the guard, and what the guard reports, as labelled lists of numbers (std_msgs/Float64MultiArray).

layout.dim[0].label names the layout and its version; the next labels are texts; then follow the fields in the order of
`data`, each with its name and size, and at last one label of size 0 for each joint, in the order of the commands.

Parameters, VERSION. Texts: the sender's full name, the robot's name, the interface, the anchor rule (ANCHORS).

    counter 1           counts the sender's messages: the heartbeat
    epoch 1             the guard's intervention that the sender knows of and has begun again after; -1: none
    time 1              by which time missing commands are noticed: Time
    period 1            [s] between two commands
    state_timeout 1     [s] age of the newest joint state from which on it is not used
    carry_time 1        [s] without joint states for longer, the effort is zero; a large value: never
    readers 1           how many readers of the guard's commands the sender knows, the robot's among them
    lower, upper n      limits of a command
    largest_step n      largest change of a command in a period
    velocity n          velocity limits          acceleration n      acceleration limits
    position_lower, position_upper n             position limits, infinite for a continuous joint
    mean n              the effort that carries the arm at rest; not used by the other interfaces
    inertia, damping, stiffness, integral        n n, row by row, or empty for the other interfaces (laws.py)

Status, STATUS_VERSION. Texts: the state, its cause, the name of the node whose commands are forwarded.

    state 1             Mode                epoch 1     number of the intervention
    at_rest 1           1: the safe command has come to rest
    lasted 1            [s] since commands were last forwarded
    forwarded, played, refused, interventions 1         counts
    u n                 the command that goes out, for efforts the one that carries the arm; empty: none
"""

from __future__ import annotations

import enum
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Message = Any  # std_msgs/Float64MultiArray, of rclpy or of a bag

VERSION, STATUS_VERSION = "mbrl_ros/guard_parameters/4", "mbrl_ros/guard_status/1"
INTERFACES = ("effort", "velocity", "position")
ANCHORS = ("brake", "present")
MOST_GUARDED_JOINTS, LONGEST_TEXT = 64, 256
LARGEST = 1e7  # no number of a robot is larger
LARGEST_WHOLE = 2.0**53  # a count: above it, not every whole number is one
SKEW = 1e-6  # of its largest entry by which a matrix may miss symmetry and sign
STATUS_COUNTS = ("forwarded", "played", "refused", "interventions")
SCALARS = ("counter", "epoch", "time", "period", "state_timeout", "carry_time", "readers")
VECTORS = ("lower", "upper", "largest_step", "velocity", "acceleration", "position_lower", "position_upper", "mean")
MATRICES = ("inertia", "damping", "stiffness", "integral")


class Mode(enum.IntEnum):
    """The guard's states; the values are the codes in its status."""

    WAITING = 0
    FORWARDING = 1
    ACTING = 2
    HOLD = 3
    E_STOP = 4


class Time(enum.IntEnum):
    """What mpc_node's periods are counted in, and so the guard's time-outs; the values are the codes in the message."""

    WALL = 0  # the processor's monotonic clock
    SIMULATED = 1  # /clock
    LOCKSTEP = 2  # states: each gets exactly one command, and no clock is read


class GuardMessageError(ValueError):
    """A message that is not what it should be."""


@dataclass(frozen=True, eq=False, slots=True)
class GuardParameters:
    """The content of a parameters message; see the top of this module."""

    source: str
    robot: str
    interface: str
    anchor: str
    joints: tuple[str, ...]
    counter: int
    epoch: int
    time: Time
    period: float
    state_timeout: float
    carry_time: float
    readers: int
    lower: Array
    upper: Array
    largest_step: Array
    velocity: Array
    acceleration: Array
    position_lower: Array
    position_upper: Array
    mean: Array
    inertia: Array
    damping: Array
    stiffness: Array
    integral: Array

    @property
    def n(self) -> int:
        """The number of joints."""
        return len(self.joints)

    def continues(self, other: GuardParameters) -> bool:
        """Return whether both mean the same joints, in the same order, by the same interface and in the same time."""
        return (self.joints, self.interface, self.time) == (other.joints, other.interface, other.time)


@dataclass(frozen=True, eq=False, slots=True)
class GuardStatus:
    """The content of a status message; see the top of this module."""

    mode: str
    cause: str
    source: str
    state: int
    epoch: int
    at_rest: bool
    lasted: float
    forwarded: int
    played: int
    refused: int
    interventions: int
    u: Array | None


# --- writing ----------------------------------------------------------------------------------------------------------


def write_parameters(parameters: GuardParameters, fill: Message, dimension: Any) -> Message:
    """Write `parameters` into the empty message `fill`; `dimension`: the class std_msgs.msg.MultiArrayDimension."""
    texts = (parameters.source, parameters.robot[:LONGEST_TEXT], parameters.interface, parameters.anchor)
    values = {name: getattr(parameters, name) for name in (*SCALARS, *VECTORS, *MATRICES)}
    return _write(fill, dimension, VERSION, texts, values, parameters.joints)


def write_status(status: GuardStatus, fill: Message, dimension: Any) -> Message:
    """Write `status` into the empty message `fill`; `dimension` as in write_parameters."""
    values = {name: getattr(status, name) for name in ("state", "epoch", "at_rest", "lasted", *STATUS_COUNTS)}
    values["u"] = () if status.u is None else status.u
    texts = (status.mode, status.cause[:LONGEST_TEXT], status.source)
    return _write(fill, dimension, STATUS_VERSION, texts, values, ())


def _write(
    fill: Message, dimension: Any, version: str, texts: Sequence[str], values: dict[str, Any], joints: Sequence[str]
) -> Message:
    arrays = {name: np.ravel(np.asarray(value, dtype=np.float64)) for name, value in values.items()}
    fill.data = array("d", np.concatenate(list(arrays.values())).tobytes())
    size = len(fill.data)
    fill.layout.dim = [
        dimension(label=version, size=size, stride=size),
        *(dimension(label=text, size=0, stride=0) for text in texts),
        *(dimension(label=name, size=value.size, stride=value.size) for name, value in arrays.items()),
        *(dimension(label=joint, size=0, stride=0) for joint in joints),
    ]
    return fill


# --- reading ----------------------------------------------------------------------------------------------------------


def read_parameters(message: Message) -> GuardParameters:
    """Read a parameters message.

    Raises
    ------
    GuardMessageError
        It has another layout, or a value that no robot has.
    """
    (source, robot, interface, anchor), values, joints = _read(message, VERSION, 4, (*SCALARS, *VECTORS, *MATRICES))
    n, found = len(joints), dict(values)
    if not 1 <= n <= MOST_GUARDED_JOINTS or len(set(joints)) != n or not all(joints):
        raise GuardMessageError(
            f"{n} joints with {len(set(joints))} names; from 1 to {MOST_GUARDED_JOINTS} are possible"
        )
    if interface not in INTERFACES or anchor not in ANCHORS:
        raise GuardMessageError(f"no such interface or anchor rule: {interface[:40]!r}, {anchor[:40]!r}")
    square = n * n if interface == "effort" else 0
    for names, size in ((SCALARS, 1), (VECTORS, n), (MATRICES, square)):
        for name in names:
            if values[name].size != size:
                raise GuardMessageError(f"'{name}' has {values[name].size} values instead of {size}")
    side = n if square else 0
    found.update({name: values[name].reshape(side, side) for name in MATRICES})
    scalars = {name: float(values[name][0]) for name in SCALARS}
    _check_numbers(scalars, found)
    if square:
        _check_matrices(np.stack([found[name] for name in MATRICES]))
    return GuardParameters(
        source,
        robot,
        interface,
        anchor,
        joints,
        int(scalars["counter"]),
        int(scalars["epoch"]),
        Time(int(scalars["time"])),
        scalars["period"],
        scalars["state_timeout"],
        scalars["carry_time"],
        int(scalars["readers"]),
        **{name: found[name] for name in (*VECTORS, *MATRICES)},
    )


def read_status(message: Message) -> GuardStatus:
    """Read a status message; GuardMessageError as in read_parameters."""
    names = ("state", "epoch", "at_rest", "lasted", *STATUS_COUNTS)
    (mode, cause, source), values, _ = _read(message, STATUS_VERSION, 3, (*names, "u"))
    if any(values[name].size != 1 or not math.isfinite(values[name][0]) for name in names):
        raise GuardMessageError("a field of the status has the wrong size or is not finite")
    u = values["u"] if values["u"].size else None
    if u is not None and not np.isfinite(u).all():
        raise GuardMessageError("the command in the status is not finite")
    numbers = {name: float(values[name][0]) for name in names}
    return GuardStatus(
        mode,
        cause,
        source,
        int(numbers["state"]),
        int(numbers["epoch"]),
        bool(numbers["at_rest"]),
        numbers["lasted"],
        **{name: int(numbers[name]) for name in STATUS_COUNTS},
        u=u,
    )


def _read(
    message: Message, version: str, texts: int, names: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, Array], tuple[str, ...]]:
    """Return (texts, {field: values}, joints) of a message with so many `texts` and exactly the fields `names`."""
    dim = message.layout.dim
    if not dim or dim[0].label != version:
        raise GuardMessageError(
            f"not a {version} message but {dim[0].label[:60]!r}" if dim else "a message without labels"
        )
    begin, first = 1 + texts, 1 + texts + len(names)
    if not first <= len(dim) <= first + MOST_GUARDED_JOINTS:
        raise GuardMessageError(f"{len(dim)} labels instead of {first} and one for each joint")
    if any(len(entry.label) > LONGEST_TEXT for entry in dim):
        raise GuardMessageError(f"a label of more than {LONGEST_TEXT} characters")
    fields = dim[begin:first]
    if [entry.label for entry in fields] != list(names):
        raise GuardMessageError("its fields are not those of this layout")
    data = np.asarray(message.data, dtype=np.float64)
    if sum(entry.size for entry in fields) != data.size:
        raise GuardMessageError(f"{data.size} values where the labels announce {sum(entry.size for entry in fields)}")
    values, at = {}, 0
    for entry in fields:
        values[entry.label] = data[at : at + entry.size].copy()
        at += entry.size
    return tuple(entry.label for entry in dim[1:begin]), values, tuple(entry.label for entry in dim[first:])


def _check_numbers(scalars: dict[str, float], arrays: dict[str, Array]) -> None:
    for name, value in scalars.items():
        if not abs(value) <= LARGEST_WHOLE:
            raise GuardMessageError(f"'{name}' is {value}")
    whole = 0.0, LARGEST_WHOLE
    bounds = {"period": (1e-4, 1.0), "state_timeout": (1e-3, 10.0), "carry_time": whole, "readers": whole}
    for name, (low, high) in bounds.items():
        if not low <= scalars[name] <= high:
            raise GuardMessageError(f"'{name}' must lie in [{low:g}, {high:g}], got {scalars[name]:g}")
    if scalars["time"] not in list(Time):
        raise GuardMessageError(f"'time' is {scalars['time']:g}")
    for name in (*VECTORS, *MATRICES):
        open_ended = name in ("position_lower", "position_upper")
        allowed = np.abs(arrays[name]) <= LARGEST
        if open_ended:
            allowed |= np.isinf(arrays[name])
        if not allowed.all():
            raise GuardMessageError(f"'{name}' holds a value that is not finite or beyond {LARGEST:g}")
    for name in ("largest_step", "velocity", "acceleration"):
        if not (arrays[name] > 0.0).all():
            raise GuardMessageError(f"'{name}' must be positive")
    for lower, upper in (("lower", "upper"), ("position_lower", "position_upper")):
        if not (arrays[lower] < arrays[upper]).all():
            raise GuardMessageError(f"'{lower}' must be below '{upper}'")


def _check_matrices(stack: Array) -> None:
    """Inertia, damping, stiffness and integral (4, n, n) must be symmetric and not negative."""
    tolerance = SKEW * np.abs(stack).max(axis=(1, 2), keepdims=True)
    if (np.abs(stack - stack.transpose(0, 2, 1)) > tolerance).any():
        raise GuardMessageError("a gain matrix is not symmetric")
    if (np.linalg.eigvalsh(stack)[:, :1] < -tolerance[:, 0]).any():
        raise GuardMessageError("a gain matrix has a negative eigenvalue")
