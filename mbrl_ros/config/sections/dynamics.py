"""Online dynamics: the estimator, its consistency, the delay of commands and the camera features."""

from __future__ import annotations

import dataclasses

from ...exceptions import ConfigurationError
from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class DynamicsSettings(Section):
    """Online local dynamics."""

    estimator: str = setting(
        "refit",
        "refit: the full posterior; output_error: correct only the prior's offset; "
        "frozen: stop learning after freeze_after",
        choices=("refit", "output_error", "frozen"),
    )
    prior: str = setting("integrator", "what is believed before any data: a file of mbrl_ros/dynamics/priors")
    forgetting: float = setting(
        0.985, "weight of the past evidence per tick; the prior is never forgotten", low=0.5, high=1.0, dynamic=True
    )
    freeze_after: float = setting(4.0, "the frozen estimator stops learning at this time", unit="s", low=0.0)
    noise: float = setting(0.015, "believed standard deviation of one tick's velocity change", unit="rad/s", low=1e-9)
    noise_count: float = setting(20.0, "observations the believed noise is worth", low=1.0)
    noise_forgetting: float = setting(
        0.98, "weight of past innovations per tick in the noise estimate", low=0.5, high=1.0
    )
    surprise_forgetting: float = setting(
        0.9, "forgetting while the innovations stay outside their bounds", low=0.1, high=1.0
    )
    prior_period: float = setting(
        0.05, "the prior's input gain is taken for the present pose once in this time", unit="s", low=0.0, high=60.0
    )
    gate: float = setting(
        6.0,
        "a measured velocity further than this from what the model predicts and from what the positions "
        "say is refused; 0: none is",
        unit="standard deviations",
        low=0.0,
    )


@dataclasses.dataclass(frozen=True)
class ConsistencySettings(Section):
    """From innovations to caution (dynamics/consistency.py)."""

    smoothing: float = setting(0.02, "time constant over which innovations are averaged", unit="s", low=1e-3, high=10.0)
    warning: float = setting(5.0, "mean NIS over its 95 % bound at which the warning level begins", low=0.2)
    inconsistent: float = setting(50.0, "... and at which the model counts as lost", low=1.0)
    prior_floor: float = setting(0.3, "smallest weight of the prior", low=1e-3, high=1.0)
    step_floor: float = setting(0.1, "smallest KL step over the normal one", low=1e-3, high=1.0)
    command_floor: float = setting(0.3, "smallest command limit over the normal one", low=0.0, high=1.0)
    hold_after: float = setting(0.2, "time at level 0 after which the hold controller takes over", unit="s", low=0.0)
    release_after: float = setting(0.5, "time above level 1/2 after which it hands back", unit="s", low=0.0)

    def validate(self) -> None:
        if self.inconsistent <= self.warning:
            raise ConfigurationError(
                f"must be above warning ({self.warning:g}), got {self.inconsistent:g}",
                key="inconsistent",
                value=self.inconsistent,
            )


@dataclasses.dataclass(frozen=True)
class DelaySettings(Section):
    """Estimation of the total delay (dynamics/delay_estimation.py)."""

    longest: int = setting(8, "longest delay considered", unit="ticks", low=1, high=30)
    memory: float = setting(2.0, "time constant of forgetting", unit="s", low=0.1, high=60.0)
    fewest: int = setting(
        50, "ticks behind an estimate, at least; the memory is at least twice as long", unit="ticks", low=20
    )
    confidence: float = setting(
        0.95, "posterior probability within a quarter tick above which an estimate counts", low=0.5, high=0.9999
    )
    explained: float = setting(
        0.25,
        "share of the accelerations' variance (per joint, geometric mean) that commands must "
        "explain for an estimate to count",
        low=0.0,
        high=1.0,
    )
    tolerance: float = setting(
        0.4, "difference to the delay in use that is reported and acted on", unit="ticks", low=0.1
    )
    interval: float = setting(0.1, "time between two estimates", unit="s", low=0.01)
    uncertainty: float = setting(
        0.01,
        "standard deviation of the time at which a command acts, before it is estimated and at "
        "most; what is learned from is weighted by it; 0: it is known exactly",
        unit="s",
        low=0.0,
        high=1.0,
    )
    least_uncertainty: float = setting(
        0.0005, "... and at least, however sure the estimate is", unit="s", low=0.0, high=1.0
    )
    adapt: bool = setting(
        True, "compensate the estimated delay where it differs from control.delay; false: only report it"
    )


@dataclasses.dataclass(frozen=True)
class FeatureSettings(Section):
    """Camera features in the state."""

    points: int = setting(
        0, "image points tracked; each adds two coordinates and their velocities to the state", low=0, high=100
    )
    forgetting: float = setting(0.95, "weight of the past evidence per frame", low=0.1, high=1.0)
    noise: float = setting(0.004, "standard deviation of a coordinate", unit="image half-widths", low=1e-9)
    jacobian_spread: float = setting(
        2.0, "prior standard deviation of G's entries", unit="image half-widths/rad", low=1e-6
    )
    min_confidence: float = setting(0.5, "points below are not seen", low=0.0, high=1.0)
    baseline: float = setting(0.1, "time between the two frames of a pair", unit="s", low=0.0)
    timeout: float = setting(0.5, "frames older than this are not used", unit="s", low=0.0)
    jump: float = setting(
        0.03, "unexplained motion between two frames that restarts G", unit="image half-widths", low=1e-6
    )
    known: float = setting(
        0.85, "explained share of the prior variance of G above which G counts as known", low=0.0, high=1.0
    )
