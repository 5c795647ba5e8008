"""The seam: reset(observation), then step(observation) -> Decision once per tick, and record(stamp, command).

MpcController learns the local dynamics from what it sees, rolls the state through the commands already under way,
plans with iLQR over the horizon and proposes the plan's first command (receding horizon; Levine & Abbeel, NIPS 2014;
Fu, Levine, Abbeel, IROS 2016). What is proposed becomes a command only through the supervisor; what was published is
handed back by `record`, so that the dynamics learn from the command the robot felt.
"""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np

from ..config.configuration import Configuration
from ..config.section import Section
from ..costs import CostContext, build_cost
from ..costs.command_change import shape
from ..dynamics import CommandHistory, Innovation, OnlineDynamics, build_dynamics
from ..dynamics.delay_estimation import DelayMonitor
from ..dynamics.priors import Prior
from ..dynamics.velocity_gate import VelocityGate
from ..planners.base import PlannerContext, build_planner
from ..planners.execution import execute
from ..references.target_manager import TargetManager
from ..robots import Robot
from ..robots.effective_inertia import inverse_gain
from ..types import Array, Decision, DecisionStatus, Observation, Plan, Transition
from .base import Controller, Health, TargetTracking

TRUSTED = 0.5  # trust level above which the learned input gain serves the safe command and the prior
RELIABLE = (
    0.25  # ... and the latter only while the time of the commands is known to this share of its first uncertainty
)


class Learner:
    """What a controller with learned dynamics does besides controlling: it keeps the state, the commands under way and
    the model, and learns from every period.

    For efforts: `effort_gain` (n, n) is d qdd / d u as the prior has it [rad/s^2 per N m], `inertia` (n, n) the inverse of that
    of the last fit that could be trusted (None: none could).
    """

    def __init__(self, robot: Robot, configuration: Configuration | None = None, prior: Prior | None = None):
        """`prior`: instead of the one that dynamics.prior names."""
        c = self.configuration = configuration or Configuration.from_flat({})
        self.robot, self.settings = robot, c.control
        self.dt, self.n = 1.0 / self.settings.rate, len(robot.joints)
        if prior is None:
            self.dynamics = build_dynamics(robot, self.dt, c.dynamics, c.priors, c.features, c.consistency)
        else:
            self.dynamics = OnlineDynamics(robot, self.dt, c.dynamics, prior, c.features, c.consistency)
        self.m, self.nx, self.nu = self.dynamics.m, self.dynamics.nx, self.dynamics.nu
        self.history = CommandHistory(self.nu, self.dt, self.settings.delay)
        self.delay = DelayMonitor(self.n, self.dt, self.settings.delay, c.delay)
        self.gate = VelocityGate(self.n, self.dt, c.dynamics.gate) if c.dynamics.gate else None
        self._refresh = max(1, round(c.dynamics.prior_period / self.dt))

    def reset(self, observation: Observation) -> None:
        """Start anew at `observation`: forget the model's evidence."""
        self.dynamics.reset(observation.q)
        self._timing_std = 0.0
        self._sure, self._learned, self.inertia, self.effort_gain = False, 0, None, np.zeros((self.nu, self.nu))
        self._weigh_efforts(np.concatenate([observation.q, np.zeros(self.nx - self.n)]))
        if self.gate is not None:
            self.gate.reset()
        command = observation.q if self.robot.interface == "position" else np.zeros(self.nu)
        command = np.clip(command, self.robot.command_lower, self.robot.command_upper)
        self.history.reset(command)
        self.history.set_delay(self.settings.delay)
        self.delay.reset()
        self._previous: tuple[float, Array] | None = None

    def resume(self, observation: Observation, command: Array) -> None:
        """Go on at `observation` after an interruption, at whose end `command` (nu,) was in effect; keep what was learned."""
        self.history.reset(command)
        self._previous = None

    @property
    def nis_bound(self) -> float:
        """The 95 % bound of a decision's NIS."""
        return self.dynamics.nis_bound

    def health(self) -> Health:
        """What is known to be wrong with the model."""
        consistency = self.dynamics.consistency
        return Health(model_inconsistent=consistency.level == 0.0, model_lost=consistency.hold)

    def record(self, stamp: float, command: Array) -> None:
        """`command` (nu,) was published for the observation stamped `stamp`, or came in time for that one only."""
        self.history.record(stamp, command, self._timing_std)
        if self._previous is not None and self._previous[0] == stamp:
            x = self._previous[1]
            changed = self.delay.update(stamp, x[: self.n], x[self.n : 2 * self.n], command)
            if changed is not None:
                self.history.set_delay(changed)

    def _state(self, observation: Observation) -> tuple[Array, bool]:
        """X (nx,) and whether its features rest on a recent frame."""
        joints = np.concatenate([observation.q, observation.qd])
        if not self.m:
            return joints, False
        motion = self.dynamics.features
        motion.add_joints(observation.stamp, observation.q)
        for frame in observation.frames:
            motion.add_frame(frame)
        s, sd, fresh = motion.present(observation.stamp, observation.q, observation.qd)
        return np.concatenate([joints, s, sd]), fresh

    def _learn(self, stamp: float, x: Array) -> Innovation | None:
        """Feed the last period to the dynamics, if it was one period; velocities that are refused are replaced in x."""
        if self._previous is None:
            return None
        last_stamp, last_x = self._previous
        if abs(stamp - last_stamp - self.dt) > 0.2 * self.dt:
            return None
        transition = Transition(last_stamp, last_x, self.history.in_effect(last_stamp), x)
        neighbours = self.history.around(last_stamp)
        timing_std = math.hypot(self.delay.std, self.history.std(last_stamp)) if self.delay.std else 0.0
        prediction = self.dynamics.predict(transition, neighbours, timing_std)
        if self.gate is not None and prediction.innovation.nis <= self.gate.threshold**2:
            self.gate.agree(last_x, x)  # e_j^2 <= NIS covariance_jj: no joint is beyond the threshold
        elif self.gate is not None:
            error = prediction.innovation.error
            refused = self.gate.refused(last_x, x, error, np.sqrt(prediction.innovation.covariance.diagonal()))
            if refused.any():
                x[self.n : 2 * self.n] -= np.where(refused, error, 0.0)
                if self.m:  # the features' velocities follow from the joints'
                    x[2 * self.n :] = np.concatenate(
                        self.dynamics.features.present(stamp, x[: self.n], x[self.n : 2 * self.n])[:2]
                    )
                prediction = self.dynamics.predict(transition, neighbours, timing_std)
        innovation = self.dynamics.learn(prediction)
        self._learned += 1
        if self._learned % self._refresh == 0:
            self._sure = (
                self.delay.std <= RELIABLE * self.delay.settings.uncertainty
                and self.dynamics.consistency.level > TRUSTED
            )
            self.dynamics.move_prior(x[: self.n], self._sure)
            self._weigh_efforts(x)
        return innovation

    def _weigh_efforts(self, x: Array) -> None:
        """What an effort does at x (nx,): see `effort_gain` and `inertia`."""
        if self.robot.interface != "effort":
            return
        self.effort_gain = self.dynamics.prior_gain(x) / self.dt
        if self._learned and self.dynamics.consistency.level > TRUSTED:
            self.inertia = inverse_gain(self.dynamics.input_gain / self.dt)


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """No settings of its own: it uses control, reference, dynamics, cost, prior and planner."""


def build(settings: Settings, robot: Robot, configuration: Configuration) -> Controller:
    """Build the controller."""
    return MpcController(robot, configuration)


class MpcController(TargetTracking, Learner):
    """Model-predictive control of `robot` with dynamics learned online. Deterministic given seed and observations."""

    def __init__(self, robot: Robot, configuration: Configuration | None = None):
        Learner.__init__(self, robot, configuration)
        c = self.configuration
        self.horizon = c.planner.horizon
        TargetTracking.__init__(self, TargetManager(robot, c.reference, self.dt, self.m, self.horizon))
        self.cost = build_cost(
            c.costs,
            CostContext(
                robot,
                self.n,
                self.m,
                self.nu,
                self.dt,
                self.horizon,
                robot.command_lower,
                robot.command_upper,
                discount=c.planner.discount,
            ),
        )
        self.planner = build_planner(
            c,
            PlannerContext(
                self.cost,
                c.planner,
                self.nx,
                self.nu,
                robot.command_lower,
                robot.command_upper,
                **self._state_limits(),
            ),
        )
        self._parameters = {kind: self._parameters_for(kind) for kind in ("joints", "point", "features")}
        self._late, self._authority, self._change = (
            0,
            1.0,
            1.0,
        )  # the last: factor on the weight of the command's change

    def reset(self, observation: Observation) -> None:
        """Start anew at `observation`: forget the model's evidence, rest where the robot is."""
        super().reset(observation)
        self._random = np.random.default_rng(self.settings.seed)
        self._start = observation.stamp
        self.target_manager.reset(observation.q, observation.stamp)
        self._planned = False

    def hold(self, observation: Observation) -> None:
        """Come to rest and forget every target; what was learned stays."""
        self.target_manager.hold(observation.q, observation.qd, observation.stamp)

    def resume(self, observation: Observation, command: Array) -> None:
        """Go on at `observation` after an interruption, at whose end `command` (nu,) was in effect; keep what was
        learned and set out anew for the present target.
        """
        if self._previous is not None:  # stamps may have jumped, and exploration must not grow with them
            self._start += observation.stamp - self._previous[0]
        super().resume(observation, command)
        self._planned = False
        self.target_manager.resume(observation.q, observation.stamp)

    def health(self) -> Health:
        """What is known to be wrong with the model and the features."""
        return dataclasses.replace(super().health(), features_lost=self.target_manager.features_lost)

    def update_settings(self, configuration: Configuration) -> None:
        """Take over the dynamic settings of `configuration`, between two steps."""
        self.configuration, self.settings = configuration, configuration.control
        self.dynamics.settings = configuration.dynamics
        self.planner.update_settings(configuration.planner)

    def step(self, observation: Observation) -> Decision:
        """One tick. Expected trouble is a status of the decision, never an exception."""
        begin = time.perf_counter()
        stamp = observation.stamp
        x, features_fresh = self._state(observation)
        innovation = self._learn(stamp, x)
        admitted = (
            observation
            if self.gate is None
            else Observation(stamp, observation.q, x[self.n : 2 * self.n].copy(), observation.frames)
        )
        u_now = self.history.computed_at(stamp + (self._late - 1) * self.dt)
        dynamics = self._fit(x, u_now)
        fitted = time.perf_counter()
        self.target_manager.advance(stamp, x, fresh=features_fresh, known=self.dynamics.features.known)
        ahead = self.history.roll_forward(x, stamp, dynamics, self._late)
        parameters = self._references(stamp + self.history.delay + self._late * self.dt)
        ticks = max(1, round((stamp - self._previous[0]) / self.dt)) if self._previous is not None else 1
        if not self._planned:
            self.planner.reset(ahead, u_now)
            self._planned = True
        self._be_cautious(u_now)
        plan = self.planner.plan(ahead, dynamics, parameters, u_now, ticks)
        self._previous = (stamp, x)
        u = self._act(plan, ahead, u_now) + self._exploration(stamp) if plan.usable else u_now
        u = np.clip(u, self.robot.command_lower, self.robot.command_upper)
        done = time.perf_counter()
        return Decision(
            stamp,
            u,
            DecisionStatus.OK if plan.usable else DecisionStatus.PLANNER_FAILED,
            plan,
            nis=innovation.nis if innovation else float("nan"),
            nis_dof=self.n if innovation else 0,
            innovation=innovation.error if innovation else None,
            seconds={"fit": fitted - begin, "plan": done - fitted, "tick": done - begin},
            admitted=admitted,
            inertia=self.inertia,
            rotors=self.dynamics.prior.rotors,
        )

    def _fit(self, x: Array, u: Array):
        if self.dynamics.prior.linear or not self._planned:
            return self.dynamics.fit(x, u)
        return self.dynamics.fit(x, u, self.planner.X[:-1], self.planner.U)

    def _references(self, start: float) -> Array:
        """The stage parameters (H+1, np) of the cost for a horizon that begins at `start` [s]."""
        preview = self.target_manager.preview(start + self.dt * np.arange(self.horizon + 1))
        parameters, layout = self._parameters[preview.kind], self.cost.layout
        for cost, reference in (
            ("joint_target", preview.q),
            ("point_target", preview.p),
            ("feature_target", preview.s),
        ):
            if reference is not None and f"{cost}.reference" in layout:
                parameters[:, layout[f"{cost}.reference"]] = reference
        return parameters

    def adapt_to_lateness(self, periods: int, authority: float, std: float) -> None:
        """Commands act `periods` later than the delay says: plan from where the robot will be then. Move more slowly and change
        commands less, to `authority` (0, 1] of what is usual. std [s]: standard deviation of when the command recorded next
        begins to act, beyond that of the delay; it counts as noise of what is learned then.
        """
        super().adapt_to_lateness(periods, authority, std)
        self._late, self._timing_std, self._authority = periods, std, authority
        self._weigh_changes()

    def _weigh_changes(self) -> None:
        faster = self._sure and self.robot.interface == "effort"
        factor = (self.settings.known_delay_factor if faster else 1.0) / self._authority**2
        columns = self.cost.layout.get("command_change.weight")
        if columns is not None and factor != self._change:
            self._change = factor
            usual = self.cost.parameters(self.horizon)[:, columns]
            for parameters in self._parameters.values():
                parameters[:, columns] = factor * usual

    def _weigh_efforts(self, x: Array) -> None:
        super()._weigh_efforts(x)
        self._weigh_changes()
        scale = self._exploring = self.robot.command_scale
        if (
            self.robot.interface == "effort"
        ):  # at the start as much as can be told from the noise of one tick's velocity
            told = (
                self.settings.exploration_noise
                * self.configuration.dynamics.noise
                / (self.effort_gain.diagonal() * scale * self.dt)
            )
            self._exploring = scale * np.minimum(1.0, told / max(self.settings.exploration_start, 1e-9))
        columns = self.cost.layout.get("command_change.shape")
        if columns is not None and self.robot.interface == "effort":
            weights = shape(self.effort_gain, scale, self.settings.full_acceleration)
            for parameters in self._parameters.values():
                parameters[:, columns] = weights

    def _be_cautious(self, u_now: Array) -> None:
        """The less the model is trusted, the closer the plan's commands stay to the present one, and the plan to the
        last one. Commands are limited about the present one, not about zero: an arm must go on carrying itself.
        """
        consistency, settings, robot = self.dynamics.consistency, self.dynamics.consistency_settings, self.robot
        reach = consistency.command_scale(settings) * (robot.command_upper - robot.command_lower)
        self.planner.limit_commands(
            np.maximum(robot.command_lower, u_now - reach), np.minimum(robot.command_upper, u_now + reach)
        )
        self.planner.limit_step(consistency.step_scale(settings))

    def _act(self, plan: Plan, x: Array, u_now: Array) -> Array:
        return execute(
            plan,
            self.configuration.planner.execution,
            x,
            u_now,
            self.robot.command_lower,
            self.robot.command_upper,
            random=self._random,
        )

    def _state_limits(self) -> dict[str, Array]:
        """x_lower, x_upper (nx,): the joints' stops and speeds; features may be anywhere."""
        robot, anywhere = self.robot, np.full(2 * self.m, np.inf)
        return {
            "x_lower": np.concatenate([robot.position_lower, -robot.velocity_limit, -anywhere]),
            "x_upper": np.concatenate([robot.position_upper, robot.velocity_limit, anywhere]),
        }

    def _exploration(self, stamp: float) -> Array:
        c = self.settings
        decay = np.exp(-(stamp - self._start) / c.exploration_decay)
        size = c.exploration_end + (c.exploration_start - c.exploration_end) * decay
        return size * self._exploring * self._random.standard_normal(self.nu)

    def _parameters_for(self, kind: str) -> Array:
        """The cost's stage parameters with only the terms that belong to a target of this kind."""
        parameters, layout = self.cost.parameters(self.horizon), self.cost.layout
        if kind != "point" and "point_target.weight" in layout:
            parameters[:, layout["point_target.weight"]] = 0.0
        if kind != "features" and "feature_target.weight" in layout:
            parameters[:, layout["feature_target.weight"]] = 0.0
        if kind != "joints" and "joint_target.weight" in layout:
            parameters[:, layout["joint_target.weight"]] *= self.configuration.reference.posture
        return parameters
