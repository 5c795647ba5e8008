"""For how long a message that is far too large silences mpc_node: the gaps between its commands, with and without.

    python benchmark/large_messages.py [--rate 200] [--seconds 8] [--domain 84] [--largest BYTES]

This process plays the robot, a UR5 that stays where it is: it publishes joint states at the control rate and notes when
each command comes. A second process sends one large message a second. Printed for every kind of message: how many
mpc_node refused, and p50, p99 and the largest gap between two commands. The first line is without any. With --largest
16777216 mpc_node reads messages up to that length, as it did before they were judged by their length. Joint states and
features are best effort: what is lost on the way is not refused.

Printed first, in processor time of one thread: what taking a message as bytes and making an object of it costs, and for
a small joint state also what taking it as an object costs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from array import array
from collections.abc import Callable

os.environ.setdefault("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")  # as the nodes have it

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.subscription import Subscription
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from mbrl_ros.cli.environment import prepare
from mbrl_ros.nodes.process import Spinner
from mbrl_ros.robots.sources import read
from mbrl_ros.robots.urdf import parse

COUNT = 100_000
EVERY = 1.0  # [s] between two large messages
READY = 120.0  # [s] until the first command
TARGETS = "/mpc_node/target_trajectory"
KINDS = {
    "JointState of 200,000 names": (JointState, "/joint_states"),
    "PointCloud2 of 32 MB": (PointCloud2, "/features"),
    "trajectory of 100,000 points": (JointTrajectory, TARGETS),
    "description of 20 MB": (String, "/robot_description"),
}


def large(kind: str) -> bytes:
    """Return the serialized message of a kind."""
    if kind.startswith("JointState"):
        values = array("d", bytes(16 * COUNT))
        return serialize_message(JointState(name=[f"j{i}" for i in range(2 * COUNT)], position=values, velocity=values))
    if kind.startswith("PointCloud2"):
        return serialize_message(PointCloud2(data=array("B", bytes(320 * COUNT))))
    if kind.startswith("trajectory"):
        point = JointTrajectoryPoint(positions=[0.0] * 6)
        return serialize_message(JointTrajectory(joint_names=[f"j{i}" for i in range(6)], points=[point] * COUNT))
    return serialize_message(String(data=" " * 20_000_000))


def cost() -> None:
    """Print what messages cost in processor time, sent and taken in this process."""
    node = rclpy.create_node("cost")
    small = JointState(name=[f"joint{i}" for i in range(7)], position=[0.1] * 7, velocity=[0.1] * 7)
    cases = [("JointState of 7 names", JointState, serialize_message(small), 500)]
    cases += [(kind, message_type, large(kind), 3) for kind, (message_type, _) in KINDS.items()]
    for k, (kind, message_type, raw, count) in enumerate(cases):
        profile = QoSProfile(depth=count)
        publisher = node.create_publisher(message_type, f"cost{k}", profile)
        as_bytes = node.create_subscription(message_type, f"cost{k}", print, profile, raw=True)
        as_object = node.create_subscription(message_type, f"cost{k}", print, profile) if k == 0 else None
        while publisher.get_subscription_count() < 1 + (k == 0):
            time.sleep(0.01)
        times: list[list[float]] = [[], [], []]
        for _ in range(count):
            publisher.publish(raw)
            times[0].append(_timed(lambda taken=as_bytes: _take(taken)))
            times[1].append(_timed(lambda data=raw, of=message_type: deserialize_message(data, of)))
            if as_object is not None:
                times[2].append(_timed(lambda taken=as_object: _take(taken)))
        middle = [1e3 * float(np.median(column)) if column else float("nan") for column in times]
        print(
            f"{kind:<30} {len(raw):9d} bytes: as bytes {middle[0]:8.3f} ms, to an object {middle[1]:8.3f} ms, taken as "
            f"an object {middle[2]:6.3f} ms",
            flush=True,
        )
    node.destroy_node()


def _take(subscription: Subscription) -> float:
    """Wait for a message and take it; return the processor time [s] of the call that succeeds."""
    while True:
        begin = time.thread_time()
        with subscription.handle:
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
        if taken is not None:
            return time.thread_time() - begin
        time.sleep(0.001)


def _timed(action: Callable[[], object]) -> float:
    """Return the processor time [s] of `action`, or what it returns if that is one."""
    begin = time.thread_time()
    result = action()
    return result if isinstance(result, float) else time.thread_time() - begin


def send(kind: str) -> None:
    """Send one large message every second until the process is ended."""
    rclpy.init()
    node = rclpy.create_node("sender")
    durability = DurabilityPolicy.TRANSIENT_LOCAL if kind.startswith("description") else DurabilityPolicy.VOLATILE
    publisher = node.create_publisher(*KINDS[kind], QoSProfile(depth=1, durability=durability))
    message = large(kind)
    while publisher.get_subscription_count() == 0:
        time.sleep(0.01)
    print("sending", flush=True)
    while True:
        publisher.publish(message)
        time.sleep(EVERY)


class Robot:
    """Publishes joint states and notes when commands come."""

    def __init__(self, rate: float):
        self.period, self.node = 1.0 / rate, rclpy.create_node("robot")
        joints = [j.name for j in parse(read("package-data:ur5")).joints if j.movable]
        self.state = JointState(name=joints, position=[0.0, -1.2, 1.4, -1.7, -1.5, 0.0], velocity=[0.0] * 6)
        self.states = self.node.create_publisher(JointState, "/joint_states", QoSProfile(depth=10))
        self.arrived: list[float] = []
        self.refused: dict[str, int] = {}
        self.node.create_subscription(Float64MultiArray, "/commands", self._on_command, QoSProfile(depth=50))
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=10))
        self.spinner = Spinner(self.node)

    def run(self, seconds: float) -> np.ndarray:
        """Publish states for so long; return the gaps between commands [s]."""
        self.arrived = []
        begin = time.perf_counter()
        for step in range(round(seconds / self.period)):
            time.sleep(max(0.0, begin + step * self.period - time.perf_counter()))
            self.state.header.stamp = self.node.get_clock().now().to_msg()
            self.states.publish(self.state)
        return np.diff(self.arrived)

    def _on_command(self, message: Float64MultiArray) -> None:
        self.arrived.append(time.perf_counter())

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            for entry in status.values:
                if "too large" in entry.key and not entry.key.startswith("last"):
                    self.refused[entry.key] = int(entry.value)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--domain", type=int, default=84)
    parser.add_argument("--largest", type=int, default=65536)
    parser.add_argument("--send", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(given.domain)
    if given.send:
        send(given.send)
    prepare()
    parameters = {
        "robot.description": "package-data:ur5",
        "robot.joints": "[" + ", ".join(j.name for j in parse(read("package-data:ur5")).joints if j.movable) + "]",
        "robot.interface": "velocity",
        "control.rate": given.rate,
        "largest_message": given.largest,
    }
    command = [sys.executable, "-m", "mbrl_ros.nodes.mpc_node", "--ros-args"]
    for key, value in parameters.items():
        command += ["-p", f"{key}:={value}"]
    node = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rclpy.init()
    cost()
    robot = Robot(given.rate)
    try:
        begin = time.perf_counter()
        while not len(robot.run(1.0)):
            if node.poll() is not None or time.perf_counter() - begin > READY:
                raise SystemExit("mpc_node gives no commands")
        report("none", robot.run(given.seconds), 0)
        for kind in KINDS:
            before = sum(robot.refused.values())
            again = [sys.executable, __file__, "--domain", str(given.domain), "--send", kind]
            sender = subprocess.Popen(again, stdout=subprocess.PIPE, text=True)
            assert sender.stdout is not None
            if not sender.stdout.readline():
                raise SystemExit(f"the sender of '{kind}' has ended")
            gaps = robot.run(given.seconds)
            sender.kill()
            sender.wait()
            robot.run(3.0)  # until the diagnostics tell of it
            report(kind, gaps, sum(robot.refused.values()) - before)
    finally:
        node.terminate()
        node.wait()
        robot.spinner.stop()
        rclpy.try_shutdown()


def report(kind: str, gaps: np.ndarray, refused: int) -> None:
    """Print a line."""
    p50, p99, largest = 1e3 * np.percentile(gaps, [50, 99, 100])
    print(
        f"{kind:<30} refused {refused:3d}   gap p50 {p50:6.2f}  p99 {p99:7.2f}  largest {largest:7.1f} ms", flush=True
    )


if __name__ == "__main__":
    main()
