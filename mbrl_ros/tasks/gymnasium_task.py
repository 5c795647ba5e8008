"""What tasks from Gymnasium have in common: an environment whose state is [qpos; qvel] (Towers et al., 2024).

Gymnasium is an extra (`learn`); it is imported where a task is built.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ..types import Array, StateVector


class GymnasiumBody:
    """One MuJoCo environment of Gymnasium, driven through its own reset and step."""

    def __init__(self, name: str, **options: Any):
        importlib.import_module("mujoco")  # Gymnasium would raise an error of its own kind
        import gymnasium

        self._env = gymnasium.make(name, **options)
        self._body: Any = self._env.unwrapped

    @property
    def dt(self) -> float:
        """The period of a step [s]."""
        return float(self._body.dt)

    @property
    def state(self) -> StateVector:
        """The state [qpos; qvel]."""
        return np.concatenate([self._body.data.qpos, self._body.data.qvel])

    @property
    def limits(self) -> tuple[Array, Array]:
        """The least and the greatest action of each actuator."""
        space: Any = self._env.action_space
        return np.array(space.low, dtype=np.float64), np.array(space.high, dtype=np.float64)

    def reset(self, seed: int) -> StateVector:
        """Begin an episode; return its first state."""
        self._env.reset(seed=seed)
        return self.state

    def step(self, action: Array) -> tuple[StateVector, float, bool]:
        """Return the next state, the reward, and whether the environment ended the episode by failure."""
        _, reward, terminated, _, _ = self._env.step(action.astype(np.float32))
        return self.state, float(reward), bool(terminated)
