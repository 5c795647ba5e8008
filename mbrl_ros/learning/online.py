r"""The method `online`: a local model learned from nothing at every step, and iLQR over the horizon at every step.

    x' ~ N(F [x; u] + f, Sigma)  about the present (x, u),      u = the first command of argmin E sum l(x_t, u_t)

The model is the package's estimator (dynamics/online.py) with a prior that believes in no effect of anything, so that
all it knows was seen. A linear regression with D coefficients needs D different samples: the first D steps add small
random commands, of PROBE of the range, and later ones DITHER of it, without which a system at rest would teach nothing
and the forgetting would in the end leave nothing known.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..dynamics.online import OnlineDynamics
from ..tasks.base import Task, TaskInfo
from ..types import CommandVector, StateVector, Transition
from .base import Episode, episode_seed, roll_out
from .local import estimator, planner_for, unknown

ACCELERATION_SPREAD = 100.0  # [rad/s^2 or m/s^2 per unit]
PROBE, DITHER = 0.05, 0.002  # share of the command's range
SAMPLE_MEMORY, EXPECTED_NOISE = 0.99, 1e-3  # weight of the past per step; [rad/s or m/s] per step


def local_model(info: TaskInfo) -> OnlineDynamics:
    """Return the local model of a task before anything is known of it."""
    prior = unknown(info, ACCELERATION_SPREAD)
    return estimator(info, prior, forgetting=SAMPLE_MEMORY, noise=EXPECTED_NOISE, noise_count=1.0)


class OnlineController:
    """Learns from every transition and plans at every step; `task` gives names, limits, period and cost."""

    def __init__(self, task: Task, seed: int):
        self.info = info = task.info
        self.dynamics = local_model(info)
        self.planner = planner_for(info, "ilqr", iterations=5)
        self._parameters, self._rng = info.cost.parameters(info.horizon), np.random.default_rng(seed)
        self._u, self._learned = np.zeros(info.n), 0

    def act(self, step: int, x: StateVector) -> CommandVector:
        """Return the command (n,) at x (2n,)."""
        info = self.info
        if step == 0:
            self._u = np.zeros(info.n)
            self.planner.reset(x, self._u)
        plan = self.planner.plan(x, self.dynamics.fit(x, self._u), self._parameters, self._u)
        enough = self._learned > self.dynamics.posterior.size
        share = 0.5 * (DITHER if enough else PROBE) * (info.u_upper - info.u_lower)
        u = plan.u_hat[0] + share * self._rng.uniform(-1.0, 1.0, info.n)
        self._u = np.clip(u, info.u_lower, info.u_upper)
        command: CommandVector = self._u.copy()
        return command

    def learn(self, transition: Transition) -> None:
        """Take in one transition."""
        self.dynamics.update(transition)
        self._learned += 1


def learn(task: Task, seed: int, episodes: int) -> Iterator[Episode]:
    """See `Method`; what was learned in one episode is kept in the next."""
    controller = OnlineController(task, seed)
    for number in range(episodes):
        yield roll_out(task, episode_seed(seed, number), controller.act, controller.learn).episode("mpc")
