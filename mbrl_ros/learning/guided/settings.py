"""The settings of guided policy search."""

from __future__ import annotations

import dataclasses

from ...config.section import Section, setting


@dataclasses.dataclass(frozen=True)
class GuidedSettings(Section):
    """Of the local controllers, of their dynamics, and of the policy."""

    form: str = setting(
        "kl",
        "how the local controllers are kept near the policy: a bound of the divergence (kl), or multipliers of "
        "log pi(u|x) in the cost, one of each stage, which an iteration moves once (cost)",
        choices=("kl", "cost"),
    )
    conditions: int = setting(12, "initial states that are taught", low=1, high=200)
    samples: int = setting(1, "episodes from each of them in an iteration", low=1, high=100)
    kl_step: float = setting(
        4.0,
        "kl: divergence from the policy in the first iteration, at most; cost: that which the multipliers aim at",
        unit="nats per stage",
        low=1e-6,
        high=1e6,
    )
    weight_start: float = setting(1.0, "cost: the multipliers of the first iteration", low=0.0, high=1e6)
    weight_rate: float = setting(
        0.2, "cost: by how much a multiplier moves with the divergence", unit="1/nat", low=0.0, high=1e6
    )
    temperature: float = setting(
        0.03, "weight of the entropy of the local controllers, in units of the cost", low=1e-9, high=1e6
    )
    exploration: float = setting(
        0.2, "standard deviation of the first commands, in half ranges about their middle", low=1e-6, high=10.0
    )
    prior_count: float = setting(1.0, "weight of the mixture in the local dynamics", unit="samples", low=1e-6)
    components: int = setting(0, "of the mixture; 0: one of 200 transitions, at most 12", low=0, high=256)
    policy_hidden: int = setting(16, "units of the policy's hidden layer; 0: a linear policy", low=0, high=1024)
    policy_iterations: int = setting(500, "steps of L-BFGS of a fit of the policy, at most", low=1, high=100_000)
    model_rollouts: int = setting(
        4, "trajectories of each controller in its local dynamics that the policy is fitted to", low=0, high=1000
    )
    start_spread: float = setting(
        0.5,
        "standard deviation of the starts of these trajectories about the taught one, in standard deviations of the "
        "taught ones",
        low=0.0,
        high=10.0,
    )
    ridge: float = setting(1e-4, "weight of the squared parameters of the policy", low=0.0, high=1e6)
