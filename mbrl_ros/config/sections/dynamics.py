"""Online dynamics: the estimator, its consistency, the delay of commands and the camera features."""

from __future__ import annotations

import dataclasses

from ...exceptions import ConfigurationError
from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class DynamicsSettings(Section):
    """The estimator of the local dynamics."""

    estimator: str = setting(
        "refit",
        "refit: the full posterior; output_error: only the offset of the prior is corrected; frozen: "
        "learning stops after freeze_after; known: the prior as it is, of which nothing is learned but the noise",
        choices=("refit", "output_error", "frozen", "known"),
    )
    prior: str = setting(
        "integrator", "model before any data: a prior of mbrl_ros/dynamics/priors or the name of a plug-in"
    )
    forgetting: float = setting(
        0.985, "weight of the past data per tick; the prior is not forgotten", low=0.5, high=1.0, dynamic=True
    )
    freeze_after: float = setting(4.0, "time after which the estimator frozen stops learning", unit="s", low=0.0)
    noise: float = setting(
        0.015, "expected standard deviation of the noise in the velocity change of one tick", unit="rad/s", low=1e-9
    )
    noise_count: float = setting(20.0, "number of observations that this expectation counts for", low=1.0)
    noise_forgetting: float = setting(
        0.98, "weight of the past innovations per tick in the estimate of the noise", low=0.5, high=1.0
    )
    tails: float = setting(
        0.0,
        "degrees of freedom of Student's t (4 is usual), by which a sample weighs less whose innovation is beyond its "
        "95 % bound; 0: every sample weighs the same. For states whose outliers the velocity gate does not find; a "
        "change of load is learned later with it",
        low=0.0,
        high=1e6,
    )
    surprise_forgetting: float = setting(
        0.9, "weight of the past data per tick while the innovations stay outside their bounds", low=0.1, high=1.0
    )
    prior_period: float = setting(
        0.05,
        "interval at which the input gain of the prior is computed for the present pose",
        unit="s",
        low=0.0,
        high=60.0,
    )
    gate: float = setting(
        6.0,
        "a measured velocity is rejected if it is further than this both from the model's prediction and "
        "from the velocity that the positions show; 0: never",
        unit="standard deviations",
        low=0.0,
    )


@dataclasses.dataclass(frozen=True)
class ConsistencySettings(Section):
    """Consistency of the model with the data, and what it limits (dynamics/consistency.py)."""

    smoothing: float = setting(
        0.02,
        "time constant over which the normalised innovation squared (NIS) is averaged",
        unit="s",
        low=1e-3,
        high=10.0,
    )
    warning: float = setting(
        5.0, "mean NIS, as a multiple of its 95 % bound, at which the consistency level falls below 1", low=0.2
    )
    inconsistent: float = setting(
        50.0, "mean NIS, as a multiple of its 95 % bound, at which the consistency level is 0", low=1.0
    )
    prior_floor: float = setting(0.3, "weight of the prior at consistency level 0", low=1e-3, high=1.0)
    step_floor: float = setting(
        0.1, "KL bound of a plan at consistency level 0, as a fraction of planner.kl_bound", low=1e-3, high=1.0
    )
    command_floor: float = setting(
        0.3, "command limit at consistency level 0, as a fraction of the normal one", low=0.0, high=1.0
    )
    hold_after: float = setting(
        0.2, "time at consistency level 0 after which the hold controller takes over", unit="s", low=0.0
    )
    release_after: float = setting(
        0.5, "time above consistency level 1/2 after which the controller takes over again", unit="s", low=0.0
    )

    def validate(self) -> None:
        """Check what concerns more than one setting."""
        if self.inconsistent <= self.warning:
            raise ConfigurationError(
                f"must be above warning ({self.warning:g}), got {self.inconsistent:g}",
                key="inconsistent",
                value=self.inconsistent,
            )


@dataclasses.dataclass(frozen=True)
class DelaySettings(Section):
    """The estimation of the delay from measurement to motion (dynamics/delay_estimation.py)."""

    longest: int = setting(8, "longest delay that is considered", unit="ticks", low=1, high=30)
    period: float = setting(
        0.005,
        "shortest time over which a change of the velocities is compared with the commands; at higher rates several "
        "ticks count as one tick of the other settings here",
        unit="s",
        low=0.0,
        high=0.1,
    )
    memory: float = setting(2.0, "time constant of the exponential forgetting", unit="s", low=0.1, high=60.0)
    fewest: int = setting(
        50, "least number of ticks for an estimate; the memory is at least twice as long", unit="ticks", low=20
    )
    confidence: float = setting(
        0.95, "posterior probability within a quarter of a tick above which an estimate counts", low=0.5, high=0.9999
    )
    explained: float = setting(
        0.25,
        "fraction of the variance of the accelerations (per joint, geometric mean) that the commands must"
        " explain for an estimate to count",
        low=0.0,
        high=1.0,
    )
    tolerance: float = setting(
        0.4,
        "difference between the estimate and the delay in use above which it is reported and compensated",
        unit="ticks",
        low=0.1,
    )
    interval: float = setting(0.1, "time between two estimates", unit="s", low=0.01)
    uncertainty: float = setting(
        0.02,
        "largest standard deviation of the time at which a command acts, also before the first estimate; "
        "samples are weighted by it; 0: the time is known exactly",
        unit="s",
        low=0.0,
        high=1.0,
    )
    least_uncertainty: float = setting(
        0.0005, "smallest standard deviation of that time, however certain the estimate is", unit="s", low=0.0, high=1.0
    )
    adapt: bool = setting(
        True, "compensate the estimated delay where it differs from control.delay; false: only report it"
    )


@dataclasses.dataclass(frozen=True)
class FeatureSettings(Section):
    """Camera features in the state."""

    points: int = setting(
        0,
        "number of image points that are tracked; each adds two coordinates and their velocities to the state",
        low=0,
        high=100,
    )
    forgetting: float = setting(0.95, "weight of the past data per frame", low=0.1, high=1.0)
    noise: float = setting(0.004, "standard deviation of the noise of a coordinate", unit="image half-widths", low=1e-9)
    jacobian_spread: float = setting(
        2.0, "prior standard deviation of the entries of the image Jacobian G", unit="image half-widths/rad", low=1e-6
    )
    min_confidence: float = setting(0.5, "points with a lower confidence are not used", low=0.0, high=1.0)
    baseline: float = setting(0.1, "time between the two frames of a pair", unit="s", low=0.0)
    timeout: float = setting(0.5, "frames older than this are not used", unit="s", low=0.0)
    jump: float = setting(
        0.03,
        "motion between two frames that the model does not explain, above which G is estimated anew",
        unit="image half-widths",
        low=1e-6,
    )
    known: float = setting(
        0.85, "explained fraction of the prior variance of G above which G counts as known", low=0.0, high=1.0
    )
