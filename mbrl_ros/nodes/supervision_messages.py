"""Write supervision samples, and write and read policies, as standard messages.

A sample is a Float64MultiArray, encoded as messages/supervision.py says. A policy is a UInt8MultiArray with the bytes
of a policy file, latched; layout.dim[0].label names the version.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, UInt8MultiArray

from ..distillation.dataset import Supervision
from ..distillation.policy import Policy, from_bytes
from ..exceptions import DataError
from ..messages.supervision import VERSION
from ..types import Array

POLICY_VERSION = "mbrl_ros/policy/1"


def to_message(sample: Supervision, sequence: int, source: str) -> Float64MultiArray:
    """Write a sample with its number `sequence` at its source, the full name of the node that publishes it."""
    n = sample.q.size
    values: dict[str, Sequence[float] | Array] = {
        "sequence": [sequence],
        "stamp": [sample.stamp],
        "epoch": [sample.epoch],
        "task": [sample.task],
        "target": sample.target,
        "q": sample.q,
        "qd": sample.qd,
        "a": sample.a,
        "w": sample.w,
        "u": sample.u,
        "P": sample.P[np.triu_indices(n)],
    }
    message = Float64MultiArray(data=array("d", np.concatenate([np.asarray(v, dtype=float) for v in values.values()])))
    message.layout.dim = [
        MultiArrayDimension(label=VERSION, size=len(message.data), stride=len(message.data)),
        MultiArrayDimension(label=source),
        MultiArrayDimension(label=sample.kind),
        *(MultiArrayDimension(label=name, size=len(v), stride=len(v)) for name, v in values.items()),
    ]
    return message


def to_policy_message(policy: Policy) -> UInt8MultiArray:
    """Write a policy: the bytes of its file."""
    content = policy.to_bytes()
    message = UInt8MultiArray(data=array("B", content))
    message.layout.dim = [MultiArrayDimension(label=POLICY_VERSION, size=len(content), stride=len(content))]
    return message


def read_policy(message: UInt8MultiArray) -> Policy:
    """Read a policy; DataError if the message holds none, or a damaged one."""
    dim = message.layout.dim
    if not dim or dim[0].label != POLICY_VERSION:
        raise DataError(f"not a {POLICY_VERSION} message but '{dim[0].label[:60] if dim else ''}'")
    return from_bytes(bytes(message.data))
