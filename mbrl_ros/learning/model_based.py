r"""What the methods with a global model have in common: collect, fit, plan through the model, act.

    random     commands uniform in RANDOM_SHARE of their range, each held for HELD_PERIODS periods
    open_loop  the commands of one plan over the whole episode, whatever happens
    mpc        the first command of a plan made anew at every step, from the state at that step

A plan is made by the planner `ddp` with Gauss-Newton steps through the mean of the model.
"""

from __future__ import annotations

import numpy as np

from ..planners.base import Planner
from ..tasks.base import Task
from ..types import CommandTrajectory, CommandVector, StateVector
from .base import Controller, Rollout, episode_seed, random_commands, roll_out
from .global_model import GlobalModel
from .local import planner_for

HELD_PERIODS, RANDOM_SHARE = 4, 0.5  # periods of a random command; its largest share of the limits
OPEN_LOOP_ITERATIONS, MPC_ITERATIONS, START_SHARE = 200, 5, 0.1  # START_SHARE of full command a first plan begins with


class ModelBased:
    """A task, what was seen of it, and the model fitted to that."""

    def __init__(self, task: Task, seed: int):
        self.task, self.model, self._seed, self._episodes = task, GlobalModel(task.info, seed), seed, 0
        self._rng = np.random.default_rng(seed)
        self._mpc: Planner | None = None

    def collect(self) -> Rollout:
        """Run an episode of random commands."""
        U = random_commands(self.task, self._rng, HELD_PERIODS, RANDOM_SHARE)
        return self._run(lambda t, x: U[t])

    def fit(self) -> None:
        """Fit the model to every episode so far."""
        self.model.fit()

    def open_loop(self) -> tuple[Rollout, float]:
        """Plan an episode from its first state and run its commands; return also the return that was predicted."""
        x0 = self.task.reset(episode_seed(self._seed, self._episodes))
        U = self._plan_episode(x0)
        predicted = self._predicted(x0, U)
        return self._run(lambda t, x: U[t]), predicted

    def closed_loop(self) -> Rollout:
        """Run an episode, planning at every step."""
        info = self.task.info
        if self._mpc is None:
            self._mpc = self._planner(info.horizon, MPC_ITERATIONS)
        planner, parameters, previous = self._mpc, info.cost.parameters(info.horizon), np.zeros(info.n)

        def act(t: int, x: StateVector) -> CommandVector:
            if t == 0:
                planner.reset(x, self._first())
            u = planner.plan(x, self.model.dynamics, parameters, previous).u_hat[0]
            previous[:] = u
            return np.array(u)

        return self._run(act)

    def _run(self, controller: Controller) -> Rollout:
        rollout = roll_out(self.task, episode_seed(self._seed, self._episodes), controller)
        self._episodes += 1
        self.model.add(rollout.transitions)
        return rollout

    def _planner(self, horizon: int, iterations: int) -> Planner:
        settings = {"horizon": horizon, "iterations": iterations, "second_order": False}
        return planner_for(self.task.info, "ddp", self.model.model, **settings)

    def _first(self) -> CommandVector:
        """Return the constant command of a first plan: at rest in an equilibrium the gradient would be zero."""
        return START_SHARE * self.task.info.u_upper

    def _plan_episode(self, x0: StateVector) -> CommandTrajectory:
        """Return the commands (steps, n) of one plan for a whole episode from x0 (2n,)."""
        info = self.task.info
        planner = self._planner(info.steps, OPEN_LOOP_ITERATIONS)
        planner.reset(x0, self._first())
        parameters = info.cost.parameters(info.steps)
        return np.array(planner.plan(x0, self.model.dynamics, parameters, np.zeros(info.n)).u_hat)

    def _predicted(self, x: StateVector, U: CommandTrajectory) -> float:
        """Return the return of the commands U (steps, n) from x (2n,) in the model."""
        total = 0.0
        for u in U:
            following = self.model.predict(x, u)
            total += self.task.reward(x, u, following)
            if self.task.failed(following):
                break
            x = following
        return total
