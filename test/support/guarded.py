"""An arm behind a guard: guard_node, a simulated arm and mpc_node as processes, and this process as their observer."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

import numpy as np

from mbrl_ros.guard.messages import GuardMessageError, GuardStatus, read_status
from support.domains import new_domain
from support.needs import present
from support.robots import planar_arm
from support.ros import NodeProcess, Peer, state

if present("rclpy"):
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray

RATE, EFFORT = 100.0, 40.0  # [Hz], [N m]
PERIOD, LIMIT = 1.0 / RATE, 7.5  # [s], [rad/s^2]
HANGING = (-1.5708, 0.0)  # at rest without an effort
JOINTS = ["joint1", "joint2"]
LENGTH = 0.5  # [m] of a link
GUARD = {"missing_periods": 4.0}  # a busy machine is not always in time; test/unit/guard has the exact times


@dataclass
class Sample:
    """A command or the true state of the arm: when it left its sender [s], and its values."""

    at: float
    label: str
    values: np.ndarray
    speeds: np.ndarray | None = None


class GuardedArm:
    """The processes and what is heard of them."""

    def __init__(self, folder, interface: str, **settings):
        """`settings`: of mpc_node."""
        file = folder / "arm.urdf"
        file.write_text(planar_arm(2, effort=EFFORT))
        robot = {"robot.description": str(file), "robot.interface": interface, "robot.joints": JOINTS}
        self.interface, self.domain = interface, new_domain()
        self.peer = Peer(self.domain)
        self._mpc = {**robot, "control.rate": RATE, "guard": "guard_node", **settings}
        self.guard = self.start("guard_node", GUARD)
        self.sim = self.start(
            "sim_node",
            {
                **robot,
                "plant.rate": RATE,
                "plant.initial_position": list(HANGING),
                "brakes": False,
                "plant.damping": [0.1],
            },
        )
        self.mpc = self.start("mpc_node", self._mpc)
        self.commands: list[Sample] = []
        self.truth: list[Sample] = []
        self.statuses: list[GuardStatus] = []
        node, many = self.peer.node, QoSProfile(depth=1000)
        node.create_subscription(Float64MultiArray, "/commands", self._on_command, many)
        node.create_subscription(JointState, "/sim_node/truth", self._on_truth, many)
        node.create_subscription(Float64MultiArray, "/guard_node/guard_status", self._on_status, many)
        self.peer.listen(DiagnosticArray, "/diagnostics")

    def start(self, name: str, parameters: dict) -> NodeProcess:
        """Start a node."""
        process = NodeProcess(name, self.domain, parameters)
        self.peer.processes.append(process)
        return process

    def restart_mpc(self) -> None:
        """Start mpc_node again, which has been killed."""
        self.mpc = self.start("mpc_node", self._mpc)

    def restart_guard(self) -> None:
        """Start guard_node again, which has been killed."""
        self.guard = self.start("guard_node", GUARD)

    def kill(self, process: NodeProcess) -> None:
        """Kill a node, which nobody misses from now on."""
        self.peer.processes.remove(process)
        process.kill()

    def close(self) -> None:
        """End everything."""
        self.peer.close()
        for process in (self.mpc, self.guard, self.sim):
            process.kill()

    # --- what is heard ------------------------------------------------------------------------------------------------

    def _on_command(self, message, info) -> None:
        label = message.layout.dim[0].label if message.layout.dim else ""
        self.commands.append(Sample(1e-9 * info["source_timestamp"], label, np.array(message.data)))

    def _on_truth(self, message, info) -> None:
        q, qd = np.array(message.position), np.array(message.velocity)
        self.truth.append(Sample(1e-9 * info["source_timestamp"], "", q, qd))

    def _on_status(self, message) -> None:
        with contextlib.suppress(GuardMessageError):
            self.statuses.append(read_status(message))

    @property
    def mode(self) -> str:
        """The guard's state."""
        return self.statuses[-1].mode if self.statuses else ""

    def until_mode(self, mode: str) -> None:
        """Wait for a state of the guard."""
        self.peer.until(lambda: self.mode == mode, f"the guard's state {mode}")

    def wait(self, seconds: float) -> None:
        """Let the processes run."""
        end = time.monotonic() + seconds
        self.peer.until(lambda: time.monotonic() >= end, "nothing")

    def call(self, node: str, service: str) -> tuple[bool, str]:
        """Call a Trigger service."""
        return self.peer.call(f"/{node}/{service}")

    def recover(self) -> None:
        """Clear and resume mpc_node until it moves the arm, whatever a busy machine has done to it."""

        def ready() -> bool:
            if self.mode != "FORWARDING":
                return False
            self.call("mpc_node", "clear")
            return self.call("mpc_node", "resume")[0]

        self.peer.until(ready, "an mpc_node that moves the arm")

    def move(self, speed: float = 0.8) -> None:
        """Send targets to and fro until a joint is faster than `speed` [rad/s] under moderate commands."""
        targets = self.peer.publisher(JointState, "/mpc_node/target_joints")
        goals = ((-0.5, 0.9), (-2.2, -0.9))
        self.recover()
        next_time, k = 0.0, 0

        def moving() -> bool:
            nonlocal next_time, k
            if time.monotonic() >= next_time:
                next_time, k = time.monotonic() + 2.0, k + 1
                if k > 1:
                    self.recover()
                targets.publish(state(0.0, goals[k % 2], (0.0, 0.0), JOINTS))
            recent = self.commands[-10:]
            calm = self.interface != "effort" or max(np.abs(c.values).max() for c in recent) < 0.5 * EFFORT
            fast = speed < np.abs(self.truth[-1].speeds).max() < 2.0
            return fast and calm and self.mode == "FORWARDING" and all(c.label != "guard" for c in recent)

        self.peer.until(moving, "a motion")

    # --- judgements ---------------------------------------------------------------------------------------------------

    def own(self) -> list[Sample]:
        """The guard's own commands."""
        return [command for command in self.commands if command.label == "guard"]

    def state_at(self, at: float) -> Sample:
        """The true state at the time `at` [s]."""
        return min(self.truth, key=lambda sample: abs(sample.at - at))

    def beyond_braking(self, at: float) -> float:
        """How much farther [m] the tip has gone since the time `at` than braking at the limit takes it."""
        begin = self.state_at(at)
        way = 0.5 * begin.speeds**2 / LIMIT
        braking = float(np.abs(way) @ (2.0 * LENGTH, LENGTH))
        tips = [tip(sample.values) for sample in self.truth if sample.at >= begin.at]
        return max(float(np.linalg.norm(point - tips[0])) for point in tips) - braking

    def at_rest(self, within: float = 0.02) -> bool:
        """Whether the arm has been slower than `within` [rad/s] in the last ten states."""
        return len(self.truth) > 10 and all(np.abs(sample.speeds).max() < within for sample in self.truth[-10:])


def tip(q: np.ndarray) -> np.ndarray:
    """The tip (2,) [m] of the planar arm."""
    first, both = q[0], q[0] + q[1]
    return LENGTH * np.array([np.cos(first) + np.cos(both), np.sin(first) + np.sin(both)])


@contextlib.contextmanager
def guarded_arm(folder, interface: str, **settings):
    """A GuardedArm whose guard forwards."""
    arm = GuardedArm(folder, interface, **settings)
    try:
        arm.until_mode("FORWARDING")
        arm.peer.until(lambda: arm.truth, "the arm")
        yield arm
    finally:
        arm.close()
