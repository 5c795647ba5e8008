r"""The prior `integrator`: every joint integrates its command, in the way its interface promises.

    effort    qdd = M_e(q)^-1 u                                 (the inertia of links and rotors and nothing else)
    velocity  qdd = (u - qd) / lag                              (a first-order servo)
    position  qdd = omega^2 (u - q) - 2 omega qd,  omega = 1/lag (a critically damped servo)

and delta = dt qdd, with the servos discretised exactly so that a lag below dt stays stable. Gravity, friction and load
are left to the data. M_e (robots/effective_inertia.py) is that of the URDF's links, with its coupling between the
joints, taken for the present pose, and what is learned of the rotors: without the coupling the start of a Panda sags
three times as far. A URDF without inertials needs
`robot.guess_inertials`, which takes a guess for them, or `strength`: then qdd = strength u / u_max, joint by joint.

For efforts the safe error is to take commands for too strong: a controller that believes so moves gently until it knows
better. And it should be slow to believe otherwise (`strength_spread`): with a strength of 300 and a spread of 1, 7 of
30 starts of a Panda without reflected inertia ran away.

So it should be for servos (`lag_spread`, `position_lag_spread`). While an arm rests, what it is told and what it does
are hardly more than the noise of what is measured, which is in regressor (u - qd or u - q) and in target alike; and
where the delay is not known yet, commands that go to and fro meet the wrong changes: least squares then finds too small
an input gain, down to none, and a controller that believes it pushes an arm away. What a servo really does differently,
the first motion tells within a few periods.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ...config.section import Section, per_joint, setting
from ...exceptions import ConfigurationError
from ...robots import Robot
from ...robots.effective_inertia import EffectiveInertia, knows_inertia
from ...types import Array, CommandVector, Gain, JointVector
from .base import FixedPrior, Prior


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """What an effort or a servo does, and how far that may be off."""

    strength: tuple[float, ...] = setting(
        (),
        "acceleration by a full command (effort interface), better too large than too "
        "small; empty: from the URDF's inertials",
        unit="rad/s^2 or m/s^2",
        low=1e-3,
        per_joint=True,
    )
    lag: tuple[float, ...] = setting(
        (0.02,), "time constant of the servo (velocity and position interface)", unit="s", low=1e-4, per_joint=True
    )
    stiffness_spread: float = setting(60.0, "how far d qdd / d q may be off", unit="1/s^2", low=1e-6)
    damping_spread: float = setting(4.0, "how far d qdd / d qd may be off", unit="1/s", low=1e-6)
    strength_spread: float = setting(
        0.15, "how far d qdd / d u may be off, over its prior value (effort interface)", low=1e-6
    )
    lag_spread: float = setting(0.3, "the same for the velocity interface", low=1e-6)
    position_lag_spread: float = setting(0.3, "the same for the position interface", low=1e-6)
    offset_spread: float = setting(60.0, "how far qdd may be off at the current point", unit="rad/s^2", low=1e-6)


class IntegratorPrior(FixedPrior):
    """delta (n,) = J [q; qd; u] with a constant Jacobian J (n, 3n)."""

    linear = True

    def __init__(self, jacobian: Gain, spread: Array):
        super().__init__(spread)
        self._take(jacobian)

    def _take(self, jacobian: Gain) -> None:
        """Take J (n, 3n), of which every tick needs the part by [q; qd] and that by u."""
        states = 2 * len(jacobian)
        self.jacobian, self._by_state, self._by_command = jacobian, jacobian[:, :states], jacobian[:, states:]

    def mean(self, x: Array, u: CommandVector) -> JointVector:
        """See `Prior`."""
        mean: JointVector = self._by_state @ x + self._by_command @ u
        return mean

    def linearize(self, X: Array, U: Array) -> tuple[Array, Gain]:
        """See `Prior`."""
        mean = X @ self._by_state.T + U @ self._by_command.T
        one = self.jacobian[None]
        return mean, one if len(X) == 1 else np.broadcast_to(one, (len(X), *self.jacobian.shape))


class InertiaPrior(IntegratorPrior):
    """The prior of efforts: the columns of J by u are dt M_e(q)^-1, for the pose of the last `move_to`.

    Their spread is `relative` times their diagonal, per scaled command (scale (n,)); dt [s].
    """

    moving = True

    def __init__(self, inertia: EffectiveInertia, spread: Array, dt: float, relative: float, scale: CommandVector):
        super().__init__(np.zeros((scale.size, 3 * scale.size)), spread)
        self._inertia, self._dt, self._relative, self._scale = inertia, dt, relative, scale

    def reset(self) -> None:
        """Forget what was learned of the rotors."""
        self._inertia.reset()
        self.rotors = None

    def learn_gain(self, q: JointVector, gain: Gain) -> None:
        """Learn the rotors' inertia from the fitted input gain; see `Prior`."""
        self._inertia.learn(q, gain / self._dt)
        self.rotors = self._inertia.rotor_inertia.copy()

    def move_to(self, q: JointVector) -> Gain | None:
        """Take M_e for the pose q (n,); see `Prior`."""
        n = q.size
        gain: Gain = np.multiply(self._dt, np.linalg.inv(self._inertia(q)))
        change = gain - self._by_command
        self._take(self.jacobian.copy())
        self.spread = self.spread.copy()
        self._by_command[:] = gain
        self.spread[2 * n : 3 * n] = self._relative * gain.diagonal() * self._scale
        return change


def build(settings: Settings, robot: Robot, dt: float) -> Prior:
    """Build the prior of `robot` for a period dt [s]; ConfigurationError where nothing tells what an effort does."""
    if robot.interface == "effort":
        return _of_efforts(settings, robot, dt)
    n = len(robot.joints)
    lag = per_joint(settings.lag, n, "prior.integrator.lag")
    decay = np.exp(-dt / lag)
    if robot.interface == "velocity":
        by_q, by_qd, by_u = np.zeros(n), decay - 1.0, 1.0 - decay
    else:  # velocity after dt of qdd = (u - q)/lag^2 - 2 qd/lag
        by_u = decay * dt / lag**2
        by_q, by_qd = -by_u, decay * (1.0 - dt / lag) - 1.0
    jacobian = np.hstack([np.diag(by_q), np.diag(by_qd), np.diag(by_u)])
    relative = settings.lag_spread if robot.interface == "velocity" else settings.position_lag_spread
    return IntegratorPrior(jacobian, _spread(settings, n, dt, relative * by_u * robot.command_scale))


def _of_efforts(settings: Settings, robot: Robot, dt: float) -> Prior:
    n, nothing = len(robot.joints), np.zeros((len(robot.joints), len(robot.joints)))
    if settings.strength:
        by_u = dt * per_joint(settings.strength, n, "prior.integrator.strength") / robot.command_scale
        return IntegratorPrior(
            np.hstack([nothing, nothing, np.diag(by_u)]),
            _spread(settings, n, dt, settings.strength_spread * by_u * robot.command_scale),
        )
    if not knows_inertia(robot):
        raise ConfigurationError(
            "the URDF has no usable <inertial> for every controlled joint, so nothing tells how an effort accelerates "
            "it: add mass and inertia to the links, let them be guessed with robot.guess_inertials, or set "
            "prior.integrator.strength [rad/s^2 by the full effort], better too large than too small",
            key="prior.integrator.strength",
            value=(),
        )
    inertia = EffectiveInertia(robot)
    spread = _spread(settings, n, dt, np.zeros(n))
    prior = InertiaPrior(inertia, spread, dt, settings.strength_spread, robot.command_scale)
    prior.move_to(np.clip(np.zeros(n), robot.position_lower, robot.position_upper))
    return prior


def _spread(settings: Settings, n: int, dt: float, by_command: Array) -> Array:
    return np.concatenate(
        [
            np.full(n, settings.stiffness_spread * dt),
            np.full(n, settings.damping_spread * dt),
            by_command,
            [settings.offset_spread * dt],
        ]
    )
