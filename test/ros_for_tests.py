"""Nodes for tests: real processes, real DDS, a domain of their own. Nothing here waits by the clock but to give up."""

import contextlib
import importlib.metadata
import itertools
import os
import subprocess
import sys
import threading
import time

import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile

PATIENCE = 120.0  # [s]: a test that waits longer than this for a message has failed
_domains = itertools.count(os.getpid())
PANDA = {"robot.description": "package-data:panda", "robot.joints": [f"panda_joint{i}" for i in range(1, 8)],
         "robot.tip": "panda_hand_tcp"}


def robot_data_installed() -> bool:
    """Whether 'package-data:panda' can be read."""
    try:
        importlib.metadata.distribution("example-robot-data")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


needs_panda = pytest.mark.skipif(not robot_data_installed(), reason="example-robot-data is not installed")


def new_domain() -> int:
    """A domain that no other test of this process, and hardly one of another, uses; see conftest.py for the range."""
    return 1 + next(_domains) % 101


class NodeProcess:
    """`python -m mbrl_ros.nodes.NAME` with parameters, in a domain."""

    def __init__(self, name: str, domain: int, parameters: dict, remappings: dict | None = None):
        arguments = [sys.executable, "-m", f"mbrl_ros.nodes.{name}", "--ros-args"]
        for key, value in parameters.items():
            arguments += ["-p", f"{key}:={spelled(value)}"]
        for key, value in (remappings or {}).items():
            arguments += ["-r", f"{key}:={value}"]
        self._process = subprocess.Popen(arguments, env={**os.environ, "ROS_DOMAIN_ID": str(domain)}, text=True,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._lines: list[str] = []
        self._reader = threading.Thread(target=lambda: self._lines.extend(self._process.stdout), daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        return "".join(self._lines)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end; it said:\n{self.output}") from None
        self._reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        if self.running:
            self._process.kill()
        self._process.wait()


def spelled(value) -> str:
    """A parameter's value on the command line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(spelled(entry) for entry in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


class Peer:
    """This process's own node: publishes, and keeps what it hears by topic."""

    def __init__(self, domain: int):
        self._context = Context()
        self._context.init(domain_id=domain)
        self.node = rclpy.create_node("peer", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._further = []
        self.heard: dict[str, list] = {}
        self.processes: list[NodeProcess] = []

    def add_node(self, name: str):
        """A further node in this process."""
        node = rclpy.create_node(name, context=self._context)
        self._executor.add_node(node)
        self._further.append(node)
        return node

    def listen(self, kind, topic: str, depth: int = 1000) -> None:
        self.heard[topic] = []
        self.node.create_subscription(kind, topic, self.heard[topic].append, QoSProfile(depth=depth))

    def publisher(self, kind, topic: str, readers: int = 1, depth: int = 1000):
        """A publisher, once `readers` are there."""
        publisher = self.node.create_publisher(kind, topic, QoSProfile(depth=depth))
        self.until(lambda: publisher.get_subscription_count() >= readers, f"readers of {topic}")
        return publisher

    def send_until(self, publisher, message, condition, what: str) -> None:
        """Send `message` every second until `condition()` holds: its reader, or the answer's, may appear late."""
        next_time = time.monotonic()

        def sent_and_done():
            nonlocal next_time
            if time.monotonic() >= next_time:
                next_time = time.monotonic() + 1.0
                publisher.publish(message)
            return condition()
        self.until(sent_and_done, what)

    def until(self, condition, what: str) -> None:
        """Handle messages until `condition()` holds; an error when that takes too long or a node has ended."""
        end = time.monotonic() + PATIENCE
        while not condition():
            dead = [process for process in self.processes if not process.running]
            if time.monotonic() > end or dead:
                said = "\n".join(process.output for process in self.processes)
                raise AssertionError(f"{what} never came; {len(dead)} nodes have ended. They said:\n{said}")
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self._executor.shutdown()
        for node in (self.node, *self._further):
            node.destroy_node()
        self._context.try_shutdown()


@contextlib.contextmanager
def ros(*processes: tuple):
    """(peer, started processes) in a domain of their own: processes are (name, parameters)."""
    domain = new_domain()
    started = [NodeProcess(name, domain, parameters) for name, parameters in processes]
    peer = Peer(domain)
    peer.processes = started
    try:
        yield (peer, *started)
    finally:
        peer.close()
        for process in started:
            process.kill()
