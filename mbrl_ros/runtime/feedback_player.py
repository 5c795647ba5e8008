"""Feedback between plans: a plan's local controller, played at a rate above the planning rate.

A plan made from the state x_0 stamped t_0 is a nominal trajectory through (t_0, x_0), (t_0 + d, x_hat_0),
(t_0 + d + dt, x_hat_1), ... where d is the time until a command acts. The state x measured at t deviates from it by
x - x_nom(t); taken as constant over d, the command for it is that of the stage at which it will act:

    u = u_hat_k + K_k (x - x_nom(t)),   k = floor((t - t_0) / dt)

(Levine & Abbeel, NIPS 2014, act on their plans in the same way.) A plan is valid for `validity` after t_0. Plans are
numbered within epochs; a plan of an older epoch, or with a number not above the last one's, is refused: after a reset
no plan from before it can come back.
"""

from __future__ import annotations

import math

import numpy as np

from ..types import Array, Plan

PLAN_VALIDITY = 3.0  # periods for which mpc_node plays a plan
ROUNDING = 1e-6  # of a period, forgiven where stamps fall on the border of a stage


class FeedbackPlayer:
    """Plays plans for n joints and a planning period dt [s]."""

    def __init__(self, n: int, dt: float, validity: float):
        self.n, self.dt, self.validity = n, dt, validity
        self.epoch = 0
        self.refused = 0
        self._sequence = -1
        self._plan: Plan | None = None

    def new_epoch(self) -> int:
        """Forget the plan; from now on only plans of the epoch returned are taken."""
        self.epoch += 1
        self._sequence, self._plan = -1, None
        return self.epoch

    def take(self, plan: Plan, stamp: float, x: Array, delay: float, epoch: int, sequence: int) -> bool:
        """Play `plan` from now on, made from joints x (2n,) stamped `stamp` [s] and acting `delay` [s] later; False if refused."""
        if epoch != self.epoch or sequence <= self._sequence or not plan.usable:
            self.refused += 1
            return False
        self._plan, self._stamp, self._x, self._delay, self._sequence = plan, stamp, np.array(x), delay, sequence
        return True

    def command(self, stamp: float, x: Array) -> Array | None:
        """U (nu,) for joints x (2n,) at `stamp` [s]; None without a plan valid then."""
        plan, since = self._plan, 0.0 if self._plan is None else stamp - self._stamp
        if plan is None or not 0.0 <= since <= min(self.validity, self.dt * (len(plan.u_hat) - 1)) + ROUNDING * self.dt:
            return None
        stage = math.floor(since / self.dt + ROUNDING)
        return plan.u_hat[stage] + plan.K[stage][:, : 2 * self.n] @ (x - self._nominal(since))

    def _nominal(self, since: float) -> Array:
        """x_nom (2n,) `since` [s] after the plan's state, linear between the points of the trajectory."""
        joints = self._plan.x_hat[:, : 2 * self.n]
        if since < self._delay:
            return self._x + since / self._delay * (joints[0] - self._x)
        at = (since - self._delay) / self.dt
        stage = min(math.floor(at), len(joints) - 2)
        return joints[stage] + (at - stage) * (joints[stage + 1] - joints[stage])
