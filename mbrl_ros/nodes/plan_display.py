"""Publish the plan for displays: ~/plan as a trajectory, ~/markers for RViz."""

from __future__ import annotations

import math

from rclpy.lifecycle import LifecycleNode
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import MarkerArray

from ..controllers.base import Controller
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..runtime.interfaces import Tick
from . import message_writers, qos
from .markers import to_markers
from .tick_observer import TickObserver


class PlanDisplay(TickObserver):
    """Publish plans at up to `rate` [Hz] by their stamps; 0: never."""

    def __init__(self, node: LifecycleNode, robot: Robot, controller: Controller, kinematics: Kinematics, rate: float):
        self._node, self._robot, self._controller, self._kinematics = node, robot, controller, kinematics
        self._plan = node.create_publisher(JointTrajectory, "~/plan", qos.VIEW)
        self._markers = node.create_publisher(MarkerArray, "~/markers", qos.VIEW)
        self._rate, self._next = rate, -math.inf

    def begin(self) -> None:
        """Start: the first plan is published."""
        self._next = -math.inf

    def after_tick(self, tick: Tick) -> None:
        """Publish the plan of a tick, if there is one and one is due."""
        decision = tick.decision
        if decision is None or decision.plan is None or not self._rate or decision.stamp < self._next:
            return
        self._next = decision.stamp + 1.0 / self._rate
        plan, stamp = decision.plan, decision.stamp
        self._plan.publish(message_writers.to_trajectory(plan, self._robot.joints, stamp, self._controller.dt))
        if self._markers.get_subscription_count():
            target, uncontrolled = self._controller.target, self._controller.uncontrolled
            if uncontrolled is not None:
                self._kinematics.place(uncontrolled)
            path = self._kinematics.positions(plan.x_hat[:, : self._robot.n])
            goal = None if target is None or target.q is None else self._kinematics.position(target.q)
            self._markers.publish(to_markers(path, goal, self._robot.base_frame, message_writers.to_time(stamp)))

    def destroy(self) -> None:
        """Release the publishers."""
        for publisher in (self._plan, self._markers):
            self._node.destroy_publisher(publisher)
