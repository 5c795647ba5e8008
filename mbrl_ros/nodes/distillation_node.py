"""distillation_node: fit versioned policies to the supervision samples of one or several robots.

It subscribes to every topic of `topics` (best effort) and publishes policy (latched) and ~/report (std_msgs/String,
JSON). The fits run in a thread of this process, which may be on another machine than the robots.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64MultiArray, String, UInt8MultiArray

from ..config.configuration import section_types
from ..config.sections.distillation import DistillationSettings
from ..config.sections.nodes import DistillationNodeSettings
from ..config.sections.robot import RobotSettings
from ..distillation.fit import Report
from ..distillation.trainer import Trainer
from ..exceptions import DataError, RobotDescriptionError
from ..messages.message_size import too_large
from ..messages.supervision import LARGEST_SAMPLE, read
from ..robots import load_robot
from . import bounded, qos, supervision_messages
from .executor import EndRequest
from .parameters import Parameters, ReadsOverrides
from .process import run

# Deep enough for the samples that arrive while a fit occupies the interpreter.
SAMPLES = QoSProfile(depth=2000, reliability=ReliabilityPolicy.BEST_EFFORT)


class DistillationNode(ReadsOverrides, Node):
    """Store the samples that arrive; a thread fits policies to them."""

    def __init__(self, end: EndRequest, **options: Any):
        super().__init__("distillation_node", **options)
        parameters = Parameters(self, {**section_types(), "": DistillationNodeSettings})
        self.settings, robot_settings = parameters.section(DistillationNodeSettings), parameters.section(RobotSettings)
        if not (self.settings.robot_description or robot_settings.description):
            raise RobotDescriptionError("no robot description: set robot.description or robot_description")
        robot = load_robot(robot_settings, self.settings.robot_description or None)
        self.trainer = Trainer(robot, parameters.section(DistillationSettings), self.settings.folder)
        for reason in self.trainer.refused:
            self.get_logger().warning(f"not resumed, moved aside: {reason}")
        self.malformed, self._ending = 0, threading.Event()
        self._failure = ""
        self._policy = self.create_publisher(UInt8MultiArray, "policy", qos.LATCHED)
        self._report = self.create_publisher(String, "~/report", qos.RELIABLE)
        self._subscribed = [
            bounded.subscribe(
                self, Float64MultiArray, topic, self._on_sample, SAMPLES, LARGEST_SAMPLE, self._on_too_large
            )
            for topic in self.settings.topics
        ]
        self._thread = threading.Thread(target=self._learn, name="learning", daemon=True)

    def begin(self) -> None:
        """Publish the policy that was resumed, if any, and start learning."""
        if self.trainer.policy is not None:
            self._policy.publish(supervision_messages.to_policy_message(self.trainer.policy))
            self.get_logger().info(f"resumed at version {self.trainer.version}")
        self._thread.start()

    def end(self) -> None:
        """Finish the present fit and write a last checkpoint."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        self._checkpoint()

    def _on_sample(self, message: Float64MultiArray) -> None:
        try:
            self.trainer.offer(*read(message))
        except DataError as error:
            self._refuse(str(error))

    def _on_too_large(self, raw: bytes) -> None:
        self._refuse(too_large("a sample's topic", len(raw), LARGEST_SAMPLE))

    def _refuse(self, reason: str) -> None:
        self.malformed += 1
        if self.malformed == 1:
            self.get_logger().warning(f"a malformed sample (the first; further ones are counted): {reason}")

    def _learn(self) -> None:
        saved = time.monotonic()
        while not self._ending.wait(self.settings.period):
            try:
                report = self.trainer.learn()
                if report is not None:
                    self._publish(report)
            except Exception as error:  # samples that no fit can use must not end the thread: others follow
                failure = f"{type(error).__name__}: {error}"
                if failure != self._failure:
                    self.get_logger().error(f"a fit failed, the last policy stays (said once): {failure}")
                self._failure = failure
            if time.monotonic() - saved >= self.settings.checkpoint_period:
                saved = time.monotonic()
                self._checkpoint()

    def _publish(self, report: Report) -> None:
        trainer = self.trainer
        policy, memory = trainer.policy, trainer.memory
        assert policy is not None and memory is not None  # they exist once there is a report
        self._policy.publish(supervision_messages.to_policy_message(policy))
        values = {
            "version": trainer.version,
            "training_loss": report.training,
            "held_out_loss": report.held_out,
            "seconds": report.seconds,
            "samples": memory.count,
            "offered": memory.offered,
            "left_out": dict(memory.rejected),
            "lost": dict(trainer.lost),
            "malformed": self.malformed,
            "other_kinds": trainer.other_kinds,
        }
        self._report.publish(String(data=json.dumps(values)))

    def _checkpoint(self) -> None:
        try:
            self.trainer.checkpoint()
        except (OSError, DataError) as error:
            self.get_logger().error(f"no checkpoint was written, the last one is kept: {error}")


def main(arguments: list[str] | None = None) -> int:
    """Run the node; return the exit code of the process."""
    return run(DistillationNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
