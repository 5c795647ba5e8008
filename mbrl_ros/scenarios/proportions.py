"""The demo in proportion to its arm: payload, tolerance and the cameras' distance.

From the robot description alone: the reach r of the end effector, the mass m that the joints move, and the load that
the arm can hold beside its own weight with HOLDABLE of its effort limits,

    load(q) = min over j of (HOLDABLE tau_max_j - sign(w_j) g_j(q)) / |w_j|,        w = -J(q)^T g,

which nine in ten of the usable postures exceed.
"""

from __future__ import annotations

import numpy as np

from ..references.workspace import HOLDABLE, START_SEED, Workspace
from ..robots import Robot
from ..robots.bodies import bodies_of
from ..robots.gravity import GravityEffort, weight_effort
from ..robots.guessed_inertials import guessed_mass
from ..robots.kinematics import Kinematics
from ..types import Array

MASS_SHARE = 0.1  # the payload, of what the joints move
WEAKEST = 10.0  # [%] of the usable postures that may be too weak for the payload
ROUND = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)  # times a power of ten: round payloads [kg]
TOLERANCE, TOLERANCE_SHARE = 0.01, 0.012  # [m], and at most this share of the reach
DISTANCES = (0.85, 1.6)  # of a camera from the end effector, of the reach
POSTURES = 300  # of which the load is looked at


class Holding:
    """The effort that holds an arm and a load at its end effector."""

    def __init__(self, robot: Robot, load: float = 0.0):
        """Take the masses of the URDF, and a load [kg]."""
        self._own, self._kinematics, self._g = GravityEffort(robot), Kinematics(robot), robot.gravity
        self.load = load

    def __call__(self, q: Array) -> Array:
        """Return the effort (n,) [N m or N] at q (n,)."""
        return self._own(q) + self.load * self.per_kg(q)

    def own(self, q: Array) -> Array:
        """Return the effort (n,) [N m or N] of the arm alone at q (n,)."""
        return self._own(q)

    def per_kg(self, q: Array) -> Array:
        """Return the effort (n,) of one kilogram at the end effector."""
        return weight_effort(self._kinematics.jacobian(q), self._g)


class Proportions:
    """What is in proportion to `robot`, always the same for it.

    Attributes
    ----------
    reach : of the end effector [m]
    payload_kg : a load for it [kg], rounded down; 0 for an arm that can hold none
    tolerance : how far from its target the end effector may be [m]: a centimetre, less for a small arm
    distances : the least and the largest distance of a camera from the end effector [m]
    """

    def __init__(self, robot: Robot):
        holding = Holding(robot)
        work = Workspace(robot, holding, np.random.default_rng(START_SEED))
        self.reach = work.reach
        self.payload_kg = _payload(work, holding)
        self.tolerance = min(TOLERANCE, round(TOLERANCE_SHARE * work.reach, 4))
        self.distances = DISTANCES[0] * work.reach, DISTANCES[1] * work.reach


def _payload(work: Workspace, holding: Holding) -> float:
    loads, limit = [], HOLDABLE * work.robot.effort_limit
    for q in work.postures[:POSTURES]:
        if work.usable(q):
            weight = holding.per_kg(q)
            loads.append(float(((limit - np.sign(weight) * holding.own(q)) / np.maximum(np.abs(weight), 1e-9)).min()))
    most = MASS_SHARE * (float(bodies_of(work.robot).mass.sum()) or guessed_mass(work.robot))
    return rounded_down(min([most, *([float(np.percentile(loads, WEAKEST))] if loads else [])]))


def rounded_down(kg: float) -> float:
    """Return the next smaller round number of kilograms, 0 for none."""
    if kg <= 0.0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(kg))
    return float(f"{power * max(value for value in ROUND if value * power <= kg * (1.0 + 1e-9)):.3g}")


def length(mm: float) -> str:
    """Return a small length in words: 10 is 1 cm, 6.7 is 6.7 mm."""
    return f"{0.1 * mm:g} cm" if mm >= 10.0 else f"{mm:.3g} mm"
