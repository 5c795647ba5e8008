"""The action server ~/follow_joint_trajectory of mpc_node: what MoveIt and others execute trajectories through.

A goal becomes a target as a message on ~/target_trajectory does, so every command leaves through the control loop and
the supervisor. Callbacks, judgement and feedback run in a thread of their own; the control thread only puts down what
it knows after a tick while there is a goal. ~/goal_trajectory tells accepted goals, so that recordings hold them.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from rclpy.action.server import ActionServer, CancelResponse, GoalResponse
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ..exceptions import MbrlError, TargetError
from ..messages.joint_order import JointOrder
from ..messages.trajectory_goals import read_trajectory_goal
from ..references.targets import Target, check_time, trajectory_target
from ..references.trajectory_goal import TrajectoryGoal
from ..runtime.control_loop import ControlLoop
from ..runtime.goal_judge import Code, Errors, GoalJudge, Sample, Verdict
from ..runtime.interfaces import Tick
from . import message_writers, qos
from .executor import Spinner, companion
from .reporter import Reporter
from .target_outcomes import TargetOutcomes
from .tick_observer import TickObserver
from .wall_timer import create_wall_timer

NAME = "follow_joint_trajectory"
MONITOR_PERIOD = 0.05  # [s] between two judgements and messages of feedback
ACTION_PATIENCE = 2.0  # [s] for which the end of the node waits for the result of a goal


def action_type() -> Any | None:
    """Return the type of the action, None where control_msgs is not installed."""
    try:
        from control_msgs.action import FollowJointTrajectory
    except ImportError:
        return None
    return FollowJointTrajectory


class DeferringServer(ActionServer):
    """An action server whose goals end when `give_result` is called, without a callback that waits for it."""

    def notify_execute(self, goal_handle: Any, execute_callback: Any) -> None:
        """Do nothing: the goal goes on in the control loop."""

    def give_result(self, goal_handle: Any, result: Any) -> None:
        """Send the result of a goal whose state says already how it ended."""
        super().notify_execute(goal_handle, lambda _: result)


class ActiveGoal:
    """A goal that was accepted; the control thread adds `samples` and keeps `value`.

    handle: rclpy's. target: what it became; number: how many targets had been accepted with it, at least. stopped:
    whether the arm was stopped for it.
    """

    def __init__(self, handle: Any, goal: TrajectoryGoal, joints: tuple[str, ...], target: Target | None, number: int):
        self.handle, self.goal, self.number = handle, goal, number
        self.value = None if target is None else target.value  # where it ends, turned as the reference is
        self.judge, self.samples = GoalJudge(goal, joints), deque[Sample]()
        self.newest: Sample | None = None
        self.canceled = self.stopped = False

    def superseded(self, present: Target | None, adopted: int) -> bool:
        """Return whether `present` is a later target, of `adopted` ones, and not the way to this one's end."""
        if present is None:
            return False
        if present.path is self.goal.points:
            self.value = present.value
        return adopted > self.number and present.asked and present.value is not self.value

    def next_verdict(self) -> Verdict | None:
        """Judge the samples that have come."""
        while self.samples:
            self.newest = self.samples.popleft()
            verdict = self.judge.judge(self.newest)
            if verdict is not None:
                return verdict
        return None

    def finish(self, verdict: Verdict, server: DeferringServer) -> None:
        """Give the result to the client; in the action server's thread."""
        result = server.action_type.Result(error_code=int(verdict.code), error_string=verdict.text)
        if self.canceled:
            self.handle.canceled()
        elif verdict.code is Code.SUCCESSFUL:
            self.handle.succeed()
        else:
            self.handle.abort()
        server.give_result(self.handle, result)


class TrajectoryAction(TickObserver):
    """Serve the action `kind` for `node`; one goal at a time, and the newest wins."""

    def __init__(
        self, node: Node, kind: Any, loop: ControlLoop, outcomes: TargetOutcomes, reporter: Reporter, *, shadow: bool
    ):
        self._node, self._kind, self._loop, self._outcomes, self._reporter = node, kind, loop, outcomes, reporter
        self._controller, self._robot, self._shadow = loop.controller, loop.controller.robot, shadow
        self._order, self._stamp = JointOrder(self._robot.joints), 0.0  # of the newest state [s]
        self._active: ActiveGoal | None = None
        self._checked: tuple[Any, TrajectoryGoal] | None = None  # the last request that was accepted
        self._ended, self._idle = "", threading.Event()
        self._idle.set()
        self._trajectories = node.create_publisher(JointTrajectory, "~/goal_trajectory", qos.TARGET_QOS)
        self._companion = companion(node, "actions")
        self._server = DeferringServer(
            self._companion,
            kind,
            f"{node.get_fully_qualified_name()}/{NAME}",
            lambda handle: kind.Result(),
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=self._on_cancel,
        )
        self._timer = create_wall_timer(self._companion, MONITOR_PERIOD, self._monitor)
        self._timer.cancel()
        self._spinner = Spinner(self._companion)

    # --- TickObserver ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Accept goals: the node becomes active."""
        self._ended, self._stamp = "", 0.0

    def after_tick(self, tick: Tick) -> None:
        """Put down what is known of the goal, if there is one."""
        self._stamp, active = tick.observation.stamp, self._active
        if active is None:
            return
        controller, target = self._controller, self._controller.target
        given_up = target is not None and not target.asked
        sample = Sample(
            tick.observation,
            tick.command.state,
            self._loop.supervisor.cause,
            controller.progress(active.goal.points),
            active.superseded(target, controller.targets_adopted),
            self._outcomes.last_note if given_up else "",
        )
        active.samples.append(sample)
        if sample.interrupted and not active.stopped:  # at once: the arm would go on without a goal
            active.stopped = self._loop.stop_motion(controller.targets_adopted)

    def end(self) -> None:
        """Abort the goal: the node is not active any more."""
        self._ended = "the node was deactivated"
        self._idle.wait(ACTION_PATIENCE)

    def destroy(self) -> None:
        """Release the action server and its thread."""
        self.end()
        if self._spinner.stop(ACTION_PATIENCE):
            self._server.destroy()
            self._companion.destroy_node()
        self._node.destroy_publisher(self._trajectories)

    # --- in the action server's thread ----------------------------------------------------------------------------

    def _on_goal(self, request: Any) -> GoalResponse:
        try:
            self._checked = request, self._read(request)
        except MbrlError as error:
            self._outcomes.refuse(NAME, error)
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _read(self, request: Any) -> TrajectoryGoal:
        """Return the goal; TargetError if it cannot be accepted now."""
        if not self._loop.running:
            raise TargetError("the node is not active", kind="not active")
        if self._shadow:
            raise TargetError("the node is in shadow: another one commands the arm", kind="in shadow")
        if refusal := self._loop.supervisor.refusal:
            raise TargetError(refusal, kind="refused at present")
        if not self._stamp:
            raise TargetError("no joint state has come yet", kind="no state")
        configuration = self._controller.configuration
        goal = read_trajectory_goal(request, self._order, self._robot, configuration.action)
        trajectory_target(self._robot, goal.points, goal.stamp)
        check_time(goal.stamp, self._stamp, configuration.reference, goal.stamp + float(goal.points.times[-1]))
        return goal

    def _on_accepted(self, handle: Any) -> None:
        assert self._checked is not None and self._checked[0] is handle.request, "a goal is checked before"
        goal, self._checked = self._checked[1], None
        before, number = self._active, self._controller.targets_accepted + 1  # others may come between
        try:
            target = self._controller.set_trajectory(goal.points, goal.stamp)
        except MbrlError as error:  # refused since it was checked
            self._outcomes.refuse(NAME, error)
            handle.execute()
            refused = ActiveGoal(handle, goal, self._robot.joints, None, 0)
            refused.finish(Verdict(Code.INVALID_GOAL, str(error), False), self._server)
            return
        self._trajectories.publish(handle.request.trajectory)
        self._outcomes.accept(target)
        active = ActiveGoal(handle, goal, self._robot.joints, target, number)
        if before is not None:
            self._finish(before, Verdict(Code.INVALID_GOAL, "preempted: a newer goal took its place", False))
        self._idle.clear()
        self._active = active
        handle.execute()
        self._timer.reset()

    def _on_cancel(self, handle: Any) -> CancelResponse:
        active = self._active
        if active is None or active.handle is not handle:
            return CancelResponse.REJECT
        self._stop(active)
        active.canceled = True  # rclpy takes note of it after this callback: the result follows in `_monitor`
        return CancelResponse.ACCEPT

    def _monitor(self) -> None:
        active = self._active
        if active is None:
            self._timer.cancel()
            return
        if active.canceled:
            self._finish(active, Verdict(Code.INVALID_GOAL, "canceled: the arm comes to rest", False))
            return
        verdict = active.next_verdict()
        if verdict is None and self._ended:
            verdict = Verdict(Code.INVALID_GOAL, self._ended, False)
        if verdict is None:
            self._send_feedback(active)
            return
        if verdict.stop:
            self._stop(active)
        self._finish(active, verdict)

    def _finish(self, active: ActiveGoal, verdict: Verdict) -> None:
        if self._active is active:
            self._active = None
        active.finish(verdict, self._server)
        done = verdict.code is Code.SUCCESSFUL
        what = "succeeded" if done else "ended" if active.canceled else "aborted"
        self._reporter.report(f"~/{NAME}: {what}" + (f": {verdict.text}" if verdict.text else ""), done)
        if self._active is None:
            self._idle.set()

    def _stop(self, active: ActiveGoal) -> None:
        """Let the arm come to rest, unless it does so or is on its way to another target by now."""
        elsewhere = active.stopped or (active.samples and active.samples[-1].superseded)
        active.stopped = True
        if self._loop.running and not elsewhere:
            self._loop.stop_motion()

    def _send_feedback(self, active: ActiveGoal) -> None:
        errors, newest = active.judge.errors(), active.newest
        if errors is None or newest is None:
            return
        feedback = self._kind.Feedback(joint_names=list(self._robot.joints))
        feedback.header.stamp = message_writers.to_time(newest.observation.stamp)
        q, qd, qdd = errors.desired
        measured = newest.observation.q, newest.observation.qd
        feedback.desired = _point(errors, q, qd, qdd)
        feedback.actual = _point(errors, *measured)
        feedback.error = _point(errors, errors.position, errors.velocity)
        active.handle.publish_feedback(feedback)


def _point(errors: Errors, positions: Any, velocities: Any, accelerations: Any = ()) -> JointTrajectoryPoint:
    return JointTrajectoryPoint(
        positions=list(map(float, positions)),
        velocities=list(map(float, velocities)),
        accelerations=list(map(float, accelerations)),
        time_from_start=message_writers.to_duration(max(0.0, errors.time)),
    )
