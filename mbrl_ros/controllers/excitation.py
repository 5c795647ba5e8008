r"""Excitation on purpose: the smallest motion that makes input gain and delay certain, when the posterior asks for it.

What asks: joint j while std(B_jj) / sqrt(learned_j) > `gain` |B_jj|, which is the standard deviation of its input gain
B_jj by the data alone (dynamics/gain_posterior.py; a prior may be certain and wrong), with B = d qd' / d u of the last
fit (servos: SERVO_SHARE times `gain`); and every joint while the standard deviation of the time at which a command acts
is above `delay`. A joint that has once been certain stays so until the model is forgotten or found to be inconsistent.
What is added to the commands is

    u_j + a_j s_j(t) sin(w_j t + p_j)

with w_j from FREQUENCY_RANGE to 1 times 2 pi `frequency` from the base to the tip (position commands:
POSITION_FREQUENCY times that), and quadrature p_j between neighbors of one frequency. The regression weighs its data by
gamma^k, which is a window of 1 / (1 - gamma) ticks. For the standard deviation to come below `gain` in it, the change
of the velocity that the command makes in a tick needs, over its noise sigma_j, the ratio

    r = DATA_MARGIN / (gain sqrt(1 / (1 - gamma))),       a_j = sqrt(2) r sigma_j / B_jj exp(t / AMPLITUDE_GROWTH)

which grows while it is not enough, since a servo follows by an unknown part. a_j is at most COMMAND_SHARE of the
command's scale, and at most what moves the joint with SPEED_SHARE of its velocity limit, ACCELERATION_SHARE of its
acceleration limit, and by ROOM_SHARE of the way to a stop. All joints together move the end effector no further than
`deviation`, at the same time and in the worst phase:

    sum_j |J_j| A_j <= deviation,    A_j = a_j B_jj / (dt w_j^2)  (effort),  a_j / w_j  (velocity),  a_j  (position)

That is predicted with B. What is measured counts, too: where the end effector is further than `deviation` from its
reference, nothing is added, and less afterwards. s_j(t) fades in and out within FADE_TIME.

For a target in the image the joints are moved by their references instead, until data tell the image Jacobian
(references/image_motion.py); that is announced here, too.

Nothing is random, and nothing depends on a clock but the stamps: a replay repeats it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..config.sections.excitation import ExcitationSettings
from ..dynamics.gain_posterior import gain_posterior
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..types import Array, CommandVector, JointVector
from .model_learner import CONSISTENT, ModelLearner

SERVO_SHARE = 2.0  # times `gain` is enough where a drive closes the loop: there the prior is wide and hides nothing
DATA_MARGIN = 1.2  # of that ratio, for what correlates with other regressors
AMPLITUDE_GROWTH = 0.5  # [s] in which the amplitude grows by e
FADE_TIME, JUDGED_EVERY = 0.1, 0.05  # [s]
SPEED_SHARE, ACCELERATION_SHARE, COMMAND_SHARE = 0.05, 0.9, 0.1  # of the limits, and of the command's scale
ROOM_SHARE = 0.2  # of the way to a stop
FREQUENCY_RANGE, PERIOD_TICKS = 2.5, 8.0  # highest frequency over the lowest; ticks in the shortest period
POSITION_FREQUENCY = 0.4  # of that of other commands: accelerations grow with its square
REDUCTION, LEAST_REDUCED = 0.5, 0.05  # of the amplitude after a deviation that was too large; its least share
QUIET_TIME = 0.3  # [s] without such a deviation before anything is added
LEAST_OF_PRIOR = 0.25  # of the prior's gain: less is not believed


class Excitation:
    """The excitation of one robot's controller; call `sample` once per tick.

    certain (n,): whose input gain is certain, delay_certain; given_up: nothing more can be learned within the limits.
    """

    def __init__(self, robot: Robot, settings: ExcitationSettings, dt: float, kinematics: Kinematics):
        """Excite `robot`, with `kinematics` that are told where the joints are that are not controlled."""
        self.settings, self._robot, self._dt = settings, robot, dt
        self.n, self._kinematics = robot.n, kinematics
        n = robot.n
        self._enough = settings.gain * (1.0 if robot.interface == "effort" else SERVO_SHARE)
        lowest = settings.frequency * (POSITION_FREQUENCY if robot.interface == "position" else 1.0)
        highest = min(FREQUENCY_RANGE * lowest, 1.0 / (PERIOD_TICKS * dt))
        pairs: Array = np.linspace(highest, min(lowest, highest / FREQUENCY_RANGE), (n + 1) // 2)
        self._omega: Array = 2.0 * np.pi * pairs[np.arange(n) // 2]
        self._phase: Array = 0.5 * np.pi * (np.arange(n, dtype=np.float64) % 2.0)
        self._remarks: list[str] = []
        self.reset(0.0)

    def reset(self, stamp: float) -> None:
        """Begin anew at `stamp` [s]: nothing is certain."""
        self.certain: NDArray[np.bool_] = np.zeros(self.n, dtype=bool)
        self.delay_certain = self.given_up = False
        self._best: Array = np.full(self.n, np.inf, dtype=np.float64)  # of what `gain` bounds, the least
        self._amplitude, self._level = np.zeros(self.n), np.zeros(self.n)
        self._asking: NDArray[np.bool_] = np.zeros(self.n, dtype=bool)
        self._judged, self._excited, self._growth, self._share = -math.inf, 0.0, 0.0, 1.0
        self._disturbed = self._start = self._last = stamp
        self._running = self._image = False

    def interrupt(self, stamp: float) -> None:
        """Go on at `stamp` [s] after an interruption: what was certain stays."""
        self._level[:] = 0.0
        self._last, self._judged, self._disturbed = stamp, -math.inf, stamp

    @property
    def excited(self) -> NDArray[np.bool_]:
        """Which joints carry excitation now (n,)."""
        moving: NDArray[np.bool_] = (self._level > 0.0) | self._image
        return moving

    def watch_image(self, moving: bool, share: float) -> None:
        """Say when the joints begin and end `moving` until data tell the image Jacobian, of which they tell `share`."""
        if moving is not self._image:
            self._image = moving
            does = "moves every joint until data tell the image Jacobian" if moving else "ends: of the image Jacobian"
            self._remarks.append(f"excitation: {does}{'' if moving else f' data tell {100.0 * share:.0f} %'}")

    def take_remarks(self) -> tuple[str, ...]:
        """Return what is to be told since the last call."""
        remarks, self._remarks = tuple(self._remarks), []
        return remarks

    def sample(
        self, stamp: float, q: JointVector, reference: JointVector, learner: ModelLearner, *, allowed: bool
    ) -> CommandVector:
        """Return what is added to the command (nu,).

        Parameters
        ----------
        stamp
            Of the present state [s].
        q, reference
            Where the joints are and should be (n,).
        learner
            The model, fitted in this tick.
        allowed
            Whether the arm may be moved: it has a target, its commands are in time.
        """
        passed, self._last = max(0.0, stamp - self._last), stamp
        if stamp - self._judged >= JUDGED_EVERY - 0.5 * self._dt:
            self._judged = stamp
            self._judge(stamp, q, reference, learner, allowed)
        if self._running:
            self._excited += passed
            self._growth += passed
        step = passed / FADE_TIME
        self._level = np.clip(self._level + np.where(self._asking, step, -step), 0.0, 1.0)
        if not self._level.any():
            return np.zeros(self.n)
        sample: CommandVector = (
            self._level * self._amplitude * np.sin(self._omega * (stamp - self._start) + self._phase)
        )
        return sample

    def _judge(
        self, stamp: float, q: JointVector, reference: JointVector, learner: ModelLearner, allowed: bool
    ) -> None:
        """Find out which joints are to be excited, by how much, and say so."""
        gain = self._gain(learner)
        known = gain_posterior(learner.dynamics.posterior, self._robot.command_scale)
        uncertain = np.zeros(self.n) if known is None else known[0] / np.sqrt(np.maximum(known[1], 1e-9)) / gain
        if learner.dynamics.consistency.level < CONSISTENT:
            self.certain[:], self.given_up, self._excited, allowed = False, False, 0.0, False
            self._best[:] = np.inf
        else:
            self.certain |= uncertain <= self._enough
            self._best = np.minimum(self._best, uncertain)
        delay = learner.delay.std
        self.delay_certain = delay <= (2.0 if self.delay_certain else 1.0) * self.settings.delay
        asking = ~self.certain | (not self.delay_certain)
        if asking.any() and allowed and not self.given_up and self._excited >= self.settings.longest:
            self.given_up = True
            left = " and ".join(name for name, asks in zip(self._robot.joints, asking, strict=True) if asks)
            self._remarks.append(f"excitation: gives up on {left}; {self._known(delay)}")
        quiet = self._undisturbed(stamp, q, reference)
        self._asking = asking & (allowed and quiet and not self.given_up)
        if self._asking.any():
            self._amplitude = np.where(self._asking, self._amplitudes(q, gain, learner), self._amplitude)
            self._asking &= self._amplitude > 0.0
        self._tell(delay, q, gain)
        if not asking.any():
            self._excited = self._growth = 0.0

    def _gain(self, learner: ModelLearner) -> Array:
        """Return B_jj (n,) of the fit, but not far below the prior's: little may be known yet."""
        believed = learner.dynamics.prior_gain(np.zeros(learner.nx)).diagonal()
        gain: Array = np.maximum(learner.dynamics.input_gain.diagonal(), LEAST_OF_PRIOR * believed)
        return gain

    def _undisturbed(self, stamp: float, q: JointVector, reference: JointVector) -> bool:
        """Return whether the end effector has been near its reference for a while; less excitation if it left it."""
        away = float(np.linalg.norm(self._kinematics.position(q) - self._kinematics.position(reference)))
        if away > self.settings.deviation:
            if self._running:
                self._share, self._growth = max(LEAST_REDUCED, REDUCTION * self._share), 0.0
            self._disturbed = stamp
        return stamp - self._disturbed >= QUIET_TIME

    def _motion(self, gain: Array) -> Array:
        """Return the amplitude of each joint's motion (n,) by one unit of its command's amplitude."""
        by_interface: dict[str, Array] = {
            "effort": gain / (self._dt * self._omega**2),
            "velocity": 1.0 / self._omega,
            "position": np.ones(self.n),
        }
        return by_interface[self._robot.interface]

    def _amplitudes(self, q: JointVector, gain: Array, learner: ModelLearner) -> Array:
        """Return a (n,): what is needed, within every limit."""
        robot, settings, motion = self._robot, self.settings, self._motion(gain)
        window = 1.0 / max(1.0 - learner.dynamics.settings.forgetting, self._dt / settings.longest)
        noise = np.sqrt(learner.dynamics.posterior.variance)
        needed = math.sqrt(2.0) * DATA_MARGIN / (self._enough * math.sqrt(window)) * noise / gain
        room = np.minimum(robot.position_upper - q, q - robot.position_lower)
        a = np.minimum.reduce(
            [
                needed * math.exp(self._growth / AMPLITUDE_GROWTH) * self._share,
                SPEED_SHARE * robot.velocity_limit / (self._omega * motion),
                ACCELERATION_SHARE * robot.acceleration_limit / (self._omega**2 * motion),
                ROOM_SHARE * np.maximum(room, 0.0) / motion,
                COMMAND_SHARE * robot.command_scale,
            ]
        )
        planned = self._planned(q, np.where(self._asking, a, 0.0) * motion)
        limited: Array = a * min(1.0, self._share * settings.deviation / max(planned, 1e-12))
        return limited

    def _planned(self, q: JointVector, motion: Array) -> float:
        """Return how far the end effector moves at most [m] when the joints move by `motion` (n,)."""
        return float(np.linalg.norm(self._kinematics.jacobian(q), axis=0) @ motion)

    def _tell(self, delay: float, q: JointVector, gain: Array) -> None:
        """Say when the excitation begins and ends."""
        running = bool(self._asking.any())
        if running is self._running:
            return
        self._running = running
        if running:
            most = 1e3 * self._planned(q, np.where(self._asking, self._amplitude, 0.0) * self._motion(gain))
            self._remarks.append(
                f"excitation: begins with at most {most:.2g} mm at the end effector; {self._known(delay)}"
            )
        elif not self.given_up:
            why = "certain" if self.certain.all() and self.delay_certain else "paused"
            self._remarks.append(f"excitation: {why} after {self._excited:.2f} s; {self._known(delay)}")

    def _known(self, delay: float) -> str:
        """Say how well gain and delay have been known."""
        worst = int(np.argmax(self._best))
        gain = self._best[worst]
        known = f"to {100.0 * gain:.0f} %" if gain < 1.0 else "to less than 100 %"
        return (
            f"data tell the input gain {known} ({self._robot.joints[worst]}, the others better) and the delay to "
            f"{1e3 * delay:.2g} ms"
        )
