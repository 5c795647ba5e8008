"""An mpc_node with use_sim_time over DDS, and this process as its simulation: /clock and an arm of two joints.

The simulation waits for the node's answer to each state, so that no result depends on how busy the machine is.
"""

from __future__ import annotations

import contextlib
import json
import signal
import time

import numpy as np

from mbrl_ros.messages import readers
from mbrl_ros.references.segments import Waypoints
from mbrl_ros.robots.gravity import GravityEffort
from mbrl_ros.robots.inertia import JointSpaceInertia
from mbrl_ros.safety.state_machine import State
from support.domains import new_domain
from support.needs import present
from support.robots import planar_arm, planar_robot
from support.ros import NodeProcess, Peer, state

if present("rclpy"):
    from builtin_interfaces.msg import Duration
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray, String
    from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

    from mbrl_ros.nodes import message_writers
    from mbrl_ros.nodes.status import read_status

JOINTS = ("joint1", "joint2")
DT, LAG, SUBSTEPS = 0.01, 0.02, 10  # [s] of simulated time between two states; of the servos; between two states
FRICTION = 0.3  # [N m s/rad] of a joint moved by efforts
ACCELERATION = 7.5  # [rad/s^2] robot.acceleration_limit
HOME, AWAY = np.array([-1.5, 0.1]), np.array([1.5, -0.5])
REPEAT = 2.0  # [s] of wall time after which an unanswered state is sent again
GIVE_UP = 0.2  # [s] of wall time to wait for an answer that need not come
SILENT = 8.0  # [s] of wall time after which the node has surely found that /clock stands still


class SimulatedArm:
    """The arm, its simulated time `time` [s] and the node; `speeds` and `commands` hold those of every period.

    `answered` counts the states that got a command of their own, `sent` all states. `recorded`: folder of a bag.
    """

    def __init__(self, folder, interface: str = "velocity", begin: float = 500.0, recorded=None, **settings):
        file = folder / "arm.urdf"
        file.write_text(planar_arm(2))
        self.interface, self.time, self.domain = interface, begin, new_domain()
        self.q, self.qd = HOME.copy(), np.zeros(2)
        self.speeds: list[np.ndarray] = []
        self.commands: list[np.ndarray] = []
        self.sent = self.answered = 0
        self.obeys = True  # whether the arm does what it is commanded
        robot = planar_robot(interface="effort")
        self._inertia, self._gravity = JointSpaceInertia(robot), GravityEffort(robot)
        self.parameters = {
            "robot.description": str(file),
            "robot.joints": list(JOINTS),
            "robot.interface": interface,
            "control.rate": 1.0 / DT,
            "planner.horizon": 10,
            "use_sim_time": True,
            # an effort acts from its state on, without the lag that the servos of the other interfaces have
            **({"control.delay": 0.0} if interface == "effort" else {}),
            **settings,
        }
        self.peer = Peer(self.domain)
        self.node = self.start("mpc_node", self.parameters)
        for kind, topic in (
            (Float64MultiArray, "/commands"),
            (Float64MultiArray, "/mpc_node/status"),
            (String, "/mpc_node/supervisor_state"),
            (String, "/mpc_node/message"),
            (DiagnosticArray, "/diagnostics"),
        ):
            self.peer.listen(kind, topic)
        self.events: list[dict] = []
        self.peer.node.create_subscription(
            String, "/mpc_node/event_log", lambda message: self.events.append(json.loads(message.data)), 1000
        )
        self._clock = self.peer.node.create_publisher(
            Clock, "/clock", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        )
        self._recorder = self.start("record_node", {"output": str(recorded)}) if recorded else None
        readers = 2 if recorded else 1
        self._states = self.peer.publisher(JointState, "/joint_states", readers)
        self._targets = self.peer.publisher(JointState, "/mpc_node/target_joints", readers)
        self._trajectories = self.peer.publisher(JointTrajectory, "/mpc_node/target_trajectory", readers)
        if self._recorder is not None:
            for topic in ("/commands", "/mpc_node/status", "/mpc_node/event_log"):
                self.peer.until(lambda topic=topic: self.peer.node.count_subscribers(topic) == 2, f"reader of {topic}")
            self.peer.until(lambda: "parameters of /mpc_node recorded" in self._recorder.output, "the parameters")

    def start(self, name: str, parameters: dict) -> NodeProcess:
        """Start a node."""
        process = NodeProcess(name, self.domain, parameters)
        self.peer.processes.append(process)
        return process

    def end_in_order(self) -> None:
        """Let the nodes end."""
        for process in self.peer.processes:
            process.signal(signal.SIGINT)
            assert process.wait() == 0, process.output

    def close(self) -> None:
        """End everything."""
        self.peer.close()
        for process in self.peer.processes:
            process.kill()

    # --- the simulation -----------------------------------------------------------------------------------------------

    def send_clock(self, now: float | None = None) -> None:
        """Publish a message of /clock."""
        self._clock.publish(Clock(clock=message_writers.to_time(self.time if now is None else now)))

    def begin(self) -> None:
        """Let simulated time pass until the node has answered ten states in a row."""
        streak = 0
        for _ in range(3000):
            before = self.answered
            self.run(DT, patience=GIVE_UP)
            streak = streak + 1 if self.answered > before else 0
            if streak >= 10:
                return
        raise AssertionError(f"no command came. The node said:\n{self.node.output}")

    def run(self, seconds: float, *, clock: int = 1, states: bool = True, patience: float | None = None) -> None:
        """Let simulated time pass.

        Parameters
        ----------
        seconds
            of simulated time.
        clock
            messages of /clock in a period; 0: none; -n: one in n periods.
        states
            whether the arm tells its state.
        patience
            for how long to wait for the answer to a state [s] of wall time; None: it must come.
        """
        for k in range(round(seconds / DT)):
            for i in range(1, clock):
                self.send_clock(self.time + i * DT / clock)
            self.time = round(self.time + DT, 9)
            if clock > 0 or clock < 0 and k % -clock == 0:
                self.send_clock()
            self._integrate()
            if states:
                self._tell(patience)
            else:
                self.wait(DT)
            self.speeds.append(self.qd.copy())
            self.commands.append(self.command)

    @property
    def command(self) -> np.ndarray:
        """The command in effect."""
        heard = self.peer.heard["/commands"]
        if heard:
            return np.array(heard[-1].data)
        return HOME if self.interface == "position" else np.zeros(2)

    def _tell(self, patience: float | None) -> None:
        before, self.sent = len(self.peer.heard["/commands"]), self.sent + 1
        self._states.publish(state(self.time, self.q, self.qd, JOINTS))

        def answer() -> bool:
            new = self.peer.heard["/commands"][before:]
            return any(abs(readers.answered_stamp(message) - self.time) < 1e-6 for message in new)

        if patience is None:
            message = state(self.time, self.q, self.qd, JOINTS)
            end = time.monotonic() + REPEAT

            def answered() -> bool:
                nonlocal end
                if time.monotonic() > end:  # with best effort DDS may have lost the state or the time
                    end = time.monotonic() + REPEAT
                    self.send_clock()
                    self._states.publish(message)
                return answer()

            self.peer.until(answered, f"the answer to {self.time}")
        else:
            end = time.monotonic() + patience
            self.peer.until(lambda: answer() or time.monotonic() > end, "time")
        self.answered += answer()

    def _integrate(self) -> None:
        u, h = self.command, DT / SUBSTEPS
        for _ in range(SUBSTEPS):
            if self.interface == "effort":
                effort = np.clip(u, -20.0, 20.0) - self._gravity(self.q) - FRICTION * self.qd
                self.qd = self.qd + h * np.linalg.solve(self._inertia(self.q), effort)
            else:
                wanted = (u if self.interface == "velocity" else (u - self.q) / LAG) if self.obeys else np.zeros(2)
                self.qd = self.qd + min(1.0, h / LAG) * (wanted - self.qd)
            self.q = self.q + h * self.qd

    # --- what is asked and told ---------------------------------------------------------------------------------------

    def target(self, q: np.ndarray, stamp: float = 0.0) -> None:
        """Send a target, and let the arm begin to move towards it, where it is stamped 0 or now."""
        before = self.goal_count
        self._targets.publish(state(stamp, q, (0.0, 0.0), JOINTS))
        self.peer.until(lambda: self.goal_count > before, "the target")

    def trajectory(self, points: Waypoints) -> None:
        """Send a trajectory stamped 0, and let it be accepted."""
        before = self.goal_count
        message = JointTrajectory(joint_names=list(JOINTS))
        for t, q, v in zip(points.times, points.Q, points.V, strict=True):
            time_from_start = Duration(sec=int(t), nanosec=round(1e9 * (t % 1.0)))
            message.points.append(
                JointTrajectoryPoint(positions=q.tolist(), velocities=v.tolist(), time_from_start=time_from_start)
            )
        self._trajectories.publish(message)
        self.peer.until(lambda: self.goal_count > before, "the trajectory")

    def settle(self) -> None:
        """Bring the arm to rest at HOME, whatever it did before, and forget what was told."""
        self.run(0.5, patience=GIVE_UP)
        self.call("clear")
        assert self.call("resume")[0]
        self.target(HOME)
        self.run(4.0)
        assert np.abs(self.q - HOME).max() < 0.02 and self.state == "ACTIVE"
        self.events.clear()
        self.peer.heard["/mpc_node/supervisor_state"].clear()
        self.sent = self.answered = 0

    @property
    def state(self) -> str:
        """The supervisor's state in the newest tick."""
        return State(int(read_status(self.peer.heard["/mpc_node/status"][-1])["supervisor_state"])).name

    @property
    def goal_count(self) -> int:
        """The number of targets the node has said to have accepted."""
        return self.node.output.count("target accepted")

    def call(self, service: str) -> tuple[bool, str]:
        """Call a Trigger service of mpc_node."""
        return self.peer.call(f"/mpc_node/{service}")

    def wait(self, seconds: float) -> None:
        """Let the wall clock go on, and simulated time not."""
        end = time.monotonic() + seconds
        self.peer.until(lambda: time.monotonic() > end, "time")

    def highest(self, since: int) -> tuple[float, float]:
        """The largest speed [rad/s] and acceleration [rad/s^2] of the arm from period `since` on."""
        speeds = np.array(self.speeds[since:])
        return float(np.abs(speeds).max()), float(np.abs(np.diff(speeds, axis=0)).max() / DT)

    def diagnosis(self, part: str) -> dict[str, str]:
        """The newest key-values of one part of /diagnostics."""
        for message in reversed(self.peer.heard["/diagnostics"]):
            for status in message.status:
                if status.name.endswith(part):
                    return {entry.key: entry.value for entry in status.values}
        return {}

    @property
    def messages(self) -> list[str]:
        """What ~/message has told."""
        return [message.data for message in self.peer.heard["/mpc_node/message"]]

    @property
    def states_told(self) -> list[str]:
        """What ~/supervisor_state has told."""
        return [message.data for message in self.peer.heard["/mpc_node/supervisor_state"]]

    @property
    def interruptions(self) -> list[str]:
        """The causes of the interruptions in the event log."""
        return [event["cause"] for event in self.events if event["name"] == "interruption"]


@contextlib.contextmanager
def simulated_arm(folder, interface: str = "velocity", **settings):
    """A SimulatedArm, which is ended."""
    arm = SimulatedArm(folder, interface, **settings)
    try:
        yield arm
    finally:
        arm.close()
