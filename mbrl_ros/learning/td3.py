r"""The method `td3`: no model at all, a policy and its values from the transitions alone, by the library skrl.

    y = r + discount min_i Q_i'(o', pi'(o') + noise),    Q_i <- argmin E (Q_i - y)^2,    pi <- argmax E Q_1(o, pi(o))

(twin delayed deep deterministic policy gradient: Fujimoto, van Hoof & Meger, ICML 2018). It is the row that the methods
with a model are compared with, at the same number of environment steps. o is what a policy sees of a state
(`TaskInfo.observe`, else x itself), whitened by running means; u = middle + half range pi(o) + exploration. The first
`random_steps` commands are uniform. An episode's return is that of the commands as they were, with exploration.

skrl (extra `model-free`) is imported where the method begins; it draws from the global generators of numpy and random,
which are seeded here: two seeds are learned one after the other, or in processes of their own.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.section import Section, setting
from ..tasks.base import Task, TaskInfo
from ..types import Array, CommandVector, StateVector
from .base import Episode, episode_seed


@dataclass(frozen=True)
class Settings(Section):
    """Settings of the method `td3`; the defaults are those of the paper but for the size of the networks."""

    hidden: int = setting(64, "units of each of the two hidden layers", low=1, high=1024)
    batch: int = setting(128, "transitions of an update", low=1, high=4096)
    updates: int = setting(1, "updates for each step of the environment", low=1, high=100)
    random_steps: int = setting(200, "steps with uniform commands before the policy acts and is updated", low=1)
    rate: float = setting(1e-3, "step size of Adam", low=1e-6, high=0.1)
    discount: float = setting(0.99, "of a reward one step later", low=0.0, high=1.0)
    exploration: float = setting(
        0.1, "standard deviation of what is added to a command, in half ranges", low=0.0, high=1.0
    )


def observer(info: TaskInfo) -> Callable[[StateVector], Array]:
    """Return the function x (2n,) -> o of what a policy sees."""
    observe = info.observe
    if observe is None:
        return lambda x: x
    return lambda x: np.array(observe(x))[:, 0]


class Agent:
    """skrl's TD3 of one seed for observations (size,) and `commands` commands in [-1, 1]."""

    def __init__(self, size: int, commands: int, seed: int, most: int, settings: Settings):
        for module in ("skrl", "jax"):
            importlib.import_module(module)
        logging.getLogger("skrl").setLevel(logging.ERROR)  # it warns where there is no GPU
        import jax
        from gymnasium.spaces import Box
        from skrl.agents.jax.td3 import TD3, TD3_CFG
        from skrl.memories.jax import RandomMemory
        from skrl.resources.noises.jax import GaussianNoise
        from skrl.resources.preprocessors.jax import RunningStandardScaler
        from skrl.utils import set_seed

        from .td3_networks import networks

        set_seed(seed)
        device = jax.devices("cpu")[0]
        seen, acted = Box(-np.inf, np.inf, (size,), np.float32), Box(-1.0, 1.0, (commands,), np.float32)
        acted.seed(seed)
        models = networks(seen, acted, device, settings.hidden)
        smooth = {"mean": 0.0, "std": 0.2, "device": device}
        configuration = TD3_CFG(
            gradient_steps=settings.updates,
            batch_size=settings.batch,
            discount_factor=settings.discount,
            learning_rate=(settings.rate, settings.rate),
            random_timesteps=settings.random_steps,
            learning_starts=settings.random_steps,
            exploration_noise=GaussianNoise,
            exploration_noise_kwargs={"mean": 0.0, "std": settings.exploration, "device": device},
            smooth_regularization_noise=GaussianNoise,
            smooth_regularization_noise_kwargs=smooth,
            observation_preprocessor=RunningStandardScaler,
            observation_preprocessor_kwargs={"size": seen, "device": device},
            experiment={"write_interval": 0, "checkpoint_interval": 0},
        )
        memory = RandomMemory(memory_size=most, num_envs=1, device=device, replacement=True)
        self._agent: Any = TD3(
            models=models,
            memory=memory,
            observation_space=seen,
            action_space=acted,
            device=device,
            cfg=configuration,
        )
        self._agent.init()
        self._agent.enable_training_mode(True)
        self._most, self._step = most, 0

    def act(self, o: Array) -> Array:
        """Return a command (m,) in [-1, 1] at o, with exploration."""
        self._agent.pre_interaction(timestep=self._step, timesteps=self._most)
        action, _ = self._agent.act(_row(o), None, timestep=self._step, timesteps=self._most)
        found: Array = np.asarray(action, dtype=np.float64)[0]
        return found

    def learn(self, o: Array, action: Array, reward: float, o_next: Array, failed: bool, last: bool) -> None:
        """Take in one transition, and improve once enough of them are known."""
        self._agent.record_transition(
            observations=_row(o),
            states=None,
            actions=_row(action),
            rewards=np.full((1, 1), reward, np.float32),
            next_observations=_row(o_next),
            next_states=None,
            terminated=np.full((1, 1), failed, np.int8),
            truncated=np.full((1, 1), last and not failed, np.int8),
            infos={},
            timestep=self._step,
            timesteps=self._most,
        )
        self._agent.post_interaction(timestep=self._step, timesteps=self._most)
        self._step += 1


def _row(values: Array) -> Any:
    return np.asarray(values, dtype=np.float32)[None]


def learn(task: Task, seed: int, episodes: int, settings: Settings | None = None) -> Iterator[Episode]:
    """See `Method`; ModuleNotFoundError without skrl."""
    settings = settings or Settings()
    info = task.info
    active = np.flatnonzero(info.u_upper > info.u_lower)
    middle, half = 0.5 * (info.u_upper + info.u_lower), 0.5 * (info.u_upper - info.u_lower)
    observe = observer(info)
    agent: Agent | None = None
    for number in range(episodes):
        x = task.reset(episode_seed(seed, number))
        o = observe(x)
        agent = agent or Agent(len(o), len(active), seed, episodes * info.steps, settings)
        random = agent._step < settings.random_steps
        total, steps, failed = 0.0, 0, False
        while steps < info.steps and not failed:
            action = agent.act(o)
            u: CommandVector = middle.copy()
            u[active] += half[active] * action
            step = task.step(u)
            total, steps, failed = total + step.reward, steps + 1, step.failed
            o_next = observe(step.x)
            agent.learn(o, action, step.reward, o_next, failed, steps == info.steps)
            o = o_next
        yield Episode(steps, total, "random" if random else "policy")
