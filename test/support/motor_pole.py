"""A task for tests: a pole on a motor, qdd = 10 sin q - 0.2 qd + strength u with |u| <= 1, q = 0 upright."""

import casadi
import numpy as np

from mbrl_ros.costs import CostModel, CostSettings, StateCostSettings, TargetSettings, Term
from mbrl_ros.tasks.base import Step, TaskInfo

PERIOD, SUBSTEPS = 0.05, 5


class MotorPole:
    """Starts within 0.02 of `start` [rad], at rest; an episode fails beyond `tilt` [rad]."""

    def __init__(self, start=np.pi, strength=7.0, steps=40, tilt=np.inf):
        self.start, self.strength, self.tilt = start, strength, tilt
        one = np.ones(1)
        self.info = TaskInfo(("hinge",), -one, one, PERIOD, steps, 0.6 * steps, 20, cost())
        self.x = np.zeros(2)

    def reset(self, seed):
        spread = np.random.default_rng(seed).uniform(-0.02, 0.02)
        self.x = np.array([self.start + spread, 0.0])
        return self.x

    def step(self, u):
        before, (q, qd) = self.x, self.x
        torque = self.strength * float(np.clip(u, -1.0, 1.0)[0])
        for _ in range(SUBSTEPS):
            qd = qd + PERIOD / SUBSTEPS * (10.0 * np.sin(q) - 0.2 * qd + torque)
            q = q + PERIOD / SUBSTEPS * qd
        self.x = np.array([q, qd])
        return Step(self.x, self.reward(before, u, self.x), self.failed(self.x))

    def reward(self, x, u, x_next):
        return float(np.exp(2.0 * (np.cos(x_next[0]) - 1.0)))

    def failed(self, x):
        return bool(abs(x[0]) > self.tilt)


def cost():
    """The distance of the pole's end from upright, with small weights on speed and command."""
    x, u, v = casadi.SX.sym("x", 2), casadi.SX.sym("u"), casadi.SX.sym("v")
    tip = casadi.vertcat(casadi.sin(x[0]), casadi.cos(x[0]) - 1.0)
    terms = [
        ("tip", Term(tip, TargetSettings(weight=1.0, terminal=5.0))),
        ("speed", Term(x[1:], StateCostSettings(weight=0.01, terminal=5.0))),
        ("effort", Term(u, CostSettings(weight=0.01))),
    ]
    return CostModel(x, u, v, terms)
