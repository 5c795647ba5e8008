"""The method `gps`: trajectory-centric guided policy search, many local controllers that teach one policy.

An iteration is `samples` episodes from each of `conditions` initial states, under the local controllers, and then one
episode under the policy from a start that is not taught, which shows how far the policy is. Between the two,
guided/search.py fits and improves. Every episode is a trial, and what it showed is kept for the mixture of the local
dynamics. When the episodes that are left are too few for another iteration, the policy acts in them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ..tasks.base import Task
from .base import Episode, Rollout, episode_seed, roll_out
from .guided.search import Condition, GuidedSearch
from .guided.settings import GuidedSettings


@dataclasses.dataclass(frozen=True)
class Settings(GuidedSettings):
    """Those of guided policy search."""


class GuidedLearner:
    """A task and its search; `search.act_policy` is the policy so far."""

    def __init__(self, task: Task, seed: int, settings: Settings | None = None):
        self.task, self.seed, self.settings = task, seed, settings or Settings()
        self.search = GuidedSearch(task.info, self.settings, seed)
        starts = [task.reset(episode_seed(seed, i)).copy() for i in range(self.settings.conditions)]
        self.conditions = [self.search.begin(x0) for x0 in starts]

    def episodes(self, count: int) -> Iterator[Episode]:
        """Yield `count` episodes."""
        taught = [(i, c) for i, c in enumerate(self.conditions) for _ in range(self.settings.samples)]
        number = 0
        while count - number > len(taught) or number == 0:
            for i, condition in taught[: count - number]:
                yield self._taught(i, condition).episode("local")
                number += 1
            if number >= count:
                return
            self.search.iterate()
            yield self._free(number).episode("policy")
            number += 1
        for late in range(number, count):
            yield self._free(late).episode("policy")

    def _taught(self, i: int, condition: Condition) -> Rollout:
        """Run one episode from initial state number i under its local controller."""
        start = episode_seed(self.seed, i)
        rollout = roll_out(self.task, start, lambda t, x: self.search.act(condition, t, x))
        condition.rollouts.append(rollout)
        self.search.add(rollout)
        return rollout

    def _free(self, number: int) -> Rollout:
        """Run episode `number` under the policy, from a start that is not taught unless there are too few numbers."""
        rollout = roll_out(
            self.task, episode_seed(self.seed, max(number, len(self.conditions))), self.search.act_policy
        )
        self.search.add(rollout)
        return rollout


def learn(task: Task, seed: int, episodes: int, settings: Settings | None = None) -> Iterator[Episode]:
    """See `Method`; settings: None: the defaults."""
    return GuidedLearner(task, seed, settings).episodes(episodes)
