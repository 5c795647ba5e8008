r"""Motion primitives: what the tree chooses among, each a command relative to the plan in hand over a few stages.

With the plan U, its states X, the policy k, K, K_u of policy.py about it, and v_0 the command when the segment begins:

    u_t = clip((1 - hold) (U_t + step k_t) + hold v_0 + gain (K_t dx + K_u_t du_{t-1}) + offset)

| primitive | step | gain | hold | offset |
|-----------|------|------|------|--------|
| lqr       | 1    | 1    | 0    | 0      |  the feedback policy
| plan      | 0    | 0    | 0    | 0      |  what was planned
| hold      | 0    | 0    | 1    | 0      |  the command stays
| +- joint  | 0    | 0    | 0    | +- s_j |  what was planned, one command higher or lower

The joints j of the pairs are drawn anew for every depth of the tree and every period, so that a few pairs reach all
joints over time: the plan in hand keeps what was gained. s_j is scaled by the curvature Q_uu of the cost over the rest
of the horizon, in which the learned input gain stands:

    s_j = 2^-r sqrt(2 reach |J|) Q_uu^-1 e_j / sqrt(e_j^T Q_uu^-1 e_j),   r uniform in [0, OCTAVES]

the cheapest change of command that moves joint j's, as large as costs reach |J| in a quadratic model of one stage, J
the cost of the plan in hand; or smaller, as drawn. Without a curvature it is reach times half of the command's range.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np

from ...types import Array, CommandVector
from .search import DEFAULT_LAWS, SearchMemory

OCTAVES = 6.0
FIRST_OCTAVE, OCTAVES_APART = 1, 2  # of steps that are not drawn


class Primitives:
    """Writes the primitives of each period into a search's memory: first those called `fixed`, then the steps.

    They last `length` stages; reach: see above. names: of all primitives. same: the steps are those of the joints one
    after the other, r = FIRST_OCTAVE and, once all joints had theirs, OCTAVES_APART more, instead of drawn ones.
    """

    def __init__(self, memory: SearchMemory, fixed: Sequence[str], length: int, reach: float, same: bool = False):
        self._laws, self._offsets, self._length, self._reach = memory.laws, memory.offsets, length, reach
        self._first, self._steps = len(fixed), len(memory.laws) - 1 - len(fixed)
        nu = len(memory.u_lower)
        octaves = [FIRST_OCTAVE + OCTAVES_APART * (i // 2 // nu) for i in range(self._steps)]
        self._same = [(i // 2 % nu, (1.0, -1.0)[i % 2] * 2.0**-r) for i, r in enumerate(octaves)] if same else []
        self.names = *fixed, *(f"{'+-'[i % 2]} command {i // 2 % nu}, 2^-{r}" for i, r in enumerate(octaves))
        memory.laws[:-1] = [DEFAULT_LAWS[name] for name in (*fixed, *["plan"] * self._steps)]

    def draw(
        self, random: np.random.Generator, Q_uu: Array, cost: float, u_lower: CommandVector, u_upper: CommandVector
    ) -> None:
        """Draw the offsets of this period: of Q_uu (H, nu, nu), J = `cost` and the limits (nu,)."""
        depths, _, nu = self._offsets.shape
        largest = self._largest(Q_uu[:: self._length], cost, u_lower, u_upper)
        for i, (joint, size) in enumerate(self._same):
            self._offsets[:, self._first + i] = size * largest[:, joint]
        if self._same:
            return
        pairs = -(-self._steps // 2)
        for depth in range(depths):
            joints = [int(joint) for _ in range(-(-pairs // nu)) for joint in random.permutation(nu)]
            sizes, first = 2.0 ** -random.uniform(0.0, OCTAVES, pairs), random.choice((-1.0, 1.0))
            for i in range(self._steps):
                sign = first if i % 2 == 0 else -first
                self._offsets[depth, self._first + i] = sign * sizes[i // 2] * largest[depth, joints[i // 2]]

    def _largest(self, Q_uu: Array, cost: float, u_lower: CommandVector, u_upper: CommandVector) -> Array:
        """Return s_j of r = 0 at every depth, (D, nu, nu): row j is s_j."""
        with contextlib.suppress(np.linalg.LinAlgError):  # no curvature
            np.linalg.cholesky(Q_uu)
            inverse = np.linalg.inv(Q_uu)
            scale = np.sqrt(2.0 * self._reach * abs(cost) / np.diagonal(inverse, axis1=1, axis2=2))
            inverse *= scale[:, :, None]
            if np.isfinite(inverse).all():
                return np.asarray(inverse, dtype=np.float64)
        half = 0.5 * (u_upper - u_lower)
        joints = np.diag(self._reach * np.where(np.isfinite(half), half, 1.0))
        return np.tile(joints, (len(Q_uu), 1, 1))
