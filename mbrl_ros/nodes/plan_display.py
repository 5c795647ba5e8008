"""Publish the plan for displays: ~/plan as a trajectory, ~/markers for RViz and other displays, with its tube.

The tube tells where the end effector p(q) will be along the plan, as the learned dynamics have it: with the covariance
S_t of the joints under the feedback of the plan (planners/tube.py), cov p_t = J(q_t) S_t J(q_t)^T. The present state is
taken as known, and the plan as kept to its end, though each tick makes a new one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from rclpy.lifecycle import LifecycleNode
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import MarkerArray

from ..controllers.base import Controller
from ..controllers.mpc import MpcController
from ..planners.tube import half_axes, tube
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..runtime.interfaces import Tick
from ..types import Array, LinearGaussianDynamics, Plan
from . import message_writers, qos
from .background_worker import BackgroundWorker
from .markers import PlanMarkers
from .tick_observer import TickObserver

JACOBIAN_STEP = 1e-5  # [rad or m] of central differences


class PlanDisplay(TickObserver):
    """Publish plans at up to `rate` [Hz] by their stamps; 0: never.

    What is drawn is computed in a thread of its own; while it is, no other plan is drawn.
    """

    def __init__(self, node: LifecycleNode, robot: Robot, controller: Controller, kinematics: Kinematics, rate: float):
        self._node, self._robot, self._controller, self._kinematics = node, robot, controller, kinematics
        self._plan = node.create_publisher(JointTrajectory, "~/plan", qos.VIEW)
        self._markers = node.create_publisher(MarkerArray, "~/markers", qos.VIEW)
        self._drawn = PlanMarkers(robot.base_frame)
        self._rate, self._next = rate, -math.inf
        self._worker = BackgroundWorker(capacity=1) if rate else None

    def begin(self) -> None:
        """Start: the first plan is published."""
        self._next = -math.inf

    def after_tick(self, tick: Tick) -> None:
        """Publish the plan of a tick, if there is one and one is due."""
        decision = tick.decision
        if decision is None or decision.plan is None or self._worker is None or decision.stamp < self._next:
            return
        self._next = decision.stamp + 1.0 / self._rate
        plan, stamp = decision.plan, decision.stamp
        self._plan.publish(message_writers.to_trajectory(plan, self._robot.joints, stamp, self._controller.dt))
        if self._markers.get_subscription_count():
            self._worker.run(self._drawing(plan, stamp))

    def _drawing(self, plan: Plan, stamp: float) -> Callable[[], None]:
        """Return what draws a plan with the target and the dynamics that hold now."""
        target, uncontrolled = self._controller.target, self._controller.uncontrolled
        goal_q = None if target is None else target.q
        dynamics = planned_with(self._controller)

        def draw() -> None:
            kinematics = self._kinematics
            if uncontrolled is not None:
                kinematics.place(uncontrolled)
            path = kinematics.positions(plan.x_hat[:, : self._robot.n])
            goal = None if goal_q is None else kinematics.position(goal_q)
            axes = None if dynamics is None else tool_tube(plan, dynamics, kinematics, self._robot.n)
            self._markers.publish(self._drawn.at(path, goal, message_writers.to_time(stamp), axes))

        return draw

    def destroy(self) -> None:
        """Release the thread and the publishers."""
        if self._worker is not None:
            self._worker.close()
        for publisher in (self._plan, self._markers):
            self._node.destroy_publisher(publisher)


def planned_with(controller: Controller) -> LinearGaussianDynamics | None:
    """Return the dynamics of the newest plan, which nobody changes; None where they are not linear along it."""
    if not isinstance(controller, MpcController) or controller.planner.model is not None:
        return None
    return controller.dynamics.local_model.stated()


def tool_tube(plan: Plan, dynamics: LinearGaussianDynamics, kinematics: Kinematics, n: int) -> Array:
    """Return the ellipsoids of the end effector along a plan, half axes (H+1, 3, 3) [m]; see the top of this module."""
    found = tube(plan, dynamics, "feedback", plan.x_hat[0], plan.u_hat[0])
    step = JACOBIAN_STEP * np.eye(n)  # positions of many are compiled, Jacobians are not: a quarter of the time
    rows = plan.x_hat[:, None, None, :n] + np.stack([step, -step])
    ahead, behind = np.moveaxis(kinematics.positions(rows.reshape(-1, n)).reshape(-1, 2, n, 3), 1, 0)
    J = (ahead - behind).transpose(0, 2, 1) / (2.0 * JACOBIAN_STEP)
    return half_axes(J @ found.x[:, :n, :n] @ J.transpose(0, 2, 1))
