"""What is noted of a target when it comes in, before another thread takes it up: in between it may be canceled."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, NamedTuple

from ..messages.readers import seconds
from ..runtime.control_loop import ControlLoop


class Receipt(NamedTuple):
    """A target's topic and the stamp of its header [s]; how often targets had been forgotten when it came.

    number: counts the messages of this topic with the stamp 0, which have no other name; now: the stamp of the newest
    state when it came [s].
    """

    topic: str
    stamp: float
    forgotten: int
    number: int
    now: float


class Receipts:
    """The receipts of a control loop's targets, in the thread of the subscriptions.

    now: the stamp of the newest state [s], NaN before the first.
    """

    def __init__(self, loop: ControlLoop):
        self._loop = loop
        self._received: Counter[str] = Counter()
        self.now = math.nan

    def take(self, topic: str, message: Any) -> Receipt:
        """Return the receipt of a message that has just come."""
        stamp = seconds(message.header.stamp)
        if not stamp:
            self._received[topic] += 1
        return Receipt(topic, stamp, self._loop.controller.targets_forgotten, self._received[topic], self.now)

    def refused(self, receipt: Receipt) -> None:
        """Record that a target was refused, so that a replay finds it among those with the same stamp."""
        newer = 0 if receipt.stamp else self._received[receipt.topic] - receipt.number
        self._loop.target_refused(receipt.topic, receipt.stamp, newer)
