r"""The state from which a robot with the position interface is planned: predicted, and corrected slowly.

With the model p(x' | x, u) of the last tick and the command u in effect during the k periods since then,

    x- = E[x' | x^, u]   (k times),      x^ = x- + (1 - exp(-k dt / CORRECTION_TIME)) (x - x-)

A servo moves the arm to the commanded position by itself. A command that comes a period late, or a velocity that is the
difference of two positions at stamps that are not quite a period apart, shows in one measured state as an arm that
stands still and in the next as one twice as fast, and a plan from there commands positions to and fro. What lasts, as a
load or an obstacle does, is in x^ after some multiples of that time. Commands of joint_trajectory_controller and of
MoveIt Servo go on from the last command likewise, and not from the measured state.
"""

from __future__ import annotations

import math

from ..types import LinearGaussianDynamics, StateVector
from .delay import CommandHistory

CORRECTION_TIME, MOST_PREDICTED = 0.045, 10  # [s]; periods to predict, else the measured state is taken


class StateFilter:
    """Filters the successive states of one robot for the period `dt` [s]."""

    def __init__(self, dt: float):
        self._dt = dt
        self._last: tuple[float, StateVector] | None = None

    def reset(self) -> None:
        """Take the next state as it is measured."""
        self._last = None

    def update(
        self, stamp: float, x: StateVector, dynamics: LinearGaussianDynamics, history: CommandHistory
    ) -> StateVector:
        """Return x^ (nx,) for the state x (nx,) measured at `stamp` [s].

        Parameters
        ----------
        stamp, x
            The measured state.
        dynamics
            The model of the last tick or of this one.
        history
            The commands since the last state.
        """
        last, estimate = self._last, x
        periods = 0 if last is None else round((stamp - last[0]) / self._dt)
        if last is not None and 0 < periods <= MOST_PREDICTED:
            predicted = last[1]
            for k in range(periods):
                predicted = dynamics.predict(predicted, history.in_effect(last[0] + k * self._dt))
            estimate = predicted - math.expm1(-periods * self._dt / CORRECTION_TIME) * (x - predicted)
            if not math.isfinite(estimate.sum()):
                estimate = x
        self._last = (stamp, estimate) if math.isfinite(estimate.sum()) else None
        return estimate
