"""An arm whose time passes only when a test says so, behind guard_node and mpc_node, in lockstep or by /clock.

The test is the robot: it publishes every state, and every command is waited for. No duration is measured by the wall
clock. /clock says the time of a state once that is answered, so that simulated time, which the nodes fill in with the
stamps of the states, does not go on before they have read them: where the guard brakes with feedback, it would have
states that are as many periods old as the machine makes it late. Velocities are braked without, and /clock leads.
"""

from __future__ import annotations

import contextlib
import time

import numpy as np

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.guard.messages import GuardMessageError, GuardStatus, Mode, read_status
from mbrl_ros.messages import readers
from mbrl_ros.robots import load_robot
from mbrl_ros.simulation.plant import Plant
from support.domains import new_domain
from support.guarded import HANGING, JOINTS, PERIOD
from support.needs import present
from support.robots import planar_arm
from support.ros import REPEAT, NodeProcess, Peer, state

if present("rclpy"):
    from rclpy.qos import QoSProfile
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray

    from mbrl_ros.nodes import message_writers

BEGIN = 5.0  # [s] stamp of the first state
CLOCK_STEP, TALK = 0.002, 0.05  # [s]; of wall time
TARGETS = ((-0.5, 0.9), (-2.2, -0.9))  # [rad]


class SteppedArm:
    """Plant, guard and mpc_node; `lockstep`, or simulated time with /clock from here.

    `split`: each joint comes in a message of its own.
    """

    def __init__(self, folder, interface: str, *, lockstep: bool, guarded: bool = True, split: bool = False):
        file = folder / "arm.urdf"
        file.write_text(planar_arm(2, effort=40.0))
        robot = {"robot.description": str(file), "robot.interface": interface, "robot.joints": JOINTS}
        self.guarded, self.split = guarded, split
        self.interface, self.lockstep, self.domain = interface, lockstep, new_domain()
        self.peer = Peer(self.domain)
        plant = PlantSettings(rate=1.0 / PERIOD, initial_position=HANGING, damping=(0.1,))
        arm = load_robot(RobotSettings(interface=interface, joints=tuple(JOINTS)), file.read_text())
        self.plant, self.k = Plant(plant, arm), 0
        self.measurement, self._u = self.plant.reset(), np.zeros(2)
        self.commands: list[Float64MultiArray] = []
        self.statuses: list[GuardStatus] = []
        clock, self._clock_leads = {} if lockstep else {"use_sim_time": True}, interface == "velocity"
        self._mpc = {**robot, **clock, "control.rate": 1.0 / PERIOD, "lockstep": lockstep}
        if guarded:
            self._mpc["guard"] = "guard_node"
            self.guard = self.start("guard_node", clock)
        self.mpc = self.start("mpc_node", self._mpc)
        node, many = self.peer.node, QoSProfile(depth=1000)
        node.create_subscription(Float64MultiArray, "/commands", self.commands.append, many)
        node.create_subscription(Float64MultiArray, "/guard_node/guard_status", self._on_status, many)
        self.states = self.peer.publisher(JointState, "/joint_states", readers=1 + guarded)
        self.targets = self.peer.publisher(JointState, "/mpc_node/target_joints")
        self.clock = None if lockstep else self.peer.publisher(Clock, "/clock", readers=1 + guarded)

    def start(self, name: str, parameters: dict) -> NodeProcess:
        """Start a node."""
        process = NodeProcess(name, self.domain, parameters)
        self.peer.processes.append(process)
        return process

    def lose(self) -> None:
        """mpc_node has been killed: nobody misses it."""
        self.peer.processes.remove(self.mpc)

    def restart(self) -> None:
        """Start mpc_node again."""
        self.mpc = self.start("mpc_node", self._mpc)

    def _on_status(self, message) -> None:
        with contextlib.suppress(GuardMessageError):
            self.statuses.append(read_status(message))

    @property
    def mode(self) -> int | None:
        """The guard's state, as it was reported last."""
        return self.statuses[-1].state if self.statuses else None

    @property
    def stamp(self) -> float:
        """Of the newest state [s]."""
        return BEGIN + PERIOD * self.k

    @property
    def speeds(self) -> np.ndarray:
        """True velocities (2,) [rad/s]."""
        return self.plant.truth.qd

    # --- one period after the other -----------------------------------------------------------------------------------

    def publish(self) -> int:
        """Publish the state of this period; return how many commands had come before."""
        count = len(self.commands)
        if self.clock is not None and self._clock_leads:
            self.tick(self.stamp)
        for message in self._messages():
            self.states.publish(message)
        return count

    def _messages(self) -> list[JointState]:
        """The state of this period."""
        m = self.measurement
        parts = [slice(k, k + 1) for k in range(len(JOINTS))] if self.split else [slice(None)]
        return [state(self.stamp, m.q[part], m.qd[part], JOINTS[part]) for part in parts]

    def tick(self, time: float) -> None:
        """Publish the time [s]."""
        message = Clock()
        message.clock = message_writers.to_time(time)
        self.clock.publish(message)

    def answer(self) -> Float64MultiArray | None:
        """The newest command, if it answers the newest state or is the guard's own."""
        if not self.commands:
            return None
        stamp = readers.answered_stamp(self.commands[-1])
        return self.commands[-1] if stamp is None or abs(stamp - self.stamp) < 1e-6 else None

    def step(self, wait: bool = True) -> Float64MultiArray | None:
        """One period: a state, its command if `wait`, and the motion; return the command."""
        count = self.publish()
        command = None
        if not self.k:  # the nodes may be there, but not active yet, or without the time
            self.begin()
        elif wait:
            command = self._command(count)
        self.advance(command)
        return command

    def begin(self) -> None:
        """Publish the first state until it is answered."""
        *parts, last = self._messages()
        self.peer.send_until(
            self.states, last, lambda: self.again(parts) and self.answer() is not None, "the first command"
        )

    def _command(self, count: int) -> Float64MultiArray:
        """Wait for the command to this state, after the first `count`; send the state again when that takes long."""
        next_time = time.monotonic() + REPEAT

        def answered() -> bool:
            nonlocal next_time
            if time.monotonic() > next_time:
                next_time = time.monotonic() + REPEAT
                self.again(self._messages())
            return len(self.commands) > count and self.answer() is not None

        self.peer.until(answered, f"the command for the state of {self.stamp:.3f} s")
        return self.commands[-1]

    def again(self, parts: list[JointState]) -> bool:
        """Publish the time, where it is not that of the states, and the first `parts` of the state again."""
        if self.clock is not None:
            self.tick(self.stamp)
        for part in parts:
            self.states.publish(part)
        return True

    def advance(self, command: Float64MultiArray | None) -> None:
        """Let a period pass; None: the last command stays in effect."""
        if self.clock is not None and not self._clock_leads:
            self.tick(self.stamp)
        self._u = self._u if command is None else np.array(command.data)
        self.measurement = self.plant.step(self._u)
        self.k += 1

    def _hand_over(self) -> None:
        """Periods until the guard forwards, in which the nodes get wall time to talk: simulated time runs faster."""
        while self.guarded and not self.lockstep and self.mode != Mode.FORWARDING:
            self.step()
            end = time.monotonic() + TALK
            self.peer.until(lambda end=end: self.mode == Mode.FORWARDING or time.monotonic() > end, "time")

    def move(self, speed: float = 0.8) -> None:
        """Periods with targets until a joint is faster than `speed` [rad/s]."""
        self._hand_over()
        ticks = 0
        while not speed < np.abs(self.speeds).max() < 2.0:
            if ticks % 200 == 0:
                goal = TARGETS[(ticks // 200) % 2]
                self.targets.publish(state(0.0, goal, (0.0, 0.0), JOINTS))
            assert ticks < 2000, f"the arm does not move: {self.mpc.output}"
            self.step()
            ticks += 1


@contextlib.contextmanager
def stepped_arm(folder, interface: str, *, lockstep: bool, guarded: bool = True, split: bool = False):
    """A SteppedArm whose processes end with the test."""
    arm = SteppedArm(folder, interface, lockstep=lockstep, guarded=guarded, split=split)
    try:
        yield arm
    finally:
        processes = list(arm.peer.processes)
        arm.peer.close()
        for process in {arm.mpc, *processes}:
            process.kill()
