"""The networks of `td3` in flax, as skrl takes them: a policy and two values, each with its slow copy."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from skrl.models.jax import DeterministicMixin, Model


class Policy(DeterministicMixin, Model):  # type: ignore[misc]  # skrl has no types
    """pi(o) in [-1, 1] by two hidden layers."""

    hidden: int = 64

    def __init__(self, observation_space: Any, action_space: Any, device: Any, hidden: int, **kwargs: Any):
        Model.__init__(self, observation_space=observation_space, action_space=action_space, device=device, **kwargs)
        self.hidden = hidden
        DeterministicMixin.__init__(self, clip_actions=False)

    @nn.compact  # type: ignore[untyped-decorator]  # flax is not there where types are checked
    def __call__(self, inputs: dict[str, Any], role: str) -> Any:
        """Return pi(o)."""
        h = inputs["observations"]
        for _ in range(2):
            h = nn.relu(nn.Dense(self.hidden)(h))
        return nn.tanh(nn.Dense(self.num_actions)(h)), {}


class Value(DeterministicMixin, Model):  # type: ignore[misc]  # skrl has no types
    """Q(o, a) by two hidden layers."""

    hidden: int = 64

    def __init__(self, observation_space: Any, action_space: Any, device: Any, hidden: int, **kwargs: Any):
        Model.__init__(self, observation_space=observation_space, action_space=action_space, device=device, **kwargs)
        self.hidden = hidden
        DeterministicMixin.__init__(self, clip_actions=False)

    @nn.compact  # type: ignore[untyped-decorator]  # flax is not there where types are checked
    def __call__(self, inputs: dict[str, Any], role: str) -> Any:
        """Return Q(o, a)."""
        h = jnp.concatenate([inputs["observations"], inputs["taken_actions"]], axis=-1)
        for _ in range(2):
            h = nn.relu(nn.Dense(self.hidden)(h))
        return nn.Dense(1)(h), {}


def networks(seen: Any, acted: Any, device: Any, hidden: int) -> dict[str, Any]:
    """Return skrl's models by their roles for its spaces of observations and commands."""
    roles: dict[str, type[Policy] | type[Value]] = {"policy": Policy, "target_policy": Policy}
    roles |= dict.fromkeys(("critic_1", "critic_2", "target_critic_1", "target_critic_2"), Value)
    models = {role: kind(seen, acted, device, hidden) for role, kind in roles.items()}
    for role, model in models.items():
        model.init_state_dict(role=role)
    return models
