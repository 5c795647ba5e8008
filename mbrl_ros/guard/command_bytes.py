"""Read the label and the values of a serialized std_msgs/Float64MultiArray, and a stamp or /clock, without a message.

A command comes 200 times a second and more, and its message object would cost more time than all else that the guard
does with it. The encoding is CDR (OMG DDS-XTypes 1.3, sec. 7.4): 4 bytes of header, of which the second is 1 for plain
CDR with the least significant byte first; then

    uint32 count of dimensions, each: string label, uint32 size, uint32 stride;     uint32 data_offset
    uint32 count of values, and from the next multiple of 8 on the values, 8 bytes each

The label is the stamp [s] of the state that a command answers, or says that it is the guard's own. Where mpc_node sends
its commands to the robot's controller too, because it does not hear the guard, those to the guard end in PAST_GUARD: so
the guard knows, and mpc_node tells its own commands from those that the guard forwards again.

A message that begins with a std_msgs/Header or a builtin_interfaces/Time begins with int32 seconds and uint32
nanoseconds. A number begins at a multiple of its size, counted from the end of the header; a string is its length with
the final zero as uint32, then its bytes.
"""

from __future__ import annotations

import struct

MOST_DIMENSIONS = 256
GUARD_LABEL = "guard"  # of the guard's own commands
PAST_GUARD = " past guard"  # ends the label of what mpc_node sends to a guard past which it commands the arm
_UINT32, _TIME = struct.Struct("<I"), struct.Struct("<iI")


def read_command(raw: bytes) -> tuple[str, tuple[float, ...]] | None:
    """Return (label of the first dimension or '', values), None if the bytes are not encoded like this."""
    try:
        if raw[:2] != b"\x00\x01":
            return None
        (count,) = _UINT32.unpack_from(raw, 4)
        if count > MOST_DIMENSIONS:
            return None
        at, label = 8, ""
        for i in range(count):
            (length,) = _UINT32.unpack_from(raw, at)
            if i == 0:
                label = raw[at + 4 : at + 3 + length].decode()
            at += 12 + (length + 3 & ~3)
        (size,) = _UINT32.unpack_from(raw, at + 4)
        begin = (at + 4 + 7 & ~7) + 4  # of the values: a multiple of 8 after the header
        return label, struct.unpack_from(f"<{size}d", raw, begin) if 8 * size <= len(raw) else ()
    except (struct.error, UnicodeDecodeError):
        return None


def read_stamp(raw: bytes) -> float | None:
    """Return the stamp [s] of a message that begins with a header, None if the bytes are not encoded like this."""
    if raw[:2] != b"\x00\x01" or len(raw) < 12:
        return None
    seconds, nanoseconds = _TIME.unpack_from(raw, 4)
    return float(seconds + 1e-9 * nanoseconds)


def read_nanoseconds(raw: bytes) -> int | None:
    """Return the time [ns] of a message that begins with one, None if the bytes are not encoded like this."""
    if raw[:2] != b"\x00\x01" or len(raw) < 12:
        return None
    seconds, nanoseconds = _TIME.unpack_from(raw, 4)
    return int(seconds * 10**9 + nanoseconds)
