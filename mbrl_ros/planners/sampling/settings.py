"""The settings that the planners which sample have in common, each under its own name: `planner.cem.rollouts`."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...config.section import Section, setting


def std_setting(default: float) -> Any:
    """Make the setting `std` of a planner."""
    return setting(
        default,
        "standard deviation of the commands that are tried, in half ranges of the command",
        low=1e-9,
        high=10.0,
    )


def least_noise_setting(default: float) -> Any:
    """Make the setting `least_noise` of a planner."""
    return setting(
        default,
        "standard deviation of the last sample of a round relative to that of the first; the others lie between, by"
        " equal factors, so that some samples look far and some near",
        low=1e-12,
        high=1.0,
    )


@dataclasses.dataclass(frozen=True)
class SamplingSettings(Section):
    """What every one of them has. Some have other defaults of `std` and `least_noise`."""

    rollouts: int = setting(500, "command sequences that are rolled out in a tick, in all", low=4, high=1_000_000)
    iterations: int = setting(4, "rounds that the rollouts of a tick are divided into", low=1, high=1000)
    std: float = std_setting(0.3)
    least_noise: float = least_noise_setting(1e-2)
    noise_exponent: float = setting(
        2.0, "beta of the noise over the horizon, whose power falls as frequency^-beta; 0: white", low=0.0, high=10.0
    )
    alike: bool = setting(
        True,
        "share the noise among the commands so that each changes the cost alike, by the curvature along the last plan;"
        " false: by their half ranges",
    )
    nonlinear: bool = setting(
        False, "plan through the nonlinear prior itself, as the planner ddp does, not through its linearization"
    )
    threads: int = setting(1, "threads that roll out, with the compiled kernel", low=1, high=1024)
    seed: int = setting(0, "seed of the noise", low=0, high=2**31 - 1)
