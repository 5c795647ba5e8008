r"""Parking a kinematic bicycle whose steering angle is bounded, as a problem for `hermite_simpson`.

    p_x' = v cos(theta),   p_y' = v sin(theta),   theta' = v tan(delta) / L,   v' = a,   delta' = omega

with p the middle of the rear axle, theta the heading, v the speed, backward where it is negative, delta the steering
angle and L the wheelbase: x = [p_x, p_y, theta, v, delta], u = [a, omega], both bounded as v and delta are. It begins
and ends at rest with straight wheels. Cost: the time, and a small weight on both commands, which makes them smooth.
"""

from __future__ import annotations

import numpy as np

from ...codegen.symbolic import casadi
from ...types import Array
from .hermite_simpson import ContinuousProblem

WHEELBASE, TOP_SPEED, STEERING = 2.5, 1.5, 0.6  # [m], [m/s], [rad]
FULL_THROTTLE, STEERING_RATE = 1.5, 1.0  # [m/s^2], [rad/s]


def parking(start: Array, end: Array, effort: float = 0.1) -> ContinuousProblem:
    """Return the problem of driving from one pose [p_x [m], p_y [m], theta [rad]] to another.

    effort: weight of (a / a_max)^2 + (omega / omega_max)^2 beside the time.
    """
    high = np.array([np.inf, np.inf, np.inf, TOP_SPEED, STEERING])
    limit = np.array([FULL_THROTTLE, STEERING_RATE])

    def rate(x: casadi.SX, u: casadi.SX) -> casadi.SX:
        ahead = casadi.vertcat(casadi.cos(x[2]), casadi.sin(x[2]), casadi.tan(x[4]) / WHEELBASE)
        return casadi.vertcat(x[3] * ahead, u)

    def running(x: casadi.SX, u: casadi.SX) -> casadi.SX:
        return effort * casadi.sumsqr(u / limit)

    rest = np.zeros(2)
    ends = np.concatenate((start, rest)), np.concatenate((end, rest))
    return ContinuousProblem(rate, running, *ends, (0.1, 60.0), -limit, limit, -high, high, time_weight=1.0)


def forth_and_back(problem: ContinuousProblem, intervals: int, duration: float = 6.0) -> tuple[Array, Array, float]:
    """Return a start for `hermite_simpson`: forward and back, steering left and right, at half the limits.

    At rest on a straight line the steering has no effect, and a solver that starts there does not find any.
    """
    s = np.linspace(0.0, 1.0, 2 * intervals + 1)[:, None]
    wave = np.sin(2.0 * np.pi * s)
    X = (1.0 - s) * problem.x_start + s * problem.x_end
    X[:, 3:] += 0.5 * wave * np.array([TOP_SPEED, STEERING])
    return X, np.zeros((s.size, 2)), duration
