"""Play a bag in its own time: which messages, when, and the ticks of /clock between them. Without ROS.

The message with stamp t is due at begin + (t - t_first) / rate; pauses are added to that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator

from ..config.sections.nodes import ReplayNodeSettings
from ..data.salvage import Raw
from ..data.stream import BagStream


class BagPlayback:
    """The playback of `topics` of a bag: run() in one thread, pause(), resume() and stop() from any."""

    def __init__(
        self,
        bag: BagStream,
        topics: Collection[str],
        settings: ReplayNodeSettings,
        *,
        publish: Callable[[Raw], None],
        tick: Callable[[int], None],
    ):
        """Prepare a playback.

        Parameters
        ----------
        bag
            The messages.
        topics
            Topics to play.
        settings
            Rate, section of the bag, loop, rate of the clock.
        publish
            Is given every message when it is due.
        tick
            Is given the stamp [ns] of every tick of the clock, unless settings.clock_rate is 0.
        """
        self._bag, self._topics, self._settings = bag, topics, settings
        self._publish, self._tick = publish, tick
        self._playing = threading.Event()
        self._stopping = False
        if not settings.paused:
            self._playing.set()

    @property
    def playing(self) -> bool:
        """Whether it is not paused."""
        return self._playing.is_set()

    @property
    def stopping(self) -> bool:
        """Whether stop() was called."""
        return self._stopping

    def pause(self) -> None:
        """Let no further message be published until resume()."""
        self._playing.clear()

    def resume(self) -> None:
        """Go on where pause() stopped."""
        self._playing.set()

    def stop(self) -> None:
        """End run() before its next message."""
        self._stopping = True
        self._playing.set()

    def run(self) -> tuple[int, int]:
        """Play the bag, again and again if settings.loop; return (messages, passes through the bag)."""
        count = passes = 0
        while True:
            played = self._play_once()
            count, passes = count + played, passes + 1
            if self._stopping or not played or not self._settings.loop:
                return count, passes

    def _play_once(self) -> int:
        count, first, begin = 0, 0, 0.0
        for stamp, message in self._with_clock(self._selected()):
            if not begin:
                first, begin = stamp, time.perf_counter()
            begin += self._sleep_until(begin + 1e-9 * (stamp - first) / self._settings.rate)
            if self._stopping:
                break
            if message is None:
                self._tick(stamp)
            else:
                self._publish(message)
                count += 1
        return count

    def _selected(self) -> Iterator[Raw]:
        """Yield the messages from settings.begin to settings.end; the robot's description always."""
        first = None
        for message in self._bag.messages(self._topics):
            first = message[2] if first is None else first
            since = 1e-9 * (message[2] - first)
            if since > self._settings.end:
                return
            if since >= self._settings.begin or message[0].endswith("robot_description"):
                yield message

    def _with_clock(self, messages: Iterator[Raw]) -> Iterator[tuple[int, Raw | None]]:
        """Yield (stamp [ns], message), and (stamp, None) for every tick of the clock that is due before it."""
        if not self._settings.clock_rate:
            yield from ((message[2], message) for message in messages)
            return
        step, due = round(1e9 / self._settings.clock_rate), None
        for message in messages:
            due = message[2] if due is None else due
            while due <= message[2]:
                yield due, None
                due += step
            yield message[2], message

    def _sleep_until(self, due: float) -> float:
        """Sleep until `due` [s] by perf_counter and return how long [s] the pauses lasted that came in between."""
        paused = 0.0
        while not self._stopping:
            if not self._playing.is_set():
                since = time.perf_counter()
                self._playing.wait()
                paused += time.perf_counter() - since
            left = due + paused - time.perf_counter()
            if left <= 0.0:
                break
            time.sleep(min(left, 0.05))
        return paused
