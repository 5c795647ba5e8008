"""record_node: a rosbag2 of everything a replay needs, in a process of its own so that control never waits for a disk.

Subscribes, as they appear, to the topics whose last part is one of RECORDED (or matches `topics`), reliably where every
publisher offers that, and latched where they offer that. Messages are written as they came, unread. A node called
like `node` is asked for all its parameters; they and the versions in force are written on SESSION, from which
`mbrl replay` builds the same controller.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import os
import platform
import queue
import sys
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rclpy.utilities import get_rmw_implementation_identifier
from std_msgs.msg import Float64MultiArray, String

from ..config.section import Section, setting
from ..data.bag_writer import Limits, RotatingBag
from ..exceptions import DataError
from .message_types import message_class
from .parameters import Parameters
from .process import EndRequest, run

RECORDED = (
    "joint_states",
    "commands",
    "shadow_commands",
    "trajectory_commands",
    "features",
    "features_vector",
    "target_joints",
    "target_point",
    "target_pose",
    "target_features",
    "target_trajectory",
    "plan",
    "status",
    "message",
    "event_log",
    "policy",
    "supervision",
    "events",
    "diagnostics",
    "robot_description",
    "parameter_events",
)
EVERYONES = ("/diagnostics", "/parameter_events", "/clock")  # outside of every namespace
SESSION = "/mbrl_session"
PACKAGES = ("mbrl_ros", "numpy", "scipy", "casadi", "ruckig", "rosbags", "mujoco")
RELIABLE = QoSProfile(depth=1000)
HISTORY = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Subscribed to before they are there, so that the very first one is not missed; {node} stands for the node's name.
AWAITED = {
    "commands": (Float64MultiArray, RELIABLE),
    "{node}/shadow_commands": (Float64MultiArray, RELIABLE),
    "{node}/status": (Float64MultiArray, RELIABLE),
    "{node}/event_log": (String, HISTORY),
}
LOOK_PERIOD = 0.2  # [s] between looks at the graph: what is published before it is subscribed to is lost
WAITING = 20_000  # messages that may wait for the disk
NICE = 10
IDLE, LONGEST_END = 0.5, 3.0  # [s]: recording ends when nothing has come for this long, or after so long at the latest


@dataclasses.dataclass(frozen=True)
class RecordSettings(Section):
    """record_node."""

    output: str = setting("", "folder of the bag, made new; empty: mbrl_ and the date")
    storage: str = setting("mcap", "form of the bag", choices=("mcap", "sqlite3"))
    compress: bool = setting(False, "compress with zstd")
    part_mb: float = setting(64.0, "a new storage file begins at this size", unit="MB", low=0.1)
    total_mb: float = setting(1024.0, "the oldest storage files are deleted beyond this", unit="MB", low=0.2)
    min_free_mb: float = setting(512.0, "recording pauses while less is free on the disk", unit="MB", low=0.0)
    topics: tuple[str, ...] = setting((), "patterns of further topics, such as /camera/*; '*' for everything")
    node: str = setting("mpc_node", "nodes of this name are asked for their parameters")


class RecordNode(Node):
    """Subscribes raw, hands over to the thread that writes."""

    def __init__(self, end: EndRequest, **options):
        super().__init__("record_node", automatically_declare_parameters_from_overrides=True, **options)
        self._end = end
        s = self.settings = Parameters(self, {"": RecordSettings}).sections[""]
        folder = Path(s.output or time.strftime("mbrl_%Y%m%d_%H%M%S"))
        self._bag = RotatingBag(
            folder,
            storage=s.storage,
            compress=s.compress,
            limits=Limits(s.part_mb, s.total_mb, s.min_free_mb),
            warn=self._warn,
        )
        self._bag.add_topic(SESSION, "std_msgs/msg/String", _rosbags_qos([_latched()]), latched=True)
        self._waiting: queue.Queue[tuple[str, int, bytes] | None] = queue.Queue(WAITING)
        self._dropped, self._refused, self._newest = 0, set(), 0.0
        self._subscribed: dict[str, object] = {}
        self._asked: dict[str, AsyncParameterClient] = {}
        self._writing = threading.Thread(target=self._write, name="writer")
        self._writing.start()
        self.get_logger().info(f"recording into {folder}")

    def begin(self) -> None:
        for name, (message, profile) in AWAITED.items():
            topic = self.resolve_topic_name(name.format(node=self.settings.node))
            self._bag.add_topic(topic, f"std_msgs/msg/{message.__name__}", _rosbags_qos([profile]))
            self._subscribed[topic] = self._subscription(message, topic, profile)
        self._look()
        self._timer = self.create_timer(LOOK_PERIOD, self._look)

    def end(self) -> None:
        end = time.monotonic() + LONGEST_END
        while (
            time.monotonic() < end and time.monotonic() - self._newest < IDLE
        ):  # nodes that end with us say a last word
            time.sleep(0.05)
        self._waiting.put(None)
        self._writing.join()
        lost = self._bag.lost + self._dropped
        self.get_logger().info(
            f"{self._bag.written} messages on {len(self._subscribed)} topics" + (f", {lost} lost" if lost else "")
        )

    # --- what there is to record ------------------------------------------------------------------------------------

    def _look(self) -> None:
        for topic, kinds in self.get_topic_names_and_types():
            if topic not in self._subscribed and topic not in self._refused and len(kinds) == 1 and self._wanted(topic):
                self._subscribe(topic, kinds[0])
        for name, namespace in self.get_node_names_and_namespaces():
            full = f"{namespace.rstrip('/')}/{name}"
            if name == self.settings.node and full not in self._asked:
                self._ask(full)

    def _wanted(self, topic: str) -> bool:
        inside = topic.startswith(self.get_namespace().rstrip("/") + "/") or topic in EVERYONES
        return (
            inside
            and topic.rsplit("/", 1)[-1] in RECORDED
            or any(fnmatch.fnmatchcase(topic, pattern) for pattern in self.settings.topics)
        )

    def _subscribe(self, topic: str, kind: str) -> None:
        offered = [endpoint.qos_profile for endpoint in self.get_publishers_info_by_topic(topic)]
        if not offered:
            return
        try:
            message = message_class(kind)
        except DataError:
            message = None
        latched = all(qos.durability is DurabilityPolicy.TRANSIENT_LOCAL for qos in offered)
        if message is None or not self._bag.add_topic(topic, kind, _rosbags_qos(offered), latched):
            self._refused.add(topic)
            self._warn(f"{topic} is not recorded: its type {kind} is not known here")
            return
        reliable = all(qos.reliability is ReliabilityPolicy.RELIABLE for qos in offered)
        qos = QoSProfile(
            depth=1000,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        self._subscribed[topic] = self._subscription(message, topic, qos)

    def _subscription(self, message, topic: str, qos: QoSProfile):
        return self.create_subscription(
            message,
            topic,
            lambda data: self._take(topic, data),
            qos,
            raw=True,
            event_callbacks=SubscriptionEventCallbacks(message_lost=self._count_lost),
        )

    def _count_lost(self, event) -> None:
        """Messages that were sent and did not reach this process: the publisher keeps only so many for slow readers."""
        self._dropped += event.total_count_change

    def _take(self, topic: str, data: bytes) -> None:
        self._newest = time.monotonic()
        try:
            self._waiting.put_nowait((topic, time.time_ns(), bytes(data)))
        except queue.Full:
            self._dropped += 1
            if self._dropped == 1:
                self._warn("the disk is too slow: messages are being dropped")

    def _write(self) -> None:
        """The only thread that touches the bag after its making, but for new topics."""
        os.nice(NICE)  # on Linux of this thread alone: taking messages must not be late, writing them may be
        while (item := self._waiting.get()) is not None:
            self._bag.write(*item)
        self._bag.close()

    # --- who runs, and how ------------------------------------------------------------------------------------------

    def _ask(self, node: str) -> None:
        client = self._asked[node] = AsyncParameterClient(self, node)
        if not client.services_are_ready():
            del self._asked[node]
            return
        client.list_parameters().add_done_callback(lambda future: self._listed(node, future))

    def _listed(self, node: str, future) -> None:
        names = future.result().result.names
        self._asked[node].get_parameters(names).add_done_callback(lambda got: self._got(node, names, got))

    def _got(self, node: str, names: list[str], future) -> None:
        values = {name: _plain(parameter_value_to_python(value)) for name, value in zip(names, future.result().values)}
        session = {"format": 1, "node": node, "parameters": values, "versions": versions()}
        text = json.dumps(session)
        self._take(SESSION, serialize_message(String(data=text)))
        self.get_logger().info(f"{len(values)} parameters of {node} recorded")

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text)


def versions() -> dict[str, str]:
    """What is in force here."""
    found = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "ros": os.environ.get("ROS_DISTRO", ""),
        "rmw": get_rmw_implementation_identifier(),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _plain(value):
    return list(value) if hasattr(value, "__len__") and not isinstance(value, str) else value


def _latched() -> QoSProfile:
    return QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def _rosbags_qos(profiles: list[QoSProfile]) -> list:
    """The same, as rosbags writes it: players offer it again."""
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    forever = QosTime(9223372036, 854775807)
    return [
        Qos(
            QosHistory.KEEP_LAST,
            max(1, qos.depth),
            QosReliability.RELIABLE if qos.reliability is ReliabilityPolicy.RELIABLE else QosReliability.BEST_EFFORT,
            QosDurability.TRANSIENT_LOCAL
            if qos.durability is DurabilityPolicy.TRANSIENT_LOCAL
            else QosDurability.VOLATILE,
            forever,
            forever,
            QosLiveliness.AUTOMATIC,
            forever,
            False,
        )
        for qos in profiles
    ]


def main(arguments: list[str] | None = None) -> int:
    return run(RecordNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
