"""The messages of a bag by their roles, decoded, in the order in which they were recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..data.stream import Decoder
from ..messages.message_size import largest_sizes
from ..messages.readers import Message
from .notes import BagClock
from .setup import Setup
from .timeline import RecordedTick, StatusReader, Timeline

ROLE_OF = {"joint_states": "states"}  # of topics that are called otherwise
FROM_THE_BEGINNING = ("session", "description", "parameters", "policy")  # roles read even before the chosen range


class BagReader:
    """Reads the chosen range of a bag; a status becomes the `RecordedTick` that `timeline` makes of it.

    `messages` counts what is there, `too_large` those of them that are not read, as in the node. begin, end [s] count
    from the bag's first message.
    """

    def __init__(self, setup: Setup, timeline: Timeline, clock: BagClock, begin: float, end: float):
        self._setup, self._timeline, self._clock = setup, timeline, clock
        self._begin, self._end = (round(1e9 * min(seconds, 1e9)) for seconds in (begin, end))
        self._decoder = Decoder(setup.stream)
        self._status = StatusReader(self._decoder)
        sizes = largest_sizes(setup.robot.n, setup.configuration.features.points, setup.node.largest_message)
        self._sizes = {ROLE_OF.get(topic, topic): size for topic, size in sizes.items()}
        self.messages, self.too_large = 0, 0

    @property
    def broken(self) -> Counter[str]:
        """{topic: how many of its messages could not be decoded}."""
        return self._decoder.broken

    def read(self) -> Iterator[tuple[float, str, Message | RecordedTick]]:
        """Yield (arrival [s], role, message)."""
        roles, first = self._setup.roles, None
        for topic, kind, stamp, data in self._setup.stream.messages(roles):
            arrived = 1e-9 * stamp
            if first is None:
                first = stamp
                self._clock.begin(arrived)
            since, role = stamp - first, roles[topic]
            if since > self._end or since < self._begin and role not in FROM_THE_BEGINNING:
                continue
            self.messages += 1
            if len(data) > self._sizes.get(role, len(data)):  # as the node
                self.too_large += 1
                continue
            if role == "status":
                values = self._status.read(topic, kind, data)
                message = self._timeline.add_status(values) if values is not None else None
            else:
                message = self._decoder.decode(topic, kind, data)
            if message is not None:
                yield arrived, role, message
