"""replay_node: plays a bag over DDS in its own time: a player for where `ros2 bag play` is not, and for shadow controllers.

Publishes the bag's messages as they were serialised, with the quality of service they were offered with (latched ones
are sent first), and /clock, the bag's time, so that nodes with use_sim_time live in it. What commands a robot, and what
the recorded controller said, is left out unless asked for. Services: ~/pause, ~/resume (std_srvs/Trigger).
"""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
import json
import sys
import threading
import time
from collections.abc import Iterator

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from ..config.section import Section, setting
from ..data.salvage import Raw
from ..data.stream import BagStream, Decoder
from ..exceptions import DataError
from .message_types import message_class
from .message_writers import to_time
from .parameters import Parameters
from .process import EndRequest, run

SESSION = "/mbrl_session"
COMMANDING = ("commands", "trajectory_commands", "command", "cmd_vel", "joint_trajectory")  # last parts of topics
OURS = ("/clock", SESSION, "/parameter_events", "/rosout", "/diagnostics")  # not played unless asked for


@dataclasses.dataclass(frozen=True)
class LiveSettings(Section):
    """replay_node."""

    bag: str = setting("", "rosbag2 folder, .db3 or .mcap")
    rate: float = setting(1.0, "of time: 2 plays twice as fast", low=0.01, high=100.0)
    begin: float = setting(0.0, "seconds of the bag left out at its beginning", unit="s", low=0.0)
    end: float = setting(1e9, "seconds of the bag after which it ends", unit="s", low=0.0)
    loop: bool = setting(False, "begin again at the end; stamps and /clock begin again too")
    paused: bool = setting(False, "wait for ~/resume")
    keys: bool = setting(False, "the Enter key pauses and resumes")
    clock_rate: float = setting(100.0, "of /clock; 0: none", unit="Hz", low=0.0, high=1000.0)
    readers: int = setting(1, "wait until so many nodes read the joint states", low=0)
    patience: float = setting(10.0, "begin without them after so long", unit="s", low=0.0)
    topics: tuple[str, ...] = setting((), "patterns of the topics to play; empty: all but those that command a robot")


class ReplayNode(Node):
    """Publishes from a thread of its own."""

    def __init__(self, end: EndRequest, **options):
        super().__init__("replay_node", automatically_declare_parameters_from_overrides=True, **options)
        self._end = end
        self.settings = Parameters(self, {"": LiveSettings}).sections[""]
        if not self.settings.bag:
            raise DataError("which bag? Set the parameter 'bag'")
        self._bag = BagStream(self.settings.bag)
        self._recorded = recorded_node(self._bag)
        self._topics = {name: kind for name, (kind, count) in self._bag.topics.items() if count and self._played(name)}
        if not self._topics:
            raise DataError(f"{self.settings.bag}: nothing to play among {sorted(self._bag.topics)}")
        self._publishers_by_topic = {
            name: self.create_publisher(message_class(kind), name, self._offered(name))
            for name, kind in self._topics.items()
        }
        self._clock_publisher = (
            self.create_publisher(Clock, "/clock", QoSProfile(depth=1)) if self.settings.clock_rate else None
        )
        self._going = threading.Event()
        self._stopping = False
        if not self.settings.paused:
            self._going.set()
        self.create_service(Trigger, "~/pause", lambda request, response: self._switch(response, False))
        self.create_service(Trigger, "~/resume", lambda request, response: self._switch(response, True))
        self._playing = threading.Thread(target=self._play, name="player", daemon=True)

    def begin(self) -> None:
        self._playing.start()
        if self.settings.keys:
            threading.Thread(target=self._heed_keys, daemon=True).start()

    def end(self) -> None:
        self._stopping = True
        self._going.set()
        if self._playing.is_alive():
            self._playing.join()

    def _played(self, topic: str) -> bool:
        if self.settings.topics:
            return any(fnmatch.fnmatchcase(topic, pattern) for pattern in self.settings.topics)
        last = topic.rsplit("/", 1)[-1]
        said = self._recorded and topic.startswith(f"{self._recorded}/") and not last.startswith("target_")
        return topic not in OURS and last not in COMMANDING and not said

    def _offered(self, topic: str) -> QoSProfile:
        """As recorded where the bag says; robot_description is latched anyway."""
        profiles = self._bag.qos(topic)
        latched = topic.endswith("robot_description") or any(p.durability.name == "TRANSIENT_LOCAL" for p in profiles)
        reliable = not any(p.reliability.name == "BEST_EFFORT" for p in profiles)
        return QoSProfile(
            depth=max([10, *(p.depth for p in profiles)]),
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )

    def _switch(self, response: Trigger.Response, going: bool) -> Trigger.Response:
        (self._going.set if going else self._going.clear)()
        response.success, response.message = True, f"{'playing' if going else 'paused'} {self.settings.bag}"
        return response

    def _heed_keys(self) -> None:
        for _ in sys.stdin:
            going = not self._going.is_set()
            (self._going.set if going else self._going.clear)()
            self.get_logger().info("playing" if going else "paused; Enter goes on")

    # --- in the player's thread -------------------------------------------------------------------------------------

    def _play(self) -> None:
        try:
            self._wait_for_readers()
            count = 0
            for turn in itertools.count():
                played = self._turn()
                count += played
                if self._stopping or not played or not self.settings.loop:
                    break
            self.get_logger().info(f"{count} messages played" + ("" if turn == 0 else f" in {turn + 1} turns"))
            for note in self._bag.notes:
                self.get_logger().warning(note)
        except Exception as error:
            self.get_logger().error(f"cannot go on playing: {error}")
            self._end.set(1)
            return
        if not self._stopping:
            for publisher in self._publishers_by_topic.values():
                publisher.wait_for_all_acked()
            self._end.set(0)

    def _wait_for_readers(self) -> None:
        states = [
            publisher
            for name, publisher in self._publishers_by_topic.items()
            if self._topics[name].endswith("/JointState")
        ] or list(self._publishers_by_topic.values())
        end = time.monotonic() + self.settings.patience
        while self.settings.readers and not self._stopping and time.monotonic() < end:
            if max(publisher.get_subscription_count() for publisher in states) >= self.settings.readers:
                return
            self._end.wait(0.05)

    def _turn(self) -> int:
        """Once through the bag; the messages played."""
        count, first, begin = 0, 0, 0.0
        for stamp, message in self._with_clock(self._chosen()):
            if not begin:
                first, begin = stamp, time.perf_counter()
            begin += self._sleep_until(begin + 1e-9 * (stamp - first) / self.settings.rate)
            if self._stopping:
                break
            if message is None:
                self._clock_publisher.publish(Clock(clock=to_time(1e-9 * stamp)))
            else:
                self._publishers_by_topic[message[0]].publish(message[3])
                count += 1
        return count

    def _chosen(self) -> Iterator[Raw]:
        first = None
        for message in self._bag.messages(self._topics):
            first = message[2] if first is None else first
            since = 1e-9 * (message[2] - first)
            if since > self.settings.end:
                return
            if since >= self.settings.begin or message[0].endswith("robot_description"):
                yield message

    def _with_clock(self, messages: Iterator[Raw]) -> Iterator[tuple[int, Raw | None]]:
        """Messages by their stamps, with a tick of the clock before each and at the clock's rate between them."""
        if self._clock_publisher is None:
            yield from ((message[2], message) for message in messages)
            return
        step, due = round(1e9 / self.settings.clock_rate), None
        for message in messages:
            due = message[2] if due is None else due
            while due <= message[2]:
                yield due, None
                due += step
            yield message[2], message

    def _sleep_until(self, due: float) -> float:
        """Sleep until `due` by perf_counter; how long the pause lasted that came in between."""
        paused = 0.0
        while not self._stopping:
            if not self._going.is_set():
                since = time.perf_counter()
                self._going.wait()
                paused += time.perf_counter() - since
            left = due + paused - time.perf_counter()
            if left <= 0.0:
                break
            time.sleep(min(left, 0.05))
        return paused


def recorded_node(bag: BagStream) -> str:
    """The full name of the controller that was recorded; '' if the bag does not say."""
    decoder = Decoder(bag)
    for topic, kind, _, data in bag.messages([SESSION]):
        message = decoder.decode(topic, kind, data)
        try:
            return str(json.loads(message.data)["node"])
        except (AttributeError, ValueError, TypeError, KeyError):
            return ""
    return ""


def main(arguments: list[str] | None = None) -> int:
    return run(ReplayNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
