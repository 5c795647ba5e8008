"""Nodes for tests: real processes, real DDS, a domain of their own. Nothing here waits by the clock but to give up."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import pytest

from mbrl_ros.messages import readers
from support.domains import new_domain
from support.needs import present

if present("rclpy"):
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.client import Client
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray, String
    from std_srvs.srv import Trigger

    from mbrl_ros.nodes import message_writers

PATIENCE = 120.0  # [s]: a test that waits longer than this for a message has failed
REPEAT = 5.0  # [s] after which an unanswered request is sent again
PANDA = {
    "robot.description": "package-data:panda",
    "robot.joints": [f"panda_joint{i}" for i in range(1, 8)],
    "robot.tip": "panda_hand_tcp",
    "robot.interface": "effort",
}
HOME = [0.0, -0.5, 0.0, -2.0, 0.0, 1.6, 0.8]


class NodeProcess:
    """`python -m mbrl_ros.nodes.NAME` with parameters, in a domain; `launcher` starts the command it is given."""

    def __init__(
        self,
        name: str,
        domain: int,
        parameters: dict,
        environment: dict | None = None,
        launcher: Sequence[str] = (),
        remap: dict[str, str] | None = None,
    ):
        arguments = [*launcher, sys.executable, "-m", f"mbrl_ros.nodes.{name}", "--ros-args"]
        for before, after in (remap or {}).items():
            arguments += ["-r", f"{before}:={after}"]
        for key, value in parameters.items():
            arguments += ["-p", f"{key}:={spelled(value)}"]
        self._process = subprocess.Popen(
            arguments,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "ROS_DOMAIN_ID": str(domain), **(environment or {})},
        )
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
        """Send a signal; one that stops or kills has done so on return: no message is answered after that."""
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait(PATIENCE)
        elif number == signal.SIGSTOP:
            os.waitpid(self._process.pid, os.WUNTRACED)

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
        self.domain = domain
        self._context = Context()
        self._context.init(domain_id=domain)
        self.node = rclpy.create_node("peer", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._further = []
        self.heard: dict[str, list] = {}
        self._clients: dict[str, Client] = {}
        self.processes: list[NodeProcess] = []

    def add_node(self, name: str):
        """A further node in this process."""
        node = rclpy.create_node(name, context=self._context)
        self._executor.add_node(node)
        self._further.append(node)
        return node

    def remove_node(self, node) -> None:
        """End a further node."""
        self._executor.remove_node(node)
        self._further.remove(node)
        node.destroy_node()

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

    def call(self, service: str) -> tuple[bool, str]:
        """Call a Trigger service, again every few seconds: an answer to a client that is not known yet is lost."""
        client = self._clients.get(service)
        if client is None:
            client = self._clients[service] = self.node.create_client(Trigger, service)
        self.until(client.service_is_ready, service)
        answers, next_time = [], -math.inf

        def answered() -> bool:
            nonlocal next_time
            if time.monotonic() >= next_time:
                next_time = time.monotonic() + REPEAT
                answers.append(client.call_async(Trigger.Request()))
            return any(answer.done() for answer in answers)

        self.until(answered, f"the answer of {service}")
        result = next(answer.result() for answer in answers if answer.done())
        return result.success, result.message

    def until(self, condition, what: str) -> None:
        """Handle messages until `condition()` holds; an error when that takes too long or a node has ended."""
        end = time.monotonic() + PATIENCE
        while not condition():
            dead = [process for process in self.processes if not process.running]
            if time.monotonic() > end or dead:
                said = "\n".join(process.output for process in self.processes)
                raise AssertionError(f"{what} never came; {len(dead)} nodes have ended. They said:\n{said}")
            self.spin()

    def spin(self) -> None:
        """Handle one message, if one comes soon."""
        self._executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        self._executor.shutdown()
        for node in (self.node, *self._further):
            node.destroy_node()
        self._context.try_shutdown()


def state(stamp: float, q=HOME, qd=(0.0,) * 7, names=None) -> JointState:
    message = JointState(
        name=list(names or PANDA["robot.joints"]), position=[float(v) for v in q], velocity=[float(v) for v in qd]
    )
    message.header.stamp = message_writers.to_time(stamp)
    return message


class Remembering:
    """A publisher that knows what it has published last."""

    def __init__(self, publisher):
        self._publisher, self.last = publisher, None

    def publish(self, message) -> None:
        self.last = message
        self._publisher.publish(message)


class Listening:
    """An mpc_node in lockstep with this process as its robot."""

    def __init__(self, peer: Peer):
        self.peer = peer
        for kind, topic in (
            (Float64MultiArray, "/commands"),
            (Float64MultiArray, "/mpc_node/status"),
            (String, "/mpc_node/message"),
            (DiagnosticArray, "/diagnostics"),
        ):
            peer.listen(kind, topic)
        self.states = Remembering(peer.publisher(JointState, "/joint_states"))

    def answer(self, stamp: float) -> Float64MultiArray | None:
        """The command for the state stamped `stamp`, if it is there."""
        return next(
            (m for m in self.peer.heard["/commands"] if readers.answered_stamp(m) == pytest.approx(stamp)), None
        )

    def answered(self, stamp: float) -> Float64MultiArray:
        """... once it is there: the state is sent again when that takes long, since either may have been lost."""
        next_time = time.monotonic() + REPEAT

        def answered() -> bool:
            nonlocal next_time
            last = self.states.last
            if time.monotonic() > next_time and last and readers.seconds(last.header.stamp) == pytest.approx(stamp):
                next_time = time.monotonic() + REPEAT
                self.states.publish(last)
            return self.answer(stamp) is not None

        self.peer.until(answered, f"the answer to {stamp}")
        return self.answer(stamp)

    def begin(self, message: JointState) -> None:
        """Send the first state until there is an answer: then everybody knows everybody."""
        stamp = readers.seconds(message.header.stamp)
        self.peer.send_until(self.states, message, lambda: self.answer(stamp), "the first answer")

    def diagnosis(self, part: str) -> dict[str, str]:
        """The newest key-values of one part of /diagnostics."""
        for message in reversed(self.peer.heard["/diagnostics"]):
            for status in message.status:
                if status.name.endswith(part):
                    return {entry.key: entry.value for entry in status.values}
        return {}


@contextlib.contextmanager
def ros(*processes: tuple, environment: dict | None = None, domain: int | None = None):
    """(peer, started processes) in a domain of their own: processes are (name, parameters)."""
    domain = domain or new_domain()
    started = [NodeProcess(name, domain, parameters, environment) for name, parameters in processes]
    peer = Peer(domain)
    peer.processes = started
    try:
        yield (peer, *started)
    finally:
        peer.close()
        for process in started:
            process.kill()
