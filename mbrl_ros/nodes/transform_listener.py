"""The transforms of /tf and /tf_static, kept as they came until a target needs them.

Making objects of all of them takes time from the control thread, and most are never asked for.
"""

from __future__ import annotations

import math
import struct
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.serialization import deserialize_message

from ..messages.transforms import add_transforms
from ..robots.transform_buffer import TransformBuffer
from . import qos

LARGEST_TRANSFORMS = 262144  # [bytes] of a message: some thousand transforms
MOST_WAITING_BYTES, MOST_STATIC = 2**24, 1000  # of messages that wait; messages of /tf_static that do
STAMP_OFFSET = 8  # where the stamp of the first transform begins in a message: after the encoding and their number


def transform_type() -> Any | None:
    """Return the type of the messages, None where tf2_msgs is not installed."""
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        return None
    return TFMessage


class TransformListener:
    """Subscribe `node` to messages of the type `kind`, and fill `buffer` with the last `memory` [s] at each `update`.

    count(what) is told what is left out. now: the stamp of the newest state [s], NaN before the first. Messages come in
    the executor's thread; `update` may be called in another one.
    """

    def __init__(self, node: Node, kind: Any, buffer: TransformBuffer, memory: float, count: Callable[[str], None]):
        self._node, self._kind, self._buffer, self._memory, self._count = node, kind, buffer, memory, count
        self._lock, self.now = threading.Lock(), math.nan
        self._static: list[bytes] = []
        self._moving: deque[bytes] = deque()
        self._bytes, self._begun_anew = 0, False
        self.subscriptions = [
            node.create_subscription(kind, topic, callback, profile, raw=True)
            for topic, callback, profile in (
                ("/tf", self._on_moving, qos.TRANSFORMS),
                ("/tf_static", self._on_static, qos.STATIC_TRANSFORMS),
            )
        ]

    def destroy(self) -> None:
        """Release the subscriptions."""
        for subscription in self.subscriptions:
            self._node.destroy_subscription(subscription)

    def begin_anew(self) -> None:
        """Forget what has a stamp: time has begun anew."""
        with self._lock:
            self._moving.clear()
            self._bytes, self._begun_anew = 0, True

    def update(self) -> None:
        """Add what has come to the buffer."""
        with self._lock:
            static, self._static = self._static, []
            moving, self._moving, self._bytes = self._moving, deque(), 0
            begun_anew, self._begun_anew = self._begun_anew, False
        if begun_anew:
            self._buffer.clear_moving()
        latest = math.inf if math.isnan(self.now) else self.now + self._memory
        for messages, is_static in ((static, True), (moving, False)):
            for raw in messages:
                message = deserialize_message(raw, self._kind)
                for reason in add_transforms(message, self._buffer, static=is_static, latest=latest).elements():
                    self._count(f"transforms left out: {reason}")

    def _on_static(self, raw: bytes) -> None:
        if self._suitable(raw):
            with self._lock:
                full = len(self._static) >= MOST_STATIC
                if not full:
                    self._static.append(raw)
            if full:
                self._count("transforms left out: too many messages on /tf_static wait")

    def _on_moving(self, raw: bytes) -> None:
        if not self._suitable(raw):
            return
        with self._lock:
            self._moving.append(raw)
            self._bytes += len(raw)
            earliest = self.now - self._memory  # NaN: nothing is too old
            while self._moving and (self._bytes > MOST_WAITING_BYTES or _first_stamp(self._moving[0]) < earliest):
                self._bytes -= len(self._moving.popleft())

    def _suitable(self, raw: bytes) -> bool:
        if len(raw) <= LARGEST_TRANSFORMS:
            return True
        self._count("transforms left out: message too large")
        return False


def _first_stamp(raw: bytes) -> float:
    """Return the stamp [s] of the first transform of a serialized message; infinity if it has none."""
    if len(raw) < STAMP_OFFSET + 8:
        return math.inf
    second, nanosecond = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, STAMP_OFFSET)
    return float(second + 1e-9 * nanosecond)
