"""replay_node: play a bag over DDS in its own time, for shadow controllers and where `ros2 bag play` is missing.

It publishes the bag's messages as they were serialized, with the quality of service that they were offered with
(latched ones first), and /clock, the bag's time, for nodes with use_sim_time. Topics that command a robot, and those
that the recorded controller published, are left out unless asked for. Services: ~/pause, ~/resume (std_srvs/Trigger).
"""

from __future__ import annotations

import fnmatch
import sys
import threading
import time
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from ..config.sections.nodes import ReplayNodeSettings
from ..data.salvage import Raw
from ..data.stream import BagStream
from ..exceptions import DataError
from .bag_playback import BagPlayback
from .executor import EndRequest
from .message_types import message_class
from .message_writers import to_time
from .parameters import Parameters, ReadsOverrides
from .process import run
from .session_info import SESSION, recorded_node

# last parts of topics
COMMANDING = ("commands", "trajectory_commands", "feedback_commands", "command", "cmd_vel", "joint_trajectory")
INTERNAL = ("/clock", SESSION, "/parameter_events", "/rosout", "/diagnostics")  # not played unless asked for


class ReplayNode(ReadsOverrides, Node):
    """Publish the messages of a bag from a thread of its own."""

    def __init__(self, end: EndRequest, **options: Any):
        super().__init__("replay_node", **options)
        self._end = end
        self.settings = Parameters(self, {"": ReplayNodeSettings}).section(ReplayNodeSettings)
        if not self.settings.bag:
            raise DataError("which bag? Set the parameter 'bag'")
        self._bag = BagStream(self.settings.bag)
        self._recorded = recorded_node(self._bag)
        topics = {name: kind for name, (kind, count) in self._bag.topics.items() if count and self._selected(name)}
        if not topics:
            raise DataError(f"{self.settings.bag}: nothing to play among {sorted(self._bag.topics)}")
        self._publishers_by_topic = {
            name: self.create_publisher(message_class(kind), name, self._offered_qos(name))
            for name, kind in topics.items()
        }
        self._clock_publisher: Publisher | None = None
        if self.settings.clock_rate:
            self._clock_publisher = self.create_publisher(Clock, "/clock", QoSProfile(depth=1))
        states = [name for name, kind in topics.items() if kind.endswith("/JointState")]
        self._awaited = [self._publishers_by_topic[name] for name in states or topics]
        self._playback = BagPlayback(self._bag, topics, self.settings, publish=self._publish, tick=self._tick)
        self.create_service(Trigger, "~/pause", self._on_pause)
        self.create_service(Trigger, "~/resume", self._on_resume)
        self._player = threading.Thread(target=self._play, name="player", daemon=True)

    def begin(self) -> None:
        """Start the playback, and listen to the Enter key if wanted."""
        self._player.start()
        if self.settings.keys:
            threading.Thread(target=self._read_keys, daemon=True).start()

    def end(self) -> None:
        """Stop the playback."""
        self._playback.stop()
        if self._player.is_alive():
            self._player.join()

    def _selected(self, topic: str) -> bool:
        if self.settings.topics:
            return any(fnmatch.fnmatchcase(topic, pattern) for pattern in self.settings.topics)
        last = topic.rsplit("/", 1)[-1]
        published = self._recorded and topic.startswith(f"{self._recorded}/") and not last.startswith("target_")
        return topic not in INTERNAL and last not in COMMANDING and not published

    def _offered_qos(self, topic: str) -> QoSProfile:
        """Return the recorded quality of service where the bag has it; robot_description is always latched."""
        profiles = self._bag.qos(topic)
        latched = topic.endswith("robot_description") or any(p.durability.name == "TRANSIENT_LOCAL" for p in profiles)
        reliable = not any(p.reliability.name == "BEST_EFFORT" for p in profiles)
        return QoSProfile(
            depth=max([10, *(p.depth for p in profiles)]),
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )

    def _on_pause(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._playback.pause()
        response.success, response.message = True, f"paused {self.settings.bag}"
        return response

    def _on_resume(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._playback.resume()
        response.success, response.message = True, f"playing {self.settings.bag}"
        return response

    def _read_keys(self) -> None:
        for _ in sys.stdin:
            if self._playback.playing:
                self._playback.pause()
                self.get_logger().info("paused; Enter resumes")
            else:
                self._playback.resume()
                self.get_logger().info("playing")

    # --- in the player's thread -------------------------------------------------------------------------------------

    def _play(self) -> None:
        try:
            self._wait_for_readers()
            count, passes = self._playback.run()
            self.get_logger().info(
                f"{count} messages played" + ("" if passes == 1 else f" in {passes} passes through the bag")
            )
            for note in self._bag.notes:
                self.get_logger().warning(note)
        except Exception as error:
            self.get_logger().error(f"the playback failed: {error}")
            self._end.set(1)
            return
        if not self._playback.stopping:
            for publisher in self._publishers_by_topic.values():
                publisher.wait_for_all_acked()
            self._end.set(0)

    def _wait_for_readers(self) -> None:
        end = time.monotonic() + self.settings.patience
        while self.settings.readers and not self._playback.stopping and time.monotonic() < end:
            if max(publisher.get_subscription_count() for publisher in self._awaited) >= self.settings.readers:
                return
            self._end.wait(0.05)

    def _publish(self, message: Raw) -> None:
        self._publishers_by_topic[message[0]].publish(message[3])

    def _tick(self, stamp: int) -> None:
        if self._clock_publisher is not None:
            self._clock_publisher.publish(Clock(clock=to_time(1e-9 * stamp)))


def main(arguments: list[str] | None = None) -> int:
    """Run the node; return the exit code of the process."""
    return run(ReplayNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
