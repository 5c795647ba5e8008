"""The feedback player: a plan's local controller, played between two plans at a rate above the planning rate.

A plan made from the state x_0 stamped t_0 is a nominal trajectory through (t_0, x_0), (t_0 + d, x_hat_0),
(t_0 + d + dt, x_hat_1), ... where d is the time until a command acts. The state x measured at t deviates from it by
x - x_nom(t). Taken as constant over d, the command for it is that of the stage at which it will act:

    u = u_hat_k + K_k (x - x_nom(t)),   k = floor((t - t_0) / dt)

(Levine & Abbeel, NIPS 2014, act on their plans in the same way.) A plan is valid for `validity` after t_0. Plans are
numbered within epochs; a plan of an older epoch, or with a number not above the last one's, is refused: after a reset
no plan from before it can come back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..types import Array, Plan

PLAN_VALIDITY = 3.0  # periods for which mpc_node plays a plan
STAGE_ROUNDING = 1e-6  # of a period, forgiven where stamps fall on the border of a stage


@dataclass(frozen=True, eq=False, slots=True)
class _Playing:
    """A plan, the stamp t_0 [s] and joints x_0 (2n,) it was made from, and the delay d [s]."""

    plan: Plan
    stamp: float
    x: Array
    delay: float


class FeedbackPlayer:
    """Plays plans for n joints and the planning period `dt` [s], each for at most `validity` [s].

    `epoch` is the present epoch; `refused` counts plans that were not taken.
    """

    def __init__(self, n: int, dt: float, validity: float):
        self._n, self._dt, self._validity = n, dt, validity
        self.epoch = 0
        self.refused = 0
        self._sequence = -1
        self._playing: _Playing | None = None

    def new_epoch(self) -> int:
        """Forget the plan; from now on only plans of the returned epoch are taken."""
        self.epoch += 1
        self._sequence, self._playing = -1, None
        return self.epoch

    def take(self, plan: Plan, stamp: float, x: Array, delay: float, epoch: int, sequence: int) -> bool:
        """Play `plan` from now on, unless it is refused.

        Parameters
        ----------
        plan
            its stages are one planning period apart.
        stamp
            t_0 [s].
        x
            (2n,) joint positions and velocities x_0.
        delay
            d [s].
        epoch
            the epoch it belongs to.
        sequence
            its number in the epoch.

        Returns
        -------
        bool
            whether it was taken.
        """
        if epoch != self.epoch or sequence <= self._sequence or not plan.usable:
            self.refused += 1
            return False
        self._playing, self._sequence = _Playing(plan, stamp, np.array(x), delay), sequence
        return True

    def command(self, stamp: float, x: Array) -> Array | None:
        """Return u (nu,) for the joints x (2n,) at `stamp` [s]; None without a plan that is valid then."""
        if self._playing is None:
            return None
        plan, since = self._playing.plan, stamp - self._playing.stamp
        longest = min(self._validity, self._dt * (len(plan.u_hat) - 1))
        if not 0.0 <= since <= longest + STAGE_ROUNDING * self._dt:
            return None
        stage = math.floor(since / self._dt + STAGE_ROUNDING)
        u: Array = plan.u_hat[stage] + plan.K[stage][:, : 2 * self._n] @ (x - self._nominal(self._playing, since))
        return u

    def _nominal(self, playing: _Playing, since: float) -> Array:
        """Return x_nom (2n,) `since` [s] after the plan's state, linear between the points of the trajectory."""
        joints = playing.plan.x_hat[:, : 2 * self._n]
        if since < playing.delay:
            nominal: Array = playing.x + since / playing.delay * (joints[0] - playing.x)
            return nominal
        at = (since - playing.delay) / self._dt
        stage = min(math.floor(at), len(joints) - 2)
        nominal = joints[stage] + (at - stage) * (joints[stage + 1] - joints[stage])
        return nominal
