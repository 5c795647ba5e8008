"""sim_node: a simulated robot that talks like a real one. Publishes joint_states and features, obeys commands.

One plant step is one control period. State k is published at its beginning; the newest command at its end is the
answer to it (what then acts when is the plant's business: plant.command_delay). In real time the periods have
absolute deadlines and a missing answer means the last command stands; the brakes open with the first one. In lockstep
every state waits for its answer, and a frame is sent when it is exposed: its reader, which uses it only once it is
features.latency old, has it by then. Paced lockstep waits for the period's deadline, too: where answers are in time
it is real time, elsewhere slower, and its numbers are those of lockstep.
"""

from __future__ import annotations

import math
import sys
import threading
import time

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import Float64, Float64MultiArray
from std_srvs.srv import Trigger

from ..config.sections.nodes import SimNodeSettings
from ..config.sections.robot import RobotSettings
from ..config.sections.simulation import CameraSettings, PlantSettings
from ..exceptions import ConfigurationError, MbrlError
from ..messages import readers
from ..robots import load_robot
from . import message_writers
from .parameters import Parameters
from .process import EndRequest, run
from .simulation import Simulation

STATES = QoSProfile(depth=50)
PROGRESS_PERIOD = 0.1  # [s]
RESEND = 1.0  # [s] after which an unanswered state is sent again: its reader may have been late to the party
REPORT = 10.0  # [s] of waiting between two complaints
LOOK_PERIOD = 0.01  # [s] between looks for readers
SAME = 1e-6  # [s]: stamps closer than this are the same
BEHIND = 1.0  # [s] of delay in real time after which the lost time is given up
CATCH_UP = 0.05  # [s] the same in paced lockstep


class SimNode(Node):
    """ROS around nodes.simulation.Simulation; the simulation runs in a thread of its own."""

    def __init__(self, end: EndRequest, **options):
        super().__init__("sim_node", automatically_declare_parameters_from_overrides=True, **options)
        self._end = end
        sections = Parameters(
            self, {"robot": RobotSettings, "plant": PlantSettings, "camera": CameraSettings, "": SimNodeSettings}
        ).sections
        self.settings: SimNodeSettings = sections[""]
        self.robot = load_robot(sections["robot"], self.settings.robot_description or None)
        self.simulation = Simulation(self.robot, sections["plant"], sections["camera"], self.settings)
        self._condition = threading.Condition()
        self._running, self._stopping = self.settings.autostart, False
        self._sent = 0.0  # stamp of the newest state
        self._answer: tuple[float, np.ndarray] | None = None  # (stamp of the state it answers, command)
        self._states = self.create_publisher(JointState, "joint_states", STATES)
        self._features = self.create_publisher(PointCloud2, "features", STATES)
        self._truth = self.create_publisher(JointState, "~/truth", QoSProfile(depth=10))
        self._progress = self.create_publisher(Float64, "~/progress", QoSProfile(depth=10))
        self.create_subscription(Float64MultiArray, "commands", self._on_command, QoSProfile(depth=10))
        self.create_subscription(Float64, "~/payload", self._on_payload, QoSProfile(depth=10))
        self.create_service(Trigger, "~/start", self._on_start)
        self.create_service(Trigger, "~/reset", self._on_reset)
        self._thread = threading.Thread(target=self._run, name="simulation", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join()
        if self.settings.log_file:
            try:
                self.simulation.save(self.settings.log_file)
            except OSError as error:
                self.get_logger().error(f"the log was not written: {error}")
                self._end.set(1)

    # --- the simulation's thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._simulate()
        except MbrlError as error:
            self.get_logger().error(str(error))
            self._end.set(1)
        else:
            self._end.set()

    def _simulate(self) -> None:
        with self._condition:
            while not self._running and not self._stopping:
                self._condition.wait()
            while self._states.get_subscription_count() < self.settings.readers and not self._stopping:
                self._condition.wait(LOOK_PERIOD)
        simulation, period = self.simulation, self.simulation.plant.period
        deadline, next_progress, braked = time.perf_counter(), 0.0, self.settings.brakes
        while not self._stopping and not simulation.finished:
            state, frames = simulation.begin_tick()
            for frame in frames:
                self._features.publish(message_writers.to_cloud(frame))
            message = self._joint_state(state)
            with self._condition:
                self._answer, self._sent = None, readers.seconds(message.header.stamp)
            self._states.publish(message)
            self._truth.publish(self._joint_state(simulation.truth))
            if time.perf_counter() >= next_progress:
                next_progress = time.perf_counter() + PROGRESS_PERIOD
                self._progress.publish(Float64(data=simulation.elapsed))
            if self.settings.lockstep:
                command = self._wait_for_answer(message, self.settings.lockstep_timeout)
                if self.settings.pace:
                    deadline = self._sleep_until(deadline + period, CATCH_UP)
            elif braked:
                command = self._wait_for_answer(message, math.inf)
                braked, deadline = False, time.perf_counter()
            else:
                deadline = self._sleep_until(deadline + period)
                command = self._newest_answer()
            simulation.end_tick(command)
        self._progress.publish(Float64(data=simulation.elapsed))

    def _wait_for_answer(self, message: JointState, timeout: float) -> np.ndarray | None:
        """The command for the state just sent; it is sent again now and then, since readers may appear late."""
        stamp, begin = self._sent, time.perf_counter()
        complaint = REPORT
        with self._condition:
            while not self._stopping:
                if self._answer is not None and abs(self._answer[0] - stamp) < SAME:
                    return self._answer[1]
                if self._condition.wait(RESEND):
                    continue
                self._states.publish(message)
                waited = time.perf_counter() - begin
                if waited > timeout:
                    raise MbrlError(
                        f"no command for the state stamped {stamp:g} s within {waited:.0f} s; is the "
                        "controller running, in lockstep, and on the same topics?"
                    )
                if waited > complaint:
                    complaint += REPORT
                    self.get_logger().warning(f"waiting for a command since {waited:.0f} s")
        return None

    def _newest_answer(self) -> np.ndarray | None:
        with self._condition:
            return None if self._answer is None else self._answer[1]

    def _sleep_until(self, deadline: float, behind: float = BEHIND) -> float:
        """Sleep to `deadline`; returns it, or now if it lies more than `behind` [s] back: what is lost is not caught up."""
        left = deadline - time.perf_counter()
        if left > 0.0:
            time.sleep(left)
        elif left < -behind:
            if not self.settings.lockstep:
                self.get_logger().warning(f"{-left:.1f} s behind real time; the machine is too slow or was asleep")
            return time.perf_counter()
        return deadline

    def _joint_state(self, state) -> JointState:
        message = JointState(
            name=list(self.robot.joints),
            position=state.q.tolist(),
            velocity=state.qd.tolist(),
            effort=[] if not hasattr(state, "effort") else state.effort.tolist(),
        )
        message.header.stamp = message_writers.to_time(self.settings.start_stamp + state.stamp)
        return message

    # --- callbacks ------------------------------------------------------------------------------------------------

    def _on_command(self, message: Float64MultiArray) -> None:
        if len(message.data) != len(self.robot.joints):
            self.get_logger().warning(
                f"a command must have {len(self.robot.joints)} entries, got {len(message.data)}; ignored",
                throttle_duration_sec=1.0,
            )
            return
        with self._condition:
            answered = readers.answered_stamp(message)
            self._answer = (self._sent if answered is None else answered, np.array(message.data))
            self._condition.notify()

    def _on_payload(self, message: Float64) -> None:
        try:
            self.simulation.request_payload(message.data)
        except ConfigurationError as error:
            self.get_logger().warning(str(error))

    def _on_start(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._condition:
            response.success, response.message = True, "already running" if self._running else "started"
            self._running = True
            self._condition.notify()
        return response

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.simulation.request_reset()
        response.success, response.message = True, "back at the initial position with the next state"
        return response


def main(arguments: list[str] | None = None) -> int:
    return run(SimNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
