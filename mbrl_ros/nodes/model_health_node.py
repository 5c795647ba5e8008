"""model_health_node: learn a robot's dynamics beside the controller that moves it, and say what was learned.

It publishes no command, and has no publisher for one. What acts is the effort in joint_states where robot.interface is
effort, else the newest message on commands.
"""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Vector3, WrenchStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout
from std_srvs.srv import Trigger

from ..config.configuration import Configuration, section_types
from ..config.required import missing_for_robot
from ..config.sections.nodes import HealthNodeSettings
from ..exceptions import ConfigurationError, RobotDescriptionError
from ..messages.input_gate import InputGate, Rejection
from ..messages.message_size import PER_JOINT, too_large
from ..messages.readers import JointStateReader
from ..replay.health import HEALTH_FIELDS, HEALTH_VERSION, HealthReport, ModelHealth
from ..robots import load_robot
from ..robots.urdf import robot_name
from ..runtime.mailbox import Arrival
from . import bounded, qos
from .child_process import end_with_parent
from .diagnostics import input_status, model_status, part_status
from .executor import EndRequest
from .message_writers import to_time
from .parameters import Parameters, ReadsOverrides
from .prediction_quality import PredictionQuality
from .process import run
from .wall_timer import create_wall_timer

REPORT_PERIOD = 1.0  # [s] between two diagnostics
_HEALTH_LAYOUT = MultiArrayLayout(
    dim=[
        MultiArrayDimension(label=HEALTH_VERSION, size=len(HEALTH_FIELDS), stride=len(HEALTH_FIELDS)),
        *(MultiArrayDimension(label=name, size=1, stride=1) for name in HEALTH_FIELDS),
    ]
)


class ModelHealthNode(ReadsOverrides, Node):
    """Feeds a `ModelHealth` and publishes what it tells."""

    def __init__(self, end: EndRequest, **options: Any):
        super().__init__("model_health_node", **options)
        parameters = Parameters(self, {**section_types(), "": HealthNodeSettings})
        settings = self.settings = parameters.section(HealthNodeSettings)
        if settings.end_with_parent:
            end_with_parent()
        if missing := missing_for_robot(parameters.given, commanded=False):
            raise ConfigurationError(missing)
        configuration = Configuration.from_flat(parameters.flat())
        if not (settings.robot_description or configuration.robot.description):
            raise RobotDescriptionError("no robot description: set robot.description or robot_description")
        self._robot = robot = load_robot(configuration.robot, settings.robot_description or None)
        self._hardware, control = robot_name(robot.urdf), configuration.control
        self.health = ModelHealth(
            robot, configuration, memory=settings.memory, with_gravity=settings.efforts == "with gravity"
        )
        # nothing is commanded, so that a late state is as good as another: only the order of the stamps counts
        self._gate = InputGate("joint_states", timeout=control.state_timeout, clock="stamps")
        self._reader = JointStateReader(
            robot, self._gate, missing_velocity=control.missing_velocity, cutoff=control.velocity_cutoff
        )
        self._prediction, self._next, self._newest = PredictionQuality(), -math.inf, -math.inf
        self._values = self.create_publisher(Float64MultiArray, "~/health", qos.RELIABLE)
        self._wrench = self.create_publisher(WrenchStamped, "~/wrench", qos.RELIABLE)
        self._effort = self.create_publisher(JointState, "~/external_effort", qos.RELIABLE)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.RELIABLE)
        largest = settings.largest_message + PER_JOINT * robot.n
        bounded.subscribe(
            self,
            JointState,
            "joint_states",
            self._on_state,
            qos.NEWEST,
            largest,
            self._refusing("joint_states", largest),
        )
        if robot.interface != "effort":
            refuse = self._refusing("commands", largest)
            bounded.subscribe(self, Float64MultiArray, "commands", self._on_command, qos.NEWEST, largest, refuse)
        self.create_service(Trigger, "~/tare", self._on_tare)
        self.create_service(Trigger, "~/reset_model", self._on_reset)

    def begin(self) -> None:
        """Begin to publish diagnostics, also while no states come."""
        create_wall_timer(self, REPORT_PERIOD, self._publish_diagnostics)
        self.get_logger().info(
            f"learning beside the controller of {self._hardware or 'the robot'}; nothing is commanded"
        )

    def end(self) -> None:
        """End; nothing is left to do."""

    def _refusing(self, topic: str, largest: int) -> Any:
        def refuse(raw: bytes) -> None:
            self._gate.reject(Rejection.TOO_LARGE, too_large(topic, len(raw), largest))

        return refuse

    # --- messages -----------------------------------------------------------------------------------------------------

    def _on_command(self, message: Float64MultiArray) -> None:
        self.health.command(np.array(message.data, dtype=float))

    def _on_state(self, message: JointState) -> None:
        reading = self._reader.read(message, 1e-9 * self.get_clock().now().nanoseconds)
        if reading is None:
            return
        observation, effort, restarted = reading
        report = self.health.state(Arrival(observation, time.perf_counter(), effort, restarted))
        if report is None:
            return
        self._newest = time.monotonic()
        self._prediction.add(observation, report.decision, self.health.observer.nis_bound)
        if not -1.0 <= observation.stamp - self._next < 0.0:
            self._next = observation.stamp + 1.0 / self.settings.publish_rate
            self._publish(report)

    def _publish(self, report: HealthReport) -> None:
        self._values.publish(Float64MultiArray(layout=_HEALTH_LAYOUT, data=list(report.values.values())))
        if report.load is None:
            return
        stamp = to_time(report.values["stamp"])
        wrench = WrenchStamped()
        wrench.header.stamp, wrench.header.frame_id = stamp, self._robot.tip
        wrench.wrench.force = Vector3(**dict(zip("xyz", report.load.force.tolist(), strict=True)))
        wrench.wrench.torque = Vector3(**dict(zip("xyz", report.load.torque.tolist(), strict=True)))
        self._wrench.publish(wrench)
        effort = JointState(name=list(self._robot.joints), effort=report.load.effort.tolist())
        effort.header.stamp = stamp
        self._effort.publish(effort)

    def _publish_diagnostics(self) -> None:
        name, health = self.get_fully_qualified_name(), self.health
        silent = time.monotonic() - self._newest > 2.0 * REPORT_PERIOD
        text = "nothing is learned: no state comes, or what acts is not known" if silent else "learning"
        level = DiagnosticStatus.WARN if silent else DiagnosticStatus.OK
        parts = [
            part_status(f"{name}: learning", level, text, sorted(health.events.items())),
            model_status(name, health.observer, self._prediction, 0),
            input_status(name, self._gate),
        ]
        for part in parts:
            part.hardware_id = self._hardware
        message = DiagnosticArray(status=parts)
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    # --- services -----------------------------------------------------------------------------------------------------

    def _on_tare(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = self.health.tare()
        return response

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.health.forget()
        response.success, response.message = True, "the model begins anew with the next state; the tare stays"
        return response


def main(arguments: list[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run(ModelHealthNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
