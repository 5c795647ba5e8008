"""Learning while controlling: the state, the commands under way and the dynamics, once per control period.

A controller with learned dynamics gives its learner every observation and, through `record`, every applied command. The
order within a tick is

    x, fresh = learner.state(observation)      q, qd and the features' present state
    innovation = learner.learn(stamp, x)       the transition since the last tick, if it was one period
    learner.remember(stamp, x)                 after the decision
    learner.record(stamp, command)             after the command was published

A transition carries the command in effect during its period, interpolated between the two that the delay d names
(dynamics/delay.py). d is estimated while the robot moves (dynamics/delay_estimation.py), and what is not yet known of
it is noise of the sample (dynamics/online.py).
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque

import numpy as np

from ..config.configuration import Configuration
from ..dynamics import Innovation, OnlineDynamics, build_dynamics, make_history
from ..dynamics.base import Prediction
from ..dynamics.consistency import Consistency
from ..dynamics.delay_monitor import DelayMonitor
from ..dynamics.priors import Prior
from ..dynamics.velocity_gate import make_gate
from ..robots import Robot
from ..robots.effective_inertia import inverse_gain
from ..types import Array, CommandVector, Gain, Observation, StateVector, Transition
from .base import Health
from .compiled_step import make_step

CONSISTENT = 0.5  # consistency level above which the learned input gain serves the safe command and the prior ...
KEPT_EVERY, MOST_KEPT = 0.1, 10  # [s] between two states of what was learned that are kept for a while; number of them
KNOWN = 0.0025  # [s] ... and the latter only while the delay is known to this standard deviation


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class _Kept:
    """What was learned up to `stamp` [s]; delay: the one in use [ticks] and its standard deviation [s]."""

    stamp: float
    evidence: dict[str, Array]
    consistency: Consistency
    delay: tuple[float, float]


class ModelLearner:
    """The learned dynamics of one robot, and what learning them needs.

    dynamics, history (of commands), delay and gate (None: velocities are not checked) are its parts; step: compiled
    calls of several of them at once, None where that is not possible. For efforts
    effort_gain (nu, nu) is d qdd / d u of the prior [rad/s^2 per unit of command], and inertia (nu, nu) the inverse of
    that of the last consistent fit, None where there was none. delay_known: the delay is known well and the model
    consistent; prior_moved: the last `learn` took the prior for the present pose.
    """

    def __init__(self, robot: Robot, configuration: Configuration, prior: Prior | None = None):
        """Build the dynamics; `prior` instead of the one that dynamics.prior names."""
        c, self.robot = configuration, robot
        self.dt, self.n = 1.0 / c.control.rate, len(robot.joints)
        if prior is None:
            self.dynamics = build_dynamics(robot, self.dt, c.dynamics, c.priors, c.features, c.consistency)
        else:
            self.dynamics = OnlineDynamics(robot, self.dt, c.dynamics, prior, c.features, c.consistency)
        self.m, self.nx, self.nu = self.dynamics.m, self.dynamics.nx, self.dynamics.nu
        self._configured_delay = c.control.delay
        self.history = make_history(self.nu, self.dt, c.control.delay)
        self.delay = DelayMonitor(self.n, self.dt, c.control.delay, c.delay)
        self.gate = make_gate(self.n, self.dt, c.dynamics.gate) if c.dynamics.gate else None
        self.step = make_step(self.dynamics, self.history, self.gate)
        self._prior_interval = max(1, round(c.dynamics.prior_period / self.dt))
        self._timing_std, self._transitions = 0.0, 0
        self.delay_known = self.prior_moved = False
        self.inertia: Gain | None = None
        self.effort_gain: Gain = np.zeros((self.nu, self.nu))
        self.last: tuple[float, StateVector] | None = None  # stamp and state of the last tick
        self._unaided: dict[str, Array] | None = None  # the evidence that there was without `assume_held`
        self._kept: deque[_Kept] = deque(maxlen=MOST_KEPT)  # what was learned up to now and before, the newest last
        self._skipping = False  # whether nothing is learned in this tick
        self._refused = False  # whether a velocity of this tick was replaced

    def reset(self, observation: Observation) -> None:
        """Start anew at `observation`: forget the model's evidence."""
        self.dynamics.reset(observation.q)
        self._timing_std, self._transitions = 0.0, 0
        self.delay_known = self.prior_moved = False
        self.inertia, self.effort_gain = None, np.zeros((self.nu, self.nu))
        self._take_gains(np.concatenate([observation.q, np.zeros(self.nx - self.n)]))
        if self.gate is not None:
            self.gate.reset()
        command = observation.q if self.robot.interface == "position" else np.zeros(self.nu)
        self.history.reset(np.clip(command, self.robot.command_lower, self.robot.command_upper))
        self.history.set_delay(self._configured_delay)
        self.delay.reset()
        self._kept.clear()
        self.last = self._unaided = None

    def resume(self, command: CommandVector) -> None:
        """Continue after an interruption at whose end `command` (nu,) was in effect; what was learned stays."""
        self.history.reset(command)
        self.delay.interrupt()
        self.last = None

    def assume_held(self, observation: Observation, command: CommandVector) -> None:
        """Take it that `command` (nu,) holds the arm where it is, unless transitions have been learned from.

        Without that a model that is new plans as if nothing were to be carried, and throws the arm.
        """
        if self._transitions:
            return
        if self._unaided is None:
            self._unaided = self.dynamics.evidence()
        self.dynamics.restore(self._unaided)
        self.dynamics.assume_rest(observation.q, command)

    def skip_transition(self, forget: float = 0.0) -> None:
        """Learn nothing in the next tick, and forget what was learned in the last `forget` [s], or a little more."""
        self.last, self._skipping = None, True
        self.delay.interrupt()
        if not forget or not self._kept:
            return
        until = self._kept[-1].stamp - forget
        kept = next((kept for kept in reversed(self._kept) if kept.stamp <= until), self._kept[0])
        self._kept.clear()
        self._kept.append(kept)
        self.dynamics.restore(kept.evidence)
        self.dynamics.consistency = kept.consistency
        self.delay.take(*kept.delay)
        self.history.set_delay(self.delay.in_use)

    def update_settings(self, configuration: Configuration) -> None:
        """Take over the dynamic settings."""
        self.dynamics.update_settings(configuration.dynamics)

    def set_timing_std(self, std: float) -> None:
        """Take `std` [s] for the standard deviation of when a command begins to act, beyond that of the delay."""
        self._timing_std = std

    def health(self, features_lost: bool = False, gain: float = 1.0) -> Health:
        """Return what is known to be wrong with the model, and what the caller knows besides."""
        consistency = self.dynamics.consistency
        return Health(features_lost, consistency.level == 0.0, consistency.hold, gain)

    def record(self, stamp: float, command: CommandVector) -> None:
        """Take note that `command` (nu,) was applied; see `Controller.record`."""
        self.history.record(stamp, command, self._timing_std)
        skipping, self._skipping = self._skipping, False
        if self.last is not None and self.last[0] == stamp and not skipping:
            x = self.last[1]
            changed = self.delay.update(stamp, x[: self.n], x[self.n : 2 * self.n], command)
            if changed is not None:
                self.history.set_delay(changed)

    def remember(self, stamp: float, x: StateVector) -> None:
        """Keep x (nx,) as the state from which the next transition begins."""
        self.last = stamp, x
        if self.robot.interface != "effort" and not self._skipping and self._is_due(stamp):
            delay = self.delay.in_use, self.delay.std
            self._kept.append(_Kept(stamp, self.dynamics.evidence(), self.dynamics.consistency, delay))

    def _is_due(self, stamp: float) -> bool:
        """Return whether what was learned is to be kept now: the first time, and every `KEPT_EVERY` [s]."""
        return not self._kept or not 0.0 <= stamp - self._kept[-1].stamp < KEPT_EVERY - 0.5 * self.dt

    def periods_since_last(self, stamp: float) -> int:
        """Return the control periods since the last tick, at least 1."""
        return 1 if self.last is None else max(1, round((stamp - self.last[0]) / self.dt))

    def state(self, observation: Observation) -> tuple[StateVector, bool]:
        """Return x (nx,) and whether its features rest on a recent frame."""
        joints = np.concatenate([observation.q, observation.qd])
        if not self.m:
            return joints, False
        motion = self.dynamics.features
        motion.add_joints(observation.stamp, observation.q)
        for frame in observation.frames:
            motion.add_frame(frame)
        s, sd, fresh = motion.present(observation.stamp, observation.q, observation.qd)
        return np.concatenate([joints, s, sd]), fresh

    def admitted(self, observation: Observation, x: StateVector) -> Observation:
        """Return the observation with the velocities that were not refused, those of x (nx,) after `learn`."""
        if not self._refused:
            return observation
        qd = x[self.n : 2 * self.n].copy()
        return Observation(observation.stamp, observation.q, qd, observation.frames, observation.uncontrolled)

    def learn(self, stamp: float, x: StateVector) -> Innovation | None:
        """Learn from the last period if it was one period and all of it is finite; else None.

        Velocities that are refused are replaced in x.
        """
        self.prior_moved = self._refused = False
        if self.last is None or abs(stamp - self.last[0] - self.dt) > 0.2 * self.dt:
            return None
        last_stamp, last_x = self.last
        if not math.isfinite(sum(x.tolist()) + sum(last_x.tolist())):  # the sums of numpy take four times as long
            return None
        prediction = self._predict(stamp, last_stamp, last_x, x)
        innovation = self.dynamics.learn(prediction)
        self._transitions += 1
        if self._transitions % self._prior_interval == 0:
            self._move_prior(x)
        return innovation

    def _predict(self, stamp: float, last_stamp: float, last_x: StateVector, x: StateVector) -> Prediction:
        """Compare the last period with the model, by one compiled call where it is a usual one."""
        found = None if self.step is None else self.step.compare(last_stamp, last_x, x, self.delay.std)
        if found is not None:
            prediction = self.dynamics.predicted(Transition(last_stamp, last_x, found.u, x), found.comparison)
            if found.agreed or not self._replace_velocities(stamp, prediction):
                return prediction
        u, neighbors, std = self.history.during(last_stamp)
        transition = Transition(last_stamp, last_x, u, x)
        timing_std = math.hypot(self.delay.std, std) if self.delay.std else 0.0
        prediction = self.dynamics.predict(transition, neighbors, timing_std)
        if found is None and self._replace_velocities(stamp, prediction):
            prediction = self.dynamics.predict(transition, neighbors, timing_std)
        return prediction

    def _replace_velocities(self, stamp: float, prediction: Prediction) -> bool:
        """Replace the velocities that the gate refuses by the predicted ones, in place; whether there were any."""
        if self.gate is None:
            return False
        last_x, x, n = prediction.transition.x, prediction.transition.x_next, self.n
        innovation = prediction.innovation
        if innovation.nis <= self.gate.threshold**2:
            self.gate.agree(last_x, x)  # e_j^2 <= NIS covariance_jj: no joint is beyond the threshold
            return False
        refused = self.gate.refused(last_x, x, innovation.error, np.sqrt(innovation.covariance.diagonal()))
        if not refused.any():
            return False
        self._refused = True
        x[n : 2 * n] -= np.where(refused, innovation.error, 0.0)
        if self.m:  # the features' velocities follow from the joints'
            s, sd, _ = self.dynamics.features.present(stamp, x[:n], x[n : 2 * n])
            x[2 * n :] = np.concatenate((s, sd))
        return True

    def _move_prior(self, x: StateVector) -> None:
        """Take the prior for the pose of x (nx,)."""
        self.delay_known = self.delay.std <= KNOWN and self.dynamics.consistency.level > CONSISTENT
        self.dynamics.move_prior(x[: self.n], self.delay_known)
        self._take_gains(x)
        self.prior_moved = True

    def _take_gains(self, x: StateVector) -> None:
        """Evaluate `effort_gain` and `inertia` at x (nx,)."""
        if self.robot.interface != "effort":
            return
        self.effort_gain = self.dynamics.prior_gain(x) / self.dt
        if self._transitions and self.dynamics.consistency.level > CONSISTENT:
            self.inertia = inverse_gain(self.dynamics.input_gain / self.dt)
