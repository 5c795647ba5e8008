"""From messages of /tf and /tf_static to a buffer of transforms."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..robots.transform_buffer import TransformBuffer
from .readers import Message, seconds


def add_transforms(message: Message, buffer: TransformBuffer, *, static: bool, latest: float) -> Counter[str]:
    """Add the transforms of a tf2_msgs/TFMessage to a buffer.

    Parameters
    ----------
    message
        with the fields of a TFMessage.
    buffer
        takes what is well-formed.
    static
        whether they hold for ever.
    latest
        stamps later than this [s] are not believed: a buffer forgets what is much older than its newest stamp.

    Returns
    -------
    Counter
        How many were left out, by reason.
    """
    left_out: Counter[str] = Counter()
    for transform in message.transforms:
        stamp = seconds(transform.header.stamp)
        p, o = transform.transform.translation, transform.transform.rotation
        reason = (
            "stamped in the future"
            if stamp > latest and not static
            else buffer.add(
                transform.header.frame_id,
                transform.child_frame_id,
                stamp,
                np.array((p.x, p.y, p.z)),
                np.array((o.x, o.y, o.z, o.w)),
                static=static,
            )
        )
        if reason:
            left_out[reason] += 1
    return left_out
