"""The targets that mpc_node takes by topic: read, judged by their time, and given to the controller.

What a target needs takes longer than a period (inverse kinematics) and is done in another thread; in lockstep, where
nobody waits, at once and in order. Each is told on ~/message, and counted in the diagnostics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from geometry_msgs.msg import PointStamped, PoseStamped
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import JointState, PointCloud2
from trajectory_msgs.msg import JointTrajectory

from ..exceptions import MbrlError, TargetError
from ..messages import readers, targets
from ..messages.input_gate import Rejection
from ..messages.joint_order import JointOrder
from ..messages.message_size import stamp_of, too_large
from ..messages.recorded_transforms import TRANSFORMED, transform_details
from ..messages.target_frames import TargetFrames
from ..references.targets import Target, check_time
from ..robots.transform_buffer import TransformBuffer
from ..runtime.control_loop import ControlLoop
from ..types import Array, Observation
from . import bounded, qos
from .background_worker import BackgroundWorker
from .jog_inputs import JogInputs
from .receipts import Receipt, Receipts
from .target_outcomes import TargetOutcomes
from .transform_listener import TransformListener, transform_type


class TargetInputs:
    """The subscriptions to targets of a control loop, from construction until close().

    sizes: {topic: the largest message in bytes}.
    """

    def __init__(
        self, node: Node, loop: ControlLoop, outcomes: TargetOutcomes, sizes: Mapping[str, int], *, lockstep: bool
    ):
        self._node, self._loop, self._outcomes, self._sizes = node, loop, outcomes, sizes
        self._controller = loop.controller
        robot = self._controller.robot
        self._order = JointOrder(robot.joints)
        self._now: float | None = None  # the stamp of the newest state [s]
        self._worker = None if lockstep else BackgroundWorker()
        self._listener, self.frames = self._read_transforms()
        self._receipts = Receipts(loop)
        self._jogs = JogInputs(node, loop, outcomes, sizes, self._worker, self._receipts)
        self._subscriptions = [
            self._subscribe(kind, topic, setter)
            for kind, topic, setter in (
                (JointState, "target_joints", self._set_joints),
                (PointStamped, "target_point", self._set_point),
                (PoseStamped, "target_pose", self._set_pose),
                (PointCloud2, "target_features", self._set_features),
                (JointTrajectory, "target_trajectory", self._set_trajectory),
            )
        ]

    def add_state(self, observation: Observation, *, restarted: bool) -> None:
        """Take note of the newest state; `restarted`: its stamp begins a new time line."""
        self._now = self._receipts.now = observation.stamp
        r, reported = self._controller.uncontrolled, observation.uncontrolled
        if r is not None and reported is not None:
            r = np.where(np.isnan(reported), r, reported)
        self.frames.add_state(observation.stamp, observation.q, r, restarted=restarted)
        if self._listener is not None:
            self._listener.now = observation.stamp
            if restarted:
                self._listener.begin_anew()

    def close(self) -> None:
        """Release the subscriptions, and finish the targets that wait."""
        self._jogs.close()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        if self._worker is not None:
            self._worker.close()
        self._jogs.destroy()
        if self._listener is not None:
            self._listener.destroy()

    def _read_transforms(self) -> tuple[TransformListener | None, TargetFrames]:
        """Return what reads the transforms of tf2, and the frames that targets may have."""
        settings, robot = self._controller.configuration.frames, self._controller.robot
        buffer, kind = TransformBuffer(settings.memory), transform_type()
        listener, without = None, "/tf is not read (frames.transforms)"
        if settings.transforms and kind is None:
            without = "/tf is not read, because tf2_msgs is not installed"
            self._node.get_logger().info(f"{without}: targets stand in frames of the robot's description")
        elif settings.transforms:
            without = ""
            listener = TransformListener(self._node, kind, buffer, settings.memory, self._count)
        update = (lambda: None) if listener is None else listener.update
        frames = TargetFrames(
            robot, buffer, oldest=settings.oldest, memory=settings.memory, update=update, without=without
        )
        return listener, frames

    def _count(self, what: str) -> None:
        self._loop.statistics.events[what] += 1

    def _subscribe(self, kind: type, topic: str, setter: Callable[[Any], Target]) -> Subscription:
        callback, refuse = self._callback(topic, setter), self._refusing(topic)
        return bounded.subscribe(self._node, kind, f"~/{topic}", callback, qos.TARGET_QOS, self._sizes[topic], refuse)

    def _refusing(self, topic: str) -> Callable[[bytes], None]:
        """Return what refuses a target whose message is too large."""

        def refuse(raw: bytes) -> None:
            error = TargetError(too_large(topic, len(raw), self._sizes[topic]), kind=Rejection.TOO_LARGE.value)
            self._outcomes.refuse(topic, error)
            self._loop.target_refused(topic, stamp_of(raw))

        return refuse

    def _callback(self, topic: str, setter: Callable[[Any], Target]) -> Callable[[Any], None]:
        def callback(message: Any) -> None:
            receipt = self._receipts.take(topic, message)
            if self._worker is None:
                self._accept(receipt, setter, message)
            elif not self._worker.run(lambda: self._accept(receipt, setter, message)):
                self._outcomes.refuse(topic, TargetError("too many others wait", kind="too many wait"))
                self._receipts.refused(receipt)

        return callback

    def _accept(self, receipt: Receipt, setter: Callable[[Any], Target], message: Any) -> None:
        try:
            with self._controller.asked_at(receipt.forgotten):
                target = setter(message)
        except MbrlError as error:
            self._outcomes.refuse(receipt.topic, error)
            self._receipts.refused(receipt)
        else:
            self._outcomes.accept(target)

    def _stamp(self, message: Any, duration: float | None = None) -> float:
        """Return the stamp [s] of a target; TargetError if it is too far from that of the newest state.

        A trajectory lasts `duration` [s]. Before the first state its clock is unknown, and nothing is refused. A replay
        does not judge again: it is told which targets were refused.
        """
        stamp = readers.seconds(message.header.stamp)
        if self._now is not None:
            settings = self._controller.configuration.reference
            check_time(stamp, self._now, settings, None if duration is None else stamp + duration)
        return stamp

    def _set_joints(self, message: JointState) -> Target:
        q = targets.read_joint_target(message, self._order)
        return self._controller.set_joint_target(q, self._stamp(message))

    def _set_point(self, message: PointStamped) -> Target:
        stamp = self._stamp(message)
        T = self._transform(message, stamp)
        target = self._controller.set_point_target(targets.read_point_target(message, T), stamp)
        self._record("target_point", message, targets.point_numbers(message), T)
        return target

    def _set_pose(self, message: PoseStamped) -> Target:
        stamp = self._stamp(message)
        T = self._transform(message, stamp)
        target = self._controller.set_pose_target(targets.read_pose_target(message, T), stamp)
        self._record("target_pose", message, targets.pose_numbers(message), T)
        return target

    def _transform(self, message: Any, stamp: float) -> Array:
        """Return T (4, 4) of the frame of a target in the base frame; wait for it where it is about to come."""
        patience = 0.0 if self._worker is None else self._controller.configuration.frames.wait
        return self.frames.transform(message.header.frame_id, stamp, patience)

    def _record(self, topic: str, message: Any, numbers: list[float], T: Array) -> None:
        """Record where the frame of an accepted target was taken to be, unless the robot's description tells it."""
        frame, stamp = message.header.frame_id, readers.seconds(message.header.stamp)
        if not self.frames.fixed(frame):
            self._loop.tell_of_target(TRANSFORMED, **transform_details(topic, frame, stamp, numbers, T))

    def _set_features(self, message: PointCloud2) -> Target:
        s = targets.read_feature_target(message)
        return self._controller.set_feature_target(s, self._stamp(message))

    def _set_trajectory(self, message: JointTrajectory) -> Target:
        points = targets.read_trajectory_target(message, self._order)
        return self._controller.set_trajectory(points, self._stamp(message, float(points.times[-1])))
