"""The velocities that mpc_node takes by topic, as streams: of the tool, and of the joints.

They come up to 1000 times a second, so that none is told of on ~/message by itself: those that cannot be used are
counted in the diagnostics, and the log names each kind once. Whether a jog came in time is judged in the control thread
by the stamp of its state, which a replay repeats. What came as control_msgs/JointJog is published again as
~/accepted_jog, in a type that recordings know everywhere.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import Any

from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState

from ..exceptions import MbrlError, TargetError
from ..messages import jogs, readers
from ..messages.input_gate import Rejection
from ..messages.message_size import too_large
from ..runtime.control_loop import ControlLoop
from . import bounded, qos
from .background_worker import BackgroundWorker
from .receipts import Receipt, Receipts
from .target_outcomes import TargetOutcomes

JOINT_JOG = "target_jog"
NOT_REPEATED = ("canceled", "too late", "too many wait")  # kinds of refusals that a replay does not find by itself
MOST_TASKS = 1000  # jogs that may wait while targets before them need inverse kinematics


def joint_jog_type() -> Any | None:
    """Return control_msgs/JointJog, None where control_msgs is not installed."""
    try:
        from control_msgs.msg import JointJog
    except ImportError:
        return None
    return JointJog


class JogInputs:
    """The subscriptions to jogs of a control loop, from construction until close().

    sizes: {topic: the largest message in bytes}. worker: where targets are taken in, so that all keep their order;
    None: at once.
    """

    def __init__(
        self,
        node: Node,
        loop: ControlLoop,
        outcomes: TargetOutcomes,
        sizes: Mapping[str, int],
        worker: BackgroundWorker | None,
        receipts: Receipts,
    ):
        self._node, self._outcomes, self._sizes, self._receipts = node, outcomes, sizes, receipts
        self._controller, self._worker, self._accepted = loop.controller, worker, None
        self._joints = self._controller.robot.joints
        topics: list[tuple[type, str, Callable[[Any], None]]] = [
            (TwistStamped, "target_twist", self._set_twist),
            (JointState, "target_velocities", self._set_velocities),
        ]
        if (kind := joint_jog_type()) is not None:
            topics.append((kind, JOINT_JOG, self._set_jog))
            self._accepted = node.create_publisher(JointState, "~/accepted_jog", qos.TARGET_QOS)
        self._subscriptions = [
            bounded.subscribe(
                node,
                kind,
                f"~/{topic}",
                self._callback(topic, setter),
                qos.TARGET_QOS,
                sizes[topic],
                self._refusing(topic),
            )
            for kind, topic, setter in topics
        ]

    def close(self) -> None:
        """Release the subscriptions; call it before the worker ends."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def destroy(self) -> None:
        """Release the publisher, after the worker has ended."""
        if self._accepted is not None:
            self._node.destroy_publisher(self._accepted)

    def _callback(self, topic: str, setter: Callable[[Any], None]) -> Callable[[Any], None]:
        def take(message: Any, receipt: Receipt) -> None:
            try:
                self._check_waited(receipt)
                with self._controller.asked_at(receipt.forgotten):
                    setter(message)
            except MbrlError as error:
                refuse(receipt, error)

        def refuse(receipt: Receipt, error: MbrlError) -> None:
            self._outcomes.refuse(topic, error, tell=False)
            # a replay refuses by itself what is no jog, and never sees a JointJog that was refused
            if isinstance(error, TargetError) and error.kind in NOT_REPEATED and topic != JOINT_JOG:
                self._receipts.refused(receipt)

        def callback(message: Any) -> None:
            receipt = self._receipts.take(topic, message)
            if self._worker is None:
                take(message, receipt)
            elif not self._worker.run(lambda: take(message, receipt), MOST_TASKS):
                refuse(receipt, TargetError("too many others wait", kind="too many wait"))

        return callback

    def _check_waited(self, receipt: Receipt) -> None:
        """Raise TargetError if a jog has waited for targets before it until its time was over."""
        waited, most = self._receipts.now - receipt.now, self._controller.configuration.reference.jog_timeout
        if waited > most:  # one stamped 0 would hold from now on
            raise TargetError(
                f"it waited {waited:.3f} s for targets before it, more than {most:g} s (reference.jog_timeout)",
                kind="too late",
            )

    def _refusing(self, topic: str) -> Callable[[bytes], None]:
        """Return what counts a message that is too large; a replay leaves it out, too."""

        def refuse(raw: bytes) -> None:
            error = TargetError(too_large(topic, len(raw), self._sizes[topic]), kind=Rejection.TOO_LARGE.value)
            self._outcomes.refuse(topic, error, tell=False)

        return refuse

    def _set_twist(self, message: TwistStamped) -> None:
        twist, frame = jogs.read_twist(message)
        self._controller.set_twist(twist, frame, readers.seconds(message.header.stamp))

    def _set_velocities(self, message: JointState) -> None:
        qd = jogs.read_velocities(message, self._joints)
        self._controller.set_velocities(qd, readers.seconds(message.header.stamp))

    def _set_jog(self, message: Any) -> None:
        qd = jogs.read_joint_jog(message, self._joints)
        self._controller.set_velocities(qd, readers.seconds(message.header.stamp))
        if self._accepted is not None:
            accepted = JointState(header=message.header, name=list(self._joints), velocity=array("d", qd))
            self._accepted.publish(accepted)
