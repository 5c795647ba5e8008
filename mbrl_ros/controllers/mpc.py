"""The controller `mpc`: model-predictive control with dynamics learned online.

Per control period: learn from the last transition, fit the local dynamics about the present state, roll the state
through the commands already under way to the time at which the next one begins to act, take the references from there
on, plan over the horizon, and request the plan's first command (receding horizon; Levine & Abbeel, NIPS 2014; Fu,
Levine, Abbeel, IROS 2016). The request becomes a command only through the supervisor; the applied command comes back
through `record`, and the dynamics learn from that one.
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
from ..dynamics import OnlineDynamics
from ..dynamics.delay_monitor import DelayMonitor
from ..dynamics.state_filter import StateFilter
from ..planners.base import PlannerContext, build_planner
from ..planners.execution import execute
from ..references.image_motion import least_amplitude
from ..references.preview import Phase
from ..references.reference_time import ReferenceTime
from ..references.target_manager import TargetManager
from ..robots import Robot
from ..types import (
    Array,
    CommandVector,
    Decision,
    DecisionStatus,
    JointVector,
    Observation,
    Plan,
    StageParameters,
    StateVector,
)
from .base import Controller, Health
from .cost_parameters import CostParameters
from .excitation import Excitation
from .exploration import Exploration
from .model_learner import ModelLearner
from .target_tracking import TargetTracking

_DECIDED, _NO_PLAN = DecisionStatus.OK, DecisionStatus.PLANNER_FAILED  # to look a member up takes a call


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """No settings of its own: it uses control, reference, dynamics, cost, prior and planner."""


def build(settings: Settings, robot: Robot, configuration: Configuration) -> Controller:
    """Build the controller."""
    return MpcController(robot, configuration)


class MpcController(TargetTracking):
    """Model-predictive control of `robot`; deterministic given seed and observations.

    learner, planner, cost and target_manager are its parts; H = horizon stages.
    """

    def __init__(self, robot: Robot, configuration: Configuration | None = None):
        c = self.configuration = configuration or Configuration.from_flat({})
        self.robot, self.horizon = robot, c.planner.horizon
        learner = self.learner = ModelLearner(robot, c)
        self.dynamics: OnlineDynamics = learner.dynamics
        self.delay: DelayMonitor = learner.delay
        self.dt, self.n, self.m, self.nu = learner.dt, learner.n, learner.m, learner.nu
        super().__init__(TargetManager(robot, c.reference, self.dt, self.m, self.horizon))
        lower, upper, anywhere = robot.command_lower, robot.command_upper, np.full(2 * self.m, np.inf)
        context = CostContext(
            *(robot, self.n, self.m, self.nu, self.dt, self.horizon, lower, upper),
            discount=c.planner.discount,
            collision=c.collision,
            description=c.robot.description,
        )
        self.cost = build_cost(c.costs, context)
        # features may be anywhere
        x_lower = np.concatenate([robot.position_lower, -robot.velocity_limit, -anywhere])
        x_upper = np.concatenate([robot.position_upper, robot.velocity_limit, anywhere])
        model, limits = self.dynamics.nonlinear_model, (lower, upper, x_lower, x_upper)
        self.planner = build_planner(c, PlannerContext(self.cost, c.planner, learner.nx, self.nu, *limits, model))
        self._parameters = CostParameters(self.cost, self.horizon, self.dt, c.reference)
        self._exploration, positions = Exploration(robot, c.control, self.dt), robot.interface == "position"
        if positions:
            self._exploration.fit_to_gain(np.eye(self.nu) / self.dt**2, c.dynamics.noise)
        self._excitation: Excitation | None = None
        if c.excitation.when != "never":
            self._excitation = Excitation(robot, c.excitation, self.dt, self.target_manager.kinematics)
            self.target_manager.least = least_amplitude(c.features)
        self._command_range, self._narrowed = upper - lower, False  # whether the plan's commands are limited further
        self._late, self._authority, self._gain = 0, 1.0, 1.0
        self._planned = False
        self._in_one_call = not positions and learner.step is not None and learner.step.use_planner(self.planner)
        self._filter = StateFilter(self.dt) if positions else None
        self._reference_time = ReferenceTime(self.dt) if positions else None

    @property
    def nis_bound(self) -> float:
        """See `Controller`."""
        return self.dynamics.nis_bound

    def reset(self, observation: Observation) -> None:
        """Start anew at `observation`: forget the model's evidence, rest where the robot is."""
        self.learner.reset(observation)
        self._weigh_efforts()
        self._exploration.reset(observation.stamp)
        if self._excitation is not None:
            self._excitation.reset(observation.stamp)
        self.target_manager.reset(observation.q, observation.stamp)
        self._begin_plan()

    def hold(self, observation: Observation) -> None:
        """Come to rest and forget every target; what was learned stays."""
        self.target_manager.hold(observation.q, observation.qd, observation.stamp)
        self._planned = False  # the last plan may have wanted anything while the safe command went out

    def resume(self, observation: Observation, command: CommandVector) -> None:
        """Continue after an interruption at whose end `command` (nu,) was in effect; see `Controller`."""
        if self.learner.last is not None:
            self._exploration.postpone(observation.stamp - self.learner.last[0])
        self.learner.resume(command)
        if self._excitation is not None:
            self._excitation.interrupt(observation.stamp)
        self._begin_plan()
        self.target_manager.resume(observation.q, observation.qd, observation.stamp)

    def assume_held(self, observation: Observation, command: CommandVector) -> None:
        """Take it that `command` (nu,) holds the arm, where nothing is known of it; see `Controller`."""
        self.learner.assume_held(observation, command)

    def _begin_plan(self) -> None:
        """Plan from the next measured state on, without what was planned before."""
        self._planned = False
        if self._filter is not None and self._reference_time is not None:
            self._filter.reset()
            self._reference_time.reset()

    def skip_transition(self, forget: float = 0.0) -> None:
        """Let the model learn nothing in the next step, and forget the last time; see `Controller`."""
        self.learner.skip_transition(forget)

    def record(self, stamp: float, command: CommandVector) -> None:
        """Take note of the applied command (nu,); see `Controller`."""
        self.learner.record(stamp, command)
        if self._reference_time is not None:
            self._reference_time.record(stamp)

    def health(self) -> Health:
        """Return what is known to be wrong with the model and the features."""
        return self.learner.health(self.target_manager.features_lost, self._gain)

    def update_settings(self, configuration: Configuration) -> None:
        """Take over the dynamic settings of `configuration`, between two steps."""
        self.configuration = configuration
        self.learner.update_settings(configuration)
        self.planner.update_settings(configuration.planner)
        self._exploration.update_settings(configuration.control)

    def adapt_to_lateness(self, periods: int, authority: float, std: float) -> None:
        """Plan from `periods` later on, move and change commands less; `std` counts as noise; see `Controller`."""
        super().adapt_to_lateness(periods, authority, std)
        self._late, self._authority = periods, authority
        self.learner.set_timing_std(std)
        self._weigh_changes()

    def limit_gain(self, share: float) -> None:
        """Change commands less, whose change costs 1 / share^2 times as much; see `Controller`."""
        self._gain = share
        self._weigh_changes()

    def step(self, observation: Observation) -> Decision:
        """Decide on the command (nu,); see `Controller`."""
        self.check(observation)
        begin = time.perf_counter()
        learner, stamp = self.learner, observation.stamp
        x, features_fresh = learner.state(observation)
        innovation = learner.learn(stamp, x)
        if learner.prior_moved:
            self._weigh_efforts()
        before = stamp + (self._late - 1) * self.dt
        u_now = learner.history.computed_at(before)
        admitted = learner.admitted(observation, x)
        learned = time.perf_counter()
        self.target_manager.place_uncontrolled(observation.uncontrolled)
        self.target_manager.advance(stamp, x, fresh=features_fresh, jacobian=learner.dynamics.features.usable)
        parameters = self._references(stamp + learner.history.delay + self._late * self.dt, before)
        plan, ahead, fit = self._plan(x, stamp, u_now, parameters)
        learner.remember(stamp, x)
        usable = plan.usable and not self.dynamics.failed
        u = self._execute(plan, ahead, u_now) + self._exploration.sample(stamp) if usable else u_now
        if self._excitation is not None and usable:
            u = u + self._excite(self._excitation, stamp, admitted.q)
        u = np.maximum(u, self.robot.command_lower)  # a new array
        np.minimum(u, self.robot.command_upper, out=u)
        done = time.perf_counter()
        seconds = {"fit": learned - begin + fit, "plan": done - learned - fit, "tick": done - begin}
        excitation, nis, error = self._excitation, math.nan, None
        if innovation is not None:
            nis, error = innovation.nis, innovation.error
        return Decision(
            stamp,
            u,
            _DECIDED if usable else _NO_PLAN,
            plan,
            nis,
            0 if innovation is None else self.n,
            error,
            seconds,
            admitted,
            learner.inertia,
            learner.dynamics.prior.rotors,
            0 if excitation is None else int(excitation.excited.sum()),
            () if excitation is None else excitation.take_remarks(),
        )

    def _excite(self, excitation: Excitation, stamp: float, q: JointVector) -> CommandVector:
        """Return what is added to the command (nu,) to learn from, where the arm may move a little on purpose."""
        target, wanted = self.target, self.configuration.excitation.when
        allowed = target is not None and target.kind != "features" and (target.asked or wanted == "always")
        allowed = allowed and self._authority == 1.0
        excitation.watch_image(self.target_manager.phase is Phase.EXCITE, self.dynamics.features.confidence)
        return excitation.sample(stamp, q, self.joint_reference(stamp), self.learner, allowed=allowed)

    def _plan(
        self, x: StateVector, stamp: float, u_now: CommandVector, parameters: StageParameters
    ) -> tuple[Plan, StateVector, float]:
        """Fit the model about x (nx,), u_now (nu,) and plan; return the plan, its first state, the fit's seconds."""
        learner, late = self.learner, self._late
        periods = learner.periods_since_last(stamp)
        if self._planned:
            self._limit_plan(u_now)
            if self._in_one_call and learner.step is not None:
                found = learner.step.plan(x, stamp, u_now, parameters, late, periods)
                if found is not None:
                    return found
        begin, along = time.perf_counter(), tuple[Array, ...]()
        if not self.dynamics.prior.linear and self._planned and self.planner.model is None:
            along = self.planner.X[:-1], self.planner.U
        dynamics = self.dynamics.fit(x, u_now, *along)
        fit = time.perf_counter() - begin
        known = x if self._filter is None else self._filter.update(stamp, x, dynamics, learner.history)
        ahead = learner.history.roll_forward(known, stamp, dynamics, late)
        if not self._planned:
            self.planner.reset(ahead, u_now)
            self._planned = True
            self._limit_plan(u_now)
        planned = dynamics if self.planner.model is None else self.dynamics.residual()
        return self.planner.plan(ahead, planned, parameters, u_now, periods), ahead, fit

    def _references(self, start: float, before: float) -> StageParameters:
        """Return the cost's parameters (H+1, np) for a horizon that begins at `start` [s]; see `ReferenceTime`."""
        if self._reference_time is not None:
            start = self._reference_time.advance(start, before)
        return self._parameters.following(self.target_manager, start)

    def _weigh_changes(self) -> None:
        """Weigh the command's change: less once the delay is known, more while commands are late or the loop is bad."""
        control = self.configuration.control
        fast = self.learner.delay_known and self.robot.interface == "effort"
        share = self._authority * self._gain
        self._parameters.weigh_changes((control.known_delay_factor if fast else 1.0) / share**2)

    def _weigh_efforts(self) -> None:
        """Take the learner's input gain into account: what a change of effort costs, and how much is explored."""
        self._weigh_changes()
        if self.robot.interface != "effort":
            return
        gain, control = self.learner.effort_gain, self.configuration.control
        self._exploration.fit_to_gain(gain, self.configuration.dynamics.noise)
        if self._parameters.shapes_changes:
            self._parameters.shape_changes(shape(gain, self.robot.command_scale, control.full_acceleration))

    def _limit_plan(self, u_now: CommandVector) -> None:
        """Keep the plan the closer to the present command and to the last plan, the less consistent the model is.

        Commands are limited about the present one, not about zero: an arm must go on carrying itself.
        """
        consistency, settings = self.dynamics.consistency, self.dynamics.consistency_settings
        lower, upper, narrow = self.robot.command_lower, self.robot.command_upper, consistency.level < 1.0
        if narrow:
            reach = consistency.command_scale(settings) * self._command_range
            lower, upper = np.maximum(lower, u_now - reach), np.minimum(upper, u_now + reach)
        if narrow or self._narrowed:  # the whole range reaches every limit
            self.planner.limit_commands(lower, upper)
        self._narrowed = narrow
        self.planner.limit_step(consistency.step_scale(settings))

    def _execute(self, plan: Plan, x: StateVector, u_now: CommandVector) -> CommandVector:
        mode, limits = self.configuration.planner.execution, (self.robot.command_lower, self.robot.command_upper)
        if self._in_one_call and mode != "gaussian":  # the plan begins at x and keeps to the limits
            return np.asarray(plan.u_hat[0])
        return execute(plan, mode, x, u_now, *limits, random=self._exploration.random)
