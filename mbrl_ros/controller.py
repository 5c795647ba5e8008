"""The seam: reset(observation), then step(observation) -> Decision once per tick, and record(stamp, command).

MpcController learns the local dynamics from what it sees, rolls the state through the commands already under way,
plans with iLQR over the horizon and proposes the plan's first command (receding horizon; Levine & Abbeel, NIPS 2014;
Fu, Levine, Abbeel, IROS 2016). What is proposed becomes a command only through the supervisor; what was published is
handed back by `record`, so that the dynamics learn from the command the robot felt.
"""

from __future__ import annotations

import time

import numpy as np

from .configuration import Configuration
from .costs import CostContext, build_cost
from .dynamics import CommandHistory, build_dynamics
from .exceptions import TargetError
from .planners.ilqr import IlqrPlanner
from .references import (Target, feature_reference, feature_target, joint_reference, joint_target, point_target)
from .robots import Robot
from .robots.kinematics import Kinematics
from .types import Array, Decision, DecisionStatus, Observation, Transition


class MpcController:
    """Model-predictive control of `robot` with dynamics learned online. Deterministic given seed and observations."""

    def __init__(self, robot: Robot, configuration: Configuration | None = None):
        c = self.configuration = configuration or Configuration.from_flat({})
        self.robot, self.settings = robot, c["control"]
        self.dt, self.n = 1.0 / self.settings.rate, len(robot.joints)
        self.dynamics = build_dynamics(robot, self.dt, c["dynamics"], c.plugin_sections("prior"), c["features"])
        self.m, self.nx, self.nu = self.dynamics.m, self.dynamics.nx, self.dynamics.nu
        self.horizon = c["planner"].horizon
        self.kinematics = Kinematics(robot)
        self.cost = build_cost(c.plugin_sections("cost"), CostContext(
            robot, self.n, self.m, self.nu, self.dt, self.horizon, robot.command_lower, robot.command_upper))
        self.planner = IlqrPlanner(self.cost, c["planner"], self.nx, self.nu, robot.command_lower, robot.command_upper)
        self.history = CommandHistory(self.nu, self.dt, self.settings.delay)
        self.joint_reference = joint_reference(robot, c["reference"], self.dt)
        self.feature_reference = feature_reference(self.m, c["reference"], self.dt) if self.m else None
        self._parameters = {kind: self._parameters_for(kind) for kind in ("joints", "point", "features")}
        self._queue: list[Target] = []
        self.target: Target | None = None

    def reset(self, observation: Observation) -> None:
        """Start anew at `observation`: forget the model's evidence, rest where the robot is."""
        self.dynamics.reset()
        self._random = np.random.default_rng(self.settings.seed)
        command = observation.q if self.robot.interface == "position" else np.zeros(self.nu)
        command = np.clip(command, self.robot.command_lower, self.robot.command_upper)
        self.history.reset(command)
        self._previous: tuple[float, Array] | None = None
        self._start = observation.stamp
        self.joint_reference.reset(observation.q, observation.stamp)
        self.target = Target("joints", np.array(observation.q), observation.stamp, np.array(observation.q))
        self._feature_phase = "none"
        self._planned = False

    def set_joint_target(self, q: Array, stamp: float = 0.0) -> Target:
        """Go to q (n,) [rad] from `stamp` [s] on (0: now). TargetError if it lies outside the limits."""
        return self._accept(joint_target(self.robot, q, stamp))

    def set_point_target(self, p: Array, stamp: float = 0.0) -> Target:
        """Bring the end effector to p (3,) [m, base frame] from `stamp` [s] on. TargetError if it is out of reach."""
        last = self._queue[-1] if self._queue else self.target
        seed = last.q if last is not None and last.q is not None else self._middle()
        return self._accept(point_target(self.kinematics, p, seed, self.configuration["reference"], stamp))

    def set_feature_target(self, s: Array, stamp: float = 0.0) -> Target:
        """Bring the features to s (m,) [image coordinates] from `stamp` [s] on."""
        if not self.m:
            raise TargetError("a feature target needs features: set features.points to the number of points")
        return self._accept(feature_target(self.m, s, stamp))

    def step(self, observation: Observation) -> Decision:
        """One tick. Expected trouble is a status of the decision, never an exception."""
        begin = time.perf_counter()
        stamp = observation.stamp
        x, features_fresh = self._state(observation)
        innovation = self._learn(stamp, x)
        u_now = self.history.computed_at(stamp - self.dt)
        dynamics = self._fit(x, u_now)
        fitted = time.perf_counter()
        self._start_due_targets(stamp, x)
        ahead = self.history.roll_forward(x, stamp, dynamics)
        delay = (self.history.whole + self.history.fraction) * self.dt
        parameters = self._references(stamp + delay, x, features_fresh)
        ticks = max(1, round((stamp - self._previous[0]) / self.dt)) if self._previous is not None else 1
        if not self._planned:
            self.planner.reset(ahead, u_now)
            self._planned = True
        plan = self.planner.plan(ahead, dynamics, parameters, u_now, ticks)
        self._previous = (stamp, x)
        u = plan.u_hat[0] + self._exploration(stamp) if plan.usable else u_now
        u = np.clip(u, self.robot.command_lower, self.robot.command_upper)
        done = time.perf_counter()
        return Decision(
            stamp, u, DecisionStatus.OK if plan.usable else DecisionStatus.PLANNER_FAILED, plan,
            nis=innovation.nis if innovation else float("nan"), nis_dof=self.n if innovation else 0,
            innovation=innovation.error if innovation else None,
            seconds={"fit": fitted - begin, "plan": done - fitted, "tick": done - begin})

    def record(self, stamp: float, command: Array) -> None:
        """`command` (nu,) was published for the observation stamped `stamp`."""
        self.history.record(stamp, command)

    @property
    def reference_end(self) -> float:
        """When the present target's reference comes to rest [s]."""
        features = self.target is not None and self.target.kind == "features"
        return (self.feature_reference if features else self.joint_reference).end

    def _state(self, observation: Observation) -> tuple[Array, bool]:
        """x (nx,) and whether its features rest on a recent frame."""
        joints = np.concatenate([observation.q, observation.qd])
        if not self.m:
            return joints, False
        motion = self.dynamics.features
        motion.add_joints(observation.stamp, observation.q)
        for frame in observation.frames:
            motion.add_frame(frame)
        s, sd, fresh = motion.present(observation.stamp, observation.q, observation.qd)
        return np.concatenate([joints, s, sd]), fresh

    def _learn(self, stamp: float, x: Array):
        """Feed the last period to the dynamics, if it was one period."""
        if self._previous is None:
            return None
        last_stamp, last_x = self._previous
        if abs(stamp - last_stamp - self.dt) > 0.2 * self.dt:
            return None
        return self.dynamics.update(Transition(last_stamp, last_x, self.history.in_effect(last_stamp), x))

    def _fit(self, x: Array, u: Array):
        if self.dynamics.prior.linear or not self._planned:
            return self.dynamics.fit(x, u)
        return self.dynamics.fit(x, u, self.planner.X[:-1], self.planner.U)

    def _start_due_targets(self, stamp: float, x: Array) -> None:
        while self._queue and self._queue[0].stamp <= stamp + 0.25 * self.dt:
            self.target = target = self._queue.pop(0)
            if target.kind == "features":
                self.joint_reference.reset(x[: self.n], stamp)
                self._feature_phase, self._phase_start = "look", stamp
            else:
                self._feature_phase = "none"
                self.joint_reference.go_to(target.q, stamp)

    def _references(self, start: float, x: Array, features_fresh: bool) -> Array:
        """The stage parameters (H+1, np) of the cost for a horizon that begins at `start` [s]."""
        kind = "joints"
        if self.target.kind == "point":
            kind = "point"
        elif self.target.kind == "features":
            kind = self._advance_feature_phase(start, x, features_fresh)
        parameters, layout = self._parameters[kind], self.cost.layout
        times = start + self.dt * np.arange(self.horizon + 1)
        q = np.array([self.joint_reference.at(t) for t in times])
        if self._feature_phase == "look":
            q += self._looking_around(times)
        parameters[:, layout["joint_target.reference"]] = q
        if kind == "point":
            parameters[:, layout["point_target.reference"]] = self.kinematics.positions(q)
        if kind == "features":
            parameters[:, layout["feature_target.reference"]] = [self.feature_reference.at(t) for t in times]
        return parameters

    def _advance_feature_phase(self, start: float, x: Array, fresh: bool) -> str:
        """look: move every joint a little until the image Jacobian is known; serve: bring the features to their target."""
        s = x[2 * self.n: 2 * self.n + self.m]
        if self._feature_phase == "look" and fresh and self.dynamics.features.known:
            self._feature_phase = "serve"
            self.feature_reference.reset(s, start)
            self.feature_reference.go_to(self.target.value, start)
        if self._feature_phase == "look" or not fresh:
            return "joints"
        # the pose is free as long as the features are right: its reference follows the arm and pulls only on drift
        self.joint_reference.reset(self.joint_reference.at(start) + 0.02 * (x[: self.n] - self.joint_reference.at(start)),
                                   start)
        return "features"

    def _looking_around(self, times: Array) -> Array:
        """Small sinusoids (T, n), a frequency for each joint, faded in over half a second."""
        settings = self.configuration["reference"]
        since = times[:, None] - self._phase_start
        frequency = settings.look_frequency * (0.6 + 0.8 * np.arange(self.n) / max(1, self.n - 1))
        return settings.look_amplitude * np.clip(since / 0.5, 0.0, 1.0) * np.sin(2.0 * np.pi * frequency * since)

    def _exploration(self, stamp: float) -> Array:
        c = self.settings
        decay = np.exp(-(stamp - self._start) / c.exploration_decay)
        size = c.exploration_end + (c.exploration_start - c.exploration_end) * decay
        scale = 0.5 * (self.robot.command_upper - self.robot.command_lower)
        return size * scale * self._random.standard_normal(self.nu)

    def _parameters_for(self, kind: str) -> Array:
        """The cost's stage parameters with only the terms that belong to a target of this kind."""
        parameters, layout = self.cost.parameters(self.horizon), self.cost.layout
        if kind != "point" and "point_target.weight" in layout:
            parameters[:, layout["point_target.weight"]] = 0.0
        if kind != "features" and "feature_target.weight" in layout:
            parameters[:, layout["feature_target.weight"]] = 0.0
        if kind != "joints":
            parameters[:, layout["joint_target.weight"]] *= self.configuration["reference"].posture
        return parameters

    def _accept(self, target: Target) -> Target:
        """Queue a target behind those that begin earlier; one that begins now replaces the whole queue."""
        self._queue = [t for t in self._queue if t.stamp < target.stamp] + [target]
        return target

    def _middle(self) -> Array:
        finite = np.isfinite(self.robot.position_lower) & np.isfinite(self.robot.position_upper)
        return np.where(finite, 0.5 * (np.where(finite, self.robot.position_lower, 0.0)
                                       + np.where(finite, self.robot.position_upper, 0.0)), 0.0)
