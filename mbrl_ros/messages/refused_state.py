"""Whether a refused message was meant for a state of this robot: in lockstep its sender waits for a command."""

from __future__ import annotations

from .readers import JointStateReader, Message


def refused(reader: JointStateReader, message: Message, before: int) -> bool:
    """Return whether the message that was read last names joints of the robot and was refused, but is no repetition.

    Parameters
    ----------
    reader
        which has read it.
    message
        with the fields of a JointState.
    before
        how many messages the reader's gate had refused before it.
    """
    if reader.repeated or reader.gate.rejected.total() <= before:
        return False
    return bool(len(reader.order.some(message.name)[0]))
