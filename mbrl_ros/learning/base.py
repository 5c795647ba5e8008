"""The method interface, and one episode of a task under a controller.

A method is a module with

    learn(task: Task, seed: int, episodes: int) -> Iterator[Episode]

which yields an episode as soon as it has ended. It depends on its arguments alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ..tasks.base import Task
from ..types import Array, CommandVector, StateVector, Transition

EPISODE_SEEDS = 1000  # the most episodes of one seed: their starts have seeds of their own
Controller = Callable[[int, StateVector], CommandVector]  # (step of the episode, x (2n,)) -> u (n,)


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode.

    steps: its length; reward: their sum of rewards, the return; acted: what gave the commands (random, open_loop, mpc,
    policy); predicted: the return that the model promised for the commands of an open-loop episode, NaN where it
    promised none.
    """

    steps: int
    reward: float
    acted: str
    predicted: float = math.nan


class Method(Protocol):
    """A module that holds a method."""

    def learn(self, task: Task, seed: int, episodes: int) -> Iterator[Episode]:
        """Yield `episodes` episodes of `task`."""


@dataclass(frozen=True, eq=False, slots=True)
class Rollout:
    """What was seen in one episode: its transitions, the sum of rewards, and whether it failed."""

    transitions: list[Transition]
    reward: float
    failed: bool

    def episode(self, acted: str, predicted: float = math.nan) -> Episode:
        """Return its summary."""
        return Episode(len(self.transitions), self.reward, acted, predicted)


def episode_seed(seed: int, number: int) -> int:
    """Return the seed of the start of episode `number` (from 0)."""
    return EPISODE_SEEDS * seed + number


def roll_out(
    task: Task, seed: int, controller: Controller, learn: Callable[[Transition], Any] | None = None
) -> Rollout:
    """Run one episode from the start of `seed`; `learn` is shown every transition at once."""
    info, x = task.info, task.reset(seed)
    transitions: list[Transition] = []
    total, failed = 0.0, False
    for t in range(info.steps):
        u = controller(t, x)
        step = task.step(u)
        transitions.append(Transition(info.dt * t, x, u, step.x))
        total, x, failed = total + step.reward, step.x, step.failed
        if learn is not None:
            learn(transitions[-1])
        if failed:
            break
    return Rollout(transitions, total, failed)


def random_commands(task: Task, rng: Any, hold: int = 1, share: float = 1.0) -> Array:
    """Return commands (steps, n), uniform in `share` of their range about zero, each held for `hold` periods."""
    info = task.info
    drawn: Array = rng.uniform(share * info.u_lower, share * info.u_upper, (math.ceil(info.steps / hold), info.n))
    return drawn.repeat(hold, axis=0)[: info.steps]
