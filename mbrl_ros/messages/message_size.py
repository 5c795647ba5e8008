"""How long serialized messages may be, in bytes: a longer one is refused before a message object is made of it.

What a message needs follows from the n joints and the P image points; `largest` bytes more are for further joints or
fields, and for frame ids. A message begins with 4 bytes that tell its encoding (OMG DDS-XTypes 1.3, sec. 7.4: CDR, the
last bit of the second one is set if the least significant byte comes first); one with a header goes on with its stamp,
a MultiArray with the number of its dimensions.
"""

from __future__ import annotations

import struct

from ..references.targets import LONGEST_TRAJECTORY

PER_JOINT = 512  # a name, and position, velocity and effort
PER_POINT = 256  # the fields of an image point
PER_WAYPOINT = (64, 32)  # of a trajectory: for itself, and for each joint
STAMP_END = 12
MOST_LABELS = 32


def largest_sizes(joints: int, points: int, largest: int) -> dict[str, int]:
    """Return {topic: bytes} of what mpc_node reads in its control loop's place."""
    states, cloud = largest + PER_JOINT * joints, largest + PER_POINT * points
    once, each = PER_WAYPOINT
    return {
        "joint_states": states,
        "features": cloud,
        "features_vector": cloud,
        "target_joints": states,
        "target_point": largest,
        "target_pose": largest,
        "target_twist": largest,
        "target_velocities": states,
        "target_jog": states,
        "target_features": cloud,
        "target_trajectory": states + LONGEST_TRAJECTORY * (once + each * joints),
    }


def stamp_of(raw: bytes) -> float:
    """Return the header stamp [s] of a serialized message; 0 if it is too short to have one."""
    if len(raw) < STAMP_END:
        return 0.0
    second, nanosecond = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, 4)
    return float(second + 1e-9 * nanosecond)


def dimensions_of(raw: bytes) -> int:
    """Return how many dimensions a serialized MultiArray has; each is an object. -1 if it is too short for one."""
    if len(raw) < STAMP_END:
        return -1
    (count,) = struct.unpack_from("<I" if raw[1] & 1 else ">I", raw, 4)
    return int(count)


def too_large(topic: str, size: int, largest: int) -> str:
    """Return in words that a message of `size` bytes on `topic` was refused, of which at most `largest` are read."""
    return f"{topic}: a message of {size} bytes, was not read; at most {largest} are"
