"""The local controller about a plan: one expansion and one backward pass, and no step from it.

With limits of commands (nu,) the gains are those of iLQR's step. With limits (H, nu) of every stage (stages_of_limits)
a command whose lower and upper limit are the planned command itself stays as it is, and has no feedback.
"""

from __future__ import annotations

import numpy as np

from ...types import PlanStatus
from . import regularization
from .box_qp import NotPositiveDefinite
from .kernel import CompiledIlqr
from .numpy_ilqr import NumpyIlqr


def find_gains(solver: CompiledIlqr | NumpyIlqr) -> None:
    """Write K, K_u, k and Q_uu about the memory's plan x_hat, u_hat to the memory, if there are any.

    tick.status: MAX_ITERATIONS, else NOT_FINITE or NOT_POSITIVE_DEFINITE, which leave the memory as it is.
    """
    if isinstance(solver, CompiledIlqr):
        solver.gains()
    else:
        _about_plan(solver)


def _about_plan(solver: NumpyIlqr) -> None:
    """Do in numpy what the kernel's `gains` does."""
    memory, tick = solver.memory, solver.tick
    wrong = memory.wrong(tick.stages_of_F, noise=False)
    if wrong is not None:
        tick.status = wrong
        return
    solver.X, solver.U = memory.x_hat.copy(), memory.u_hat.copy()
    regularization.reset(tick)
    with np.errstate(all="ignore"):
        try:
            solver.expand()
            slope, curve = solver.step_down()
            tick.status = PlanStatus.MAX_ITERATIONS if np.isfinite(slope + curve) else PlanStatus.NOT_FINITE
        except NotPositiveDefinite:
            tick.status = PlanStatus.NOT_POSITIVE_DEFINITE
    solver.commit()
