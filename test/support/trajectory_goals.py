"""A client of the action FollowJointTrajectory, for ours and for joint_trajectory_controller's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from support.needs import present
from support.ros import Peer

if present("control_msgs"):
    from control_msgs.action import FollowJointTrajectory
    from control_msgs.msg import JointTolerance
    from rclpy.action import ActionClient
    from trajectory_msgs.msg import JointTrajectoryPoint

    from mbrl_ros.nodes import message_writers

STATUS = {1: "ACCEPTED", 2: "EXECUTING", 3: "CANCELING", 4: "SUCCEEDED", 5: "CANCELED", 6: "ABORTED"}


def tolerance(name: str, position: float = 0.0, velocity: float = 0.0, acceleration: float = 0.0) -> JointTolerance:
    """A tolerance of one joint; 0: the default, -1: none."""
    return JointTolerance(
        name=name, position=float(position), velocity=float(velocity), acceleration=float(acceleration)
    )


def goal_message(
    joints: Sequence[str],
    times: Sequence[float],
    Q: np.ndarray,
    *,
    rest: bool = True,
    stamp: float = 0.0,
    path: Sequence = (),
    goal: Sequence = (),
    time: float = 0.0,
):
    """A goal through positions Q (T, n) at `times` [s]; `rest`: with velocities zero at each point."""
    message = FollowJointTrajectory.Goal()
    message.trajectory.joint_names = list(joints)
    message.trajectory.header.stamp = message_writers.to_time(stamp)
    for t, q in zip(times, np.atleast_2d(Q), strict=True):
        message.trajectory.points.append(
            JointTrajectoryPoint(
                positions=[float(value) for value in q],
                velocities=[0.0] * len(joints) if rest else [],
                time_from_start=message_writers.to_duration(t),
            )
        )
    message.path_tolerance, message.goal_tolerance = list(path), list(goal)
    message.goal_time_tolerance = message_writers.to_duration(time)
    return message


class Sent:
    """A goal that was sent: what the server said of it."""

    def __init__(self, peer: Peer, client: ActionClient, message):
        self._peer, self.feedback = peer, []
        future = client.send_goal_async(message, feedback_callback=lambda heard: self.feedback.append(heard.feedback))
        peer.until(future.done, "the answer to a goal")
        self._handle = future.result()
        self.accepted = self._handle.accepted
        self._result = self._handle.get_result_async() if self.accepted else None

    @property
    def done(self) -> bool:
        return self._result is not None and self._result.done()

    @property
    def outcome(self) -> tuple[str, int, str]:
        """Status, error code and text of the result, once it is there; ("REJECTED", 0, "") without one."""
        if not self.accepted:
            return "REJECTED", 0, ""
        self._peer.until(self._result.done, "the result of a goal")
        answer = self._result.result()
        return STATUS[answer.status], answer.result.error_code, answer.result.error_string

    def cancel(self) -> bool:
        """Cancel it; whether the server accepted that."""
        future = self._handle.cancel_goal_async()
        self._peer.until(future.done, "the answer to a cancel request")
        return len(future.result().goals_canceling) == 1


class GoalClient:
    """Sends goals to the action server `name`."""

    def __init__(self, peer: Peer, name: str):
        self._peer, self._client = peer, ActionClient(peer.node, FollowJointTrajectory, name)
        peer.until(self._client.server_is_ready, name)

    def send(self, message) -> Sent:
        """Send a goal, and wait until it is accepted or refused."""
        return Sent(self._peer, self._client, message)
