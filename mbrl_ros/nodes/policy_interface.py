"""Distillation in mpc_node: publish supervision samples, take in policies, promote and demote them by service.

Publishes ~/supervision (best effort) and ~/policy_status (std_msgs/Float64MultiArray: mode, version, disagreement,
scores, and version and disagreement of a newer policy in shadow); subscribes to policy (latched); serves
~/promote_policy and ~/demote_policy (std_srvs/Trigger).
"""

from __future__ import annotations

import hashlib
import math
import threading

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, UInt8MultiArray
from std_srvs.srv import Trigger

from ..controllers.policy import PolicyController
from ..controllers.policy_selection import Mode
from ..distillation.compiled_policy import CompiledPolicy
from ..distillation.policy import LARGEST_POLICY
from ..exceptions import MbrlError
from ..messages.input_gate import Rejection
from ..messages.message_size import MOST_LABELS, PER_JOINT, dimensions_of, too_large
from ..runtime.control_loop import ControlLoop
from ..runtime.interfaces import Tick
from ..safety.state_machine import State
from . import qos, supervision_messages
from .tick_observer import TickObserver

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


class PolicyInterface(TickObserver):
    """The topics and services of a PolicyController.

    The control thread of `loop` uses the controller; whatever changes it goes through `loop.between_commands`.
    """

    def __init__(self, node: LifecycleNode, controller: PolicyController, loop: ControlLoop):
        self._node, self._controller, self._loop = node, controller, loop
        self._samples = node.create_publisher(Float64MultiArray, "~/supervision", STREAM)
        self._status = node.create_publisher(Float64MultiArray, "~/policy_status", qos.VIEW)
        self._subscription = node.create_subscription(UInt8MultiArray, "policy", self._on_policy, qos.LATCHED, raw=True)
        self._services = [
            node.create_service(Trigger, "~/promote_policy", self._promote),
            node.create_service(Trigger, "~/demote_policy", self._demote),
        ]
        self._source, self._sequence = node.get_fully_qualified_name(), 0
        self._reported: tuple[Mode, str] | None = None
        self._waiting: bytes | None = None  # the newest policy, until it is read
        self._arrived, self._closing = threading.Event(), False
        self._reader = threading.Thread(target=self._read, name="policies", daemon=True)
        self._reader.start()

    def destroy(self) -> None:
        """End the thread and release topics and services."""
        self._closing = True
        self._arrived.set()
        self._reader.join()
        self._node.destroy_subscription(self._subscription)
        for service in self._services:
            self._node.destroy_service(service)
        for publisher in (self._samples, self._status):
            self._node.destroy_publisher(publisher)

    def after_tick(self, tick: Tick) -> None:
        """Publish the sample, if the controller's command was applied, and the policy's status.

        While the supervisor acts in the controller's place, the teacher's command is not one to learn from.
        """
        controller = self._controller
        applied = tick.decision is not None and tick.command.state is State.ACTIVE
        sample = controller.sample if applied else None
        if sample is not None:
            self._sequence += 1
            self._samples.publish(supervision_messages.to_message(sample, self._sequence, self._source))
        self._publish_status()
        if (controller.mode, controller.reason) != self._reported:
            self._reported = controller.mode, controller.reason
            self._node.get_logger().info(
                f"policy: {controller.mode.name.lower()} ({controller.reason or 'no policy yet'})"
            )

    def _publish_status(self) -> None:
        controller = self._controller
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

    def _on_policy(self, raw: bytes) -> None:
        """Hand the policy to a thread of its own, where it is read and compiled; the control thread gets the result."""
        largest = LARGEST_POLICY + PER_JOINT
        if len(raw) > largest or dimensions_of(raw) > MOST_LABELS:
            self._loop.statistics.events[f"{Rejection.TOO_LARGE.value}: policy"] += 1
            self._node.get_logger().warning(f"policy refused: {too_large('policy', len(raw), largest)}")
            return
        self._waiting = raw
        self._arrived.set()

    def _read(self) -> None:
        while self._arrived.wait() and not self._closing:
            self._arrived.clear()
            if self._waiting is not None:
                self._build(self._waiting)

    def _build(self, raw: bytes) -> None:
        try:
            message = deserialize_message(raw, UInt8MultiArray)
            policy = supervision_messages.read_policy(message)
            student = CompiledPolicy(policy, self._controller.robot)
            self._loop.between_commands(
                "policy",
                lambda: self._controller.use(student, policy.version or None),
                sha256=hashlib.sha256(bytes(message.data)).hexdigest(),
            )
        except MbrlError as error:
            self._node.get_logger().warning(f"policy refused: {error}")
        except Exception as error:  # whatever a message makes fail, the next one may be whole
            self._node.get_logger().error(f"policy refused: {type(error).__name__}: {error}")

    def _promote(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        reason = self._loop.between_commands("promote_policy", self._controller.promote)
        response.success, response.message = not reason, reason or "the policy acts"
        return response

    def _demote(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._loop.between_commands("demote_policy", self._controller.demote)
        response.success, response.message = True, "the planner acts"
        return response
