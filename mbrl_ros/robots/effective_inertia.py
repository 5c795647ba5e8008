r"""The inertia a command works against: the links', known from the URDF, and the rotors', which the data tell.

    M_e(q) = M(q) + diag(a)

M(q) [kg m^2 or kg] is the links' joint-space inertia (inertia.py), a_j the inertia of joint j's rotor times the gear
ratio squared ("armature"). A URDF does not hold it, and it may outweigh the links some sixty times. It begins at
`robot.rotor_inertia`, zero where that is not given, and grows with what the learned input gain B = d qdd / d u implies,

    a <- a + ROTOR_RATE (clip(ROTOR_SHARE diag(B^-1 - M(q)), robot.rotor_inertia, h / LEAST) - a),

h the effort limits. Nothing is guessed from the limits, which may be nominal; and less than what was learned is
believed: too little inertia is the safe side for a plan, which then moves gently until more is known, and too much
makes the loop faster than the arm. With 30 % too much in one combination of joints, no rotors and a delay that is wrong
by one period a Panda is lost; with a tenth of its inertia it is not.

Where the inertia of the links is guessed (guessed_inertials.py) the bound of a is at least the guess, so that a also
takes up what the guess lacks. A guess that is too large is not reduced.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dgetrf, dgetri

from ..exceptions import RobotDescriptionError
from ..types import Array
from .guessed_inertials import GuessedInertia
from .inertia import JointSpaceInertia, has_inertials
from .robot import Robot

ROTOR_RATE, ROTOR_SHARE = 0.1, 0.5
# [rad/s^2 or m/s^2] by the full effort: an arm that its motors are to move has no more rotor inertia than that
LEAST = 500.0


class EffectiveInertia:
    """M_e(q) of a robot. `rotor_inertia` (n,) [kg m^2 or kg] is a, what was learned of the rotors.

    `most` (n,) is the largest that a is believed to be.

    Raises RobotDescriptionError where the URDF has no usable inertials and `robot.guess_inertials` is false.
    """

    def __init__(self, robot: Robot):
        self._links = links_of(robot)
        self._least = np.zeros(robot.n) if robot.rotor_inertia is None else np.array(robot.rotor_inertia)
        self.most = np.maximum(self._least, robot.effort_limit / LEAST)
        self.guessed = isinstance(self._links, GuessedInertia)
        if isinstance(self._links, GuessedInertia):
            self.most = np.maximum(self.most, self._links.largest)
        self.rotor_inertia = self._least.copy()

    def reset(self) -> None:
        """Forget what was learned of the rotors."""
        self.rotor_inertia = self._least.copy()

    def set_rotor_inertia(self, rotor_inertia: Array) -> None:
        """Take over a (n,) [kg m^2 or kg], learned elsewhere."""
        self.rotor_inertia = rotor_inertia

    def __call__(self, q: Array) -> Array:
        """Return M_e (n, n) at the pose q (n,)."""
        M = self._links(q)
        M.reshape(-1)[:: len(M) + 1] += self.rotor_inertia
        return M

    def learn(self, q: Array, gain: Array) -> None:
        """Take note that d qdd / d u = `gain` (n, n) was learned about the pose q (n,)."""
        inertia = inverse_gain(gain)
        if inertia is not None:
            beyond = ROTOR_SHARE * (inertia - self._links(q)).diagonal()
            self.rotor_inertia += ROTOR_RATE * (np.clip(beyond, self._least, self.most) - self.rotor_inertia)


def links_of(robot: Robot) -> JointSpaceInertia:
    """Return the inertia of the links: the URDF's, or a guess where it is missing and may be guessed."""
    if robot.guess_inertials and not has_inertials(robot):
        return GuessedInertia(robot)
    return JointSpaceInertia(robot)


def knows_inertia(robot: Robot) -> bool:
    """Return whether `EffectiveInertia(robot)` can be had, from the URDF or guessed."""
    if has_inertials(robot):
        return True
    try:
        return robot.guess_inertials and links_of(robot) is not None
    except RobotDescriptionError:
        return False


def inverse_gain(gain: Array) -> Array | None:
    """Return the symmetric part of B^-1 for d qdd / d u = B (n, n) [rad/s^2 per N m]; None where B has no inverse."""
    if not np.isfinite(gain).all():
        return None
    factors, pivots, singular = dgetrf(gain)
    if singular:
        return None
    inverse: Array = dgetri(factors, pivots)[0]
    symmetric: Array = 0.5 * (inverse + inverse.T)
    return symmetric
