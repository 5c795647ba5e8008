"""mpc_node's end of distillation: samples out after every tick, policies in, promotion by service.

Publishes ~/supervision (best effort) and ~/policy_status (std_msgs/Float64MultiArray: mode, version, disagreement,
scores, and version and disagreement of a newer policy in shadow); subscribes policy (latched); serves
~/promote_policy and ~/demote_policy (std_srvs/Trigger).
"""

from __future__ import annotations

import hashlib
import math
import threading

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, UInt8MultiArray
from std_srvs.srv import Trigger

from ..controllers.policy import PolicyController
from ..distillation.compiled_policy import CompiledPolicy
from ..exceptions import MbrlError
from ..runtime.control_loop import ControlLoop
from . import qos, supervision_messages

STREAM = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
STATUS_FIELDS = (
    "mode",
    "version",
    "disagreement",
    "state score",
    "target score",
    "spread score",
    "newer version",
    "newer disagreement",
)


class PolicyInterface:
    """Between the topics and `controller`, which the control thread of `loop` uses: all changes go through `loop.outside`."""

    def __init__(self, node: LifecycleNode, controller: PolicyController, loop: ControlLoop):
        self._node, self._controller, self._loop = node, controller, loop
        self._samples = node.create_publisher(Float64MultiArray, "~/supervision", STREAM)
        self._status = node.create_publisher(Float64MultiArray, "~/policy_status", qos.VIEW)
        self._subscription = node.create_subscription(UInt8MultiArray, "policy", self._on_policy, qos.LATCHED)
        self._services = [
            node.create_service(Trigger, "~/promote_policy", self._promote),
            node.create_service(Trigger, "~/demote_policy", self._demote),
        ]
        self._source, self._sequence, self._told = node.get_fully_qualified_name(), 0, None
        self._waiting: UInt8MultiArray | None = None  # the newest policy not yet read
        self._arrived, self._closing = threading.Event(), False
        self._reader = threading.Thread(target=self._read, name="policies", daemon=True)
        self._reader.start()

    def destroy(self) -> None:
        self._closing = True
        self._arrived.set()
        self._reader.join()
        self._node.destroy_subscription(self._subscription)
        for service in self._services:
            self._node.destroy_service(service)
        for publisher in (self._samples, self._status):
            self._node.destroy_publisher(publisher)

    def after_tick(self, followed: bool) -> None:
        """From the control thread, after the command has left; `followed`: it was the controller's. What a teacher says while
        the supervisor acts is no lesson.
        """
        controller = self._controller
        sample = controller.sample if followed else None
        if sample is not None:
            self._sequence += 1
            self._samples.publish(supervision_messages.to_message(sample, self._sequence, self._source))
        scores = controller.student.scores if controller.student else dict.fromkeys(("state", "target", "spread"), 0.0)
        newer = controller.newer
        values = [
            controller.mode,
            controller.version,
            controller.disagreement,
            scores["state"],
            scores["target"],
            scores["spread"],
            newer.version if newer else 0,
            newer.disagreement if newer else math.nan,
        ]
        message = Float64MultiArray(data=[float(value) for value in values])
        message.layout.dim = [MultiArrayDimension(label=name, size=1, stride=1) for name in STATUS_FIELDS]
        self._status.publish(message)
        if (controller.mode, controller.reason) != self._told:
            self._told = controller.mode, controller.reason
            self._node.get_logger().info(
                f"policy: {controller.mode.name.lower()} ({controller.reason or 'no policy yet'})"
            )

    def _on_policy(self, message: UInt8MultiArray) -> None:
        """Reading and compiling takes long: in a thread of its own; the control thread takes the finished student."""
        self._waiting = message
        self._arrived.set()

    def _read(self) -> None:
        while self._arrived.wait() and not self._closing:
            self._arrived.clear()
            self._build(self._waiting)

    def _build(self, message: UInt8MultiArray) -> None:
        try:
            policy = supervision_messages.read_policy(message)
            student = CompiledPolicy(policy, self._controller.robot)
            self._loop.outside(
                "policy",
                lambda: self._controller.use(student, int(policy.about.get("version", 0)) or None),
                sha256=hashlib.sha256(bytes(message.data)).hexdigest(),
            )
        except MbrlError as error:
            self._node.get_logger().warning(f"policy refused: {error}")

    def _promote(self, request, response):
        reason = self._loop.outside("promote_policy", self._controller.promote)
        response.success, response.message = not reason, reason or "the policy acts"
        return response

    def _demote(self, request, response):
        self._loop.outside("demote_policy", self._controller.demote)
        response.success, response.message = True, "the planner acts"
        return response
