"""The encoding of a supervision sample, read without ROS: from rclpy's messages as well as from those of a bag.

A sample is a Float64MultiArray. layout.dim[0].label names the encoding's version, dim[1].label the robot it comes from
(the node's full name), dim[2].label the kind of target ("joints", "point", "features"); dim[3:] are the fields in the
order of `data`, each with its name and size:

    sequence 1   counts the node's samples, so that a reader sees how many it lost
    stamp 1      [s] of the state      epoch 1   counts targets      task 1   number of the task
    target nt    q* [rad], p* [m] or s* [image coordinates]
    q n, qd n    [rad, rad/s]          a n       mean acceleration over the last window [rad/s^2]
    w n          mean command over the last window
    u n          the teacher's mean command of the next window
    P n (n+1)/2  upper triangle of its precision Q_uu, row by row
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..distillation.dataset import Supervision
from ..exceptions import DataError

VERSION = "mbrl_ros/supervision/1"
MOST_VALUES = 100_000


def read(message: Any) -> tuple[Supervision, int]:
    """Return the sample and its sequence number.

    Raises
    ------
    DataError
        if the message is not such a sample.
    """
    dim, data = message.layout.dim, np.asarray(message.data)
    if not dim or dim[0].label != VERSION:
        raise DataError(f"not a {VERSION} message but '{dim[0].label[:60] if dim else ''}'")
    if len(dim) < 4 or data.size > MOST_VALUES or sum(d.size for d in dim[3:]) != data.size:
        raise DataError("its sizes do not fit its data")
    fields, at = {}, 0
    for d in dim[3:]:
        fields[d.label] = data[at : at + d.size]
        at += d.size
    try:
        n = fields["q"].size
        P = np.zeros((n, n))
        P[np.triu_indices(n)] = fields["P"]
        P = P + np.triu(P, 1).T
        sequence, stamp, epoch, task = (float(fields[name][0]) for name in ("sequence", "stamp", "epoch", "task"))
        if not (np.isfinite([sequence, stamp, epoch, task]).all()):
            raise ValueError("stamp or counts are not finite")
        return Supervision(
            stamp,
            dim[2].label,
            fields["target"],
            int(task),
            int(epoch),
            fields["q"],
            fields["qd"],
            fields["a"],
            fields["w"],
            fields["u"],
            P,
            dim[1].label,
        ), int(sequence)
    except (KeyError, ValueError, IndexError) as error:
        raise DataError(f"a field is missing or has the wrong size: {error}") from None
