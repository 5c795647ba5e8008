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
from ..types import Array

VERSION = "mbrl_ros/supervision/1"
MOST_VALUES, SAMPLE_JOINTS, SAMPLE_TARGETS, MOST_FIELDS = 10_000, 64, 1000, 32
LARGEST_SAMPLE = 128 * 1024  # bytes of a serialized sample
LONGEST_NAME = 255  # characters; ROS allows no longer name of a node
LARGEST_SAMPLE_VALUE = 1e6  # nothing in rad, m, their derivatives, N m or N is larger; nor is an image coordinate
LARGEST_PRECISION = 1e12
LARGEST_COUNT = 2.0**53  # whole numbers up to here are exact


def read(message: Any) -> tuple[Supervision, int]:
    """Return the sample and its sequence number.

    Sizes are checked before anything is allocated for them: P (n, n) is larger than the message.

    Raises
    ------
    DataError
        if the message is not such a sample, or holds what no robot measures.
    """
    dim = message.layout.dim
    if not dim or dim[0].label != VERSION:
        raise DataError(f"not a {VERSION} message but '{dim[0].label[:60] if dim else ''}'")
    if len(message.data) > MOST_VALUES or len(dim) > MOST_FIELDS:
        raise DataError(f"{len(message.data)} values in {len(dim)} parts are no sample")
    data = np.asarray(message.data, dtype=np.float64)
    if len(dim) < 4 or sum(d.size for d in dim[3:]) != data.size:
        raise DataError("its sizes do not fit its data")
    if any(len(d.label) > LONGEST_NAME for d in dim):
        raise DataError(f"a name has more than {LONGEST_NAME} characters")
    fields: dict[str, Array] = {}
    at = 0
    for d in dim[3:]:
        if d.label in fields:
            raise DataError(f"the field '{d.label}' occurs twice")
        fields[d.label] = data[at : at + d.size]
        at += d.size
    _check(fields)
    n = fields["q"].size
    P = np.zeros((n, n))
    P[np.triu_indices(n)] = fields["P"]
    P = P + np.triu(P, 1).T
    sequence, stamp, epoch, task = (float(fields[name][0]) for name in COUNTS)
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


COUNTS = ("sequence", "stamp", "epoch", "task")


def _check(fields: dict[str, Array]) -> None:
    """Raise DataError unless every field is there, with the size and of a magnitude that it can have."""
    if "q" not in fields:
        raise DataError("a field is missing or has the wrong size: 'q'")
    n = fields["q"].size
    sizes = {**dict.fromkeys(COUNTS, 1), **dict.fromkeys(("q", "qd", "a", "w", "u"), n), "P": n * (n + 1) // 2}
    if not 1 <= n <= SAMPLE_JOINTS:
        raise DataError(f"a sample of {n} joints; there can be 1 to {SAMPLE_JOINTS}")
    for name, size in sizes.items():
        if name not in fields or fields[name].size != size:
            given = fields[name].size if name in fields else "none"
            raise DataError(f"a field is missing or has the wrong size: '{name}' must have {size} values, got {given}")
    if "target" not in fields or not 1 <= fields["target"].size <= SAMPLE_TARGETS:
        raise DataError("a field is missing or has the wrong size: 'target'")
    for name, values in fields.items():
        most = LARGEST_COUNT if name in COUNTS else LARGEST_PRECISION if name == "P" else LARGEST_SAMPLE_VALUE
        if not (np.abs(values) <= most).all():  # NaN too
            raise DataError(f"'{name}' is not finite, or larger than {most:g}")
