r"""One model for the whole state space: the package's bootstrap ensemble, fitted to all transitions of a task.

    qd' = qd + 1/M sum_m net_m(x, u),    q' = q + dt/2 (qd + qd')

The networks are those of dynamics/priors/ensemble.py, and the known rows those of every model here
(dynamics/state_equations.py). The planner `ddp` plans through the ensemble's mean, which is parameters to it, so that
it stays the same when the ensemble is fitted again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.dataset import Dataset
from ..data.store import Owner
from ..dynamics.priors import ensemble
from ..dynamics.priors.ensemble_expression import mean_expression
from ..dynamics.priors.nonlinear_model import NonlinearModel, of_mean
from ..dynamics.state_equations import StateEquations
from ..exceptions import DataError
from ..tasks.base import TaskInfo
from ..types import CommandVector, LinearGaussianDynamics, StateVector, Transition
from .local import robot_of

NETWORKS, FIT_UPDATES = 3, 8000  # members; steps of the optimiser for each, whatever the number of transitions
FIT_SEEDS = 1000  # the most fits of one seed


class GlobalModel:
    """x' = phi(x, u) + F [x; u] for a task, of all transitions that `add` was shown.

    model: phi, whose parameters `fit` overwrites; None before the first fit. dynamics: F beside it.
    """

    def __init__(self, info: TaskInfo, seed: int):
        self.info, self._seed, self._fits = info, seed, 0
        self._robot, self._equations = robot_of(info), StateEquations(info.n, 0, info.dt)
        self.data = Dataset.empty(Owner(info.joints, "effort", info.dt))
        n = info.n
        self.dynamics: LinearGaussianDynamics = self._equations.assemble(
            np.zeros((1, n, 3 * n)), np.zeros((1, n)), np.zeros((n, n)), np.zeros((0, n))
        )
        self.model: NonlinearModel | None = None

    def add(self, transitions: Sequence[Transition]) -> None:
        """Add the transitions of an episode."""
        self.data = self.data.with_run(f"episode {len(self.data.runs)}", transitions)

    def fit(self) -> NonlinearModel:
        """Fit the ensemble to all that was added; return phi."""
        batches = max(1, len(self.data.X) // ensemble.BATCH_SIZE)
        arrays = ensemble.fit(
            self.data,
            self._robot.command_scale,
            members=NETWORKS,
            epochs=max(1, FIT_UPDATES // batches),
            seed=FIT_SEEDS * self._seed + self._fits,
        )
        self._fits += 1
        mean = mean_expression(arrays, self.info.n)
        if self.model is None:
            self.model = of_mean(mean, self._equations)
            self.model.theta[: self.info.n] = self.info.dt * self._equations.theta
        values = mean.values
        self.model.theta[len(self.model.theta) - len(values) :] = values
        return self.model

    def predict(self, x: StateVector, u: CommandVector) -> StateVector:
        """Return the mean of x' (2n,) by the last fit."""
        if self.model is None:
            raise DataError("nothing was fitted yet")
        change = np.array(self.model.phi(x, u, self.model.theta))[:, 0]
        return change + self.dynamics.predict(x, u)
