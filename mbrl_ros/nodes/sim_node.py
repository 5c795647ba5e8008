"""sim_node: a simulated robot with the topics of a real one: joint_states and features out, commands in.

One step of the plant is one control period. State k is published at the beginning of its period; the newest command at
the end of the period answers it (when a command acts is decided by plant.command_delay). Three modes of time:

real time        the periods have absolute deadlines; without a new command the last one stays in effect; before the
                 first command the brakes hold the arm, and those of command_topics their joints
lockstep         every state waits for its command, and a frame is sent when it is exposed: the controller, which uses
                 it only once it is control.feature_latency old, has received it by then
paced lockstep   lockstep in which every period also waits for its deadline, with the results of lockstep
"""

from __future__ import annotations

import math
import sys
import threading
import time
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64
from std_srvs.srv import Trigger

from ..config.sections.images import ImageSettings
from ..config.sections.robot import RobotSettings
from ..config.sections.sim_node import SimNodeSettings
from ..config.sections.simulation import CameraSettings, PlantSettings
from ..config.settings_file import sections_of
from ..exceptions import ConfigurationError, MbrlError
from ..messages import readers
from ..robots import load_robot
from ..simulation.plant import Measurement
from . import message_writers, qos
from .camera_output import CameraOutput
from .executor import EndRequest
from .pacing import Pacer
from .parameters import Parameters, ReadsOverrides
from .process import run
from .simulated_commands import SimulatedCommands
from .simulation import Simulation

PROGRESS_PERIOD = 0.1  # [s]
RESEND = 1.0  # [s] after which a state without a command is sent again: its subscriber may have appeared only now
RESEND_BRAKED = 0.1  # [s] likewise in real time: the controller answers a state once it knows whose the states are
SUBSCRIBER_SEARCH_PERIOD = 0.01  # [s] between two searches for subscribers
BEHIND, CATCH_UP = 1.0, 0.05  # [s] of delay, in real time and in paced lockstep, from which on lost time is given up


class SimNode(ReadsOverrides, Node):
    """The ROS interface of nodes.simulation.Simulation, which runs in a thread of its own."""

    def __init__(self, end: EndRequest, **options: Any):
        super().__init__("sim_node", **options)
        self._end = end
        parameters = Parameters(self, sections_of("sim_node"))
        self.settings = parameters.section(SimNodeSettings)
        self.robot = load_robot(parameters.section(RobotSettings), self.settings.robot_description or None)
        section = parameters.section
        self.simulation = Simulation(
            self.robot, section(PlantSettings), section(CameraSettings), self.settings, section(ImageSettings)
        )
        self._camera = CameraOutput(self, self.robot, parameters)
        self._started, self._stopping = threading.Event(), threading.Event()
        if self.settings.autostart:
            self._started.set()
        self._commands = SimulatedCommands(self, self.settings, self.robot)
        self._states = self.create_publisher(JointState, "joint_states", qos.EVERY)
        self._truth = self.create_publisher(JointState, "~/truth", QoSProfile(depth=10))
        self._progress = self.create_publisher(Float64, "~/progress", QoSProfile(depth=10))
        self.create_subscription(Float64, "~/payload", self._on_payload, QoSProfile(depth=10))
        self.create_service(Trigger, "~/start", self._on_start)
        self.create_service(Trigger, "~/reset", self._on_reset)
        self._thread = threading.Thread(target=self._run, name="simulation", daemon=True)

    def begin(self) -> None:
        """Start the thread of the simulation."""
        self._thread.start()

    def end(self) -> None:
        """Stop the simulation and write its log."""
        self._stopping.set()
        self._started.set()
        self._commands.close()
        self._camera.stop_waiting()
        if self._thread.is_alive():
            self._thread.join()
        self._camera.close()
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
        self._started.wait()
        while self._states.get_subscription_count() < self.settings.readers:
            if self._stopping.wait(SUBSCRIBER_SEARCH_PERIOD):
                return
        simulation, next_progress, braked = self.simulation, 0.0, self.settings.brakes
        pacer = Pacer(
            simulation.plant.period, CATCH_UP if self.settings.lockstep else BEHIND, report=self._report_behind
        )
        while not self._stopping.is_set() and not simulation.finished:
            state, frames = simulation.begin_tick()
            self._camera.publish(frames)
            self._camera.take(simulation.exposure())
            message = self._joint_state(state)
            self._commands.expect(readers.seconds(message.header.stamp))
            again = partial(self._states.publish, message)
            again()
            self._truth.publish(self._joint_state(simulation.truth))
            if time.perf_counter() >= next_progress:
                next_progress = time.perf_counter() + PROGRESS_PERIOD
                self._progress.publish(Float64(data=simulation.elapsed))
            if self.settings.lockstep:
                command = self._commands.wait(self.settings.lockstep_timeout, RESEND, again)
                if self.settings.pace:
                    pacer.wait()
            elif braked:
                command = self._commands.wait(math.inf, RESEND_BRAKED, again, of_all=False)
                braked = False
                pacer.restart()
            else:
                pacer.wait()
                command = self._commands.newest()
            simulation.end_tick(command)
        self._progress.publish(Float64(data=simulation.elapsed))

    def _report_behind(self, seconds: float) -> None:
        if not self.settings.lockstep:
            self.get_logger().warning(f"{seconds:.1f} s behind real time; the machine is too slow or was suspended")

    def _joint_state(self, state: Measurement) -> JointState:
        return message_writers.to_joint_state(
            self.settings.start_stamp + state.stamp, self.robot.joints, state.q, state.qd, state.effort
        )

    # --- callbacks ------------------------------------------------------------------------------------------------

    def _on_payload(self, message: Float64) -> None:
        try:
            self.simulation.request_payload(message.data)
        except ConfigurationError as error:
            self.get_logger().warning(str(error))

    def _on_start(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, "already running" if self._started.is_set() else "started"
        self._started.set()
        return response

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.simulation.request_reset()
        response.success, response.message = True, "back at the initial position with the next state"
        return response


def main(arguments: list[str] | None = None) -> int:
    """Run the node; return the exit code of the process."""
    return run(SimNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
