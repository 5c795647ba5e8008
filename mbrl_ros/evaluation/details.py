"""What one estimator with one prior shows on a recording besides its scores.

Predictions over several horizons with intervals, the posterior of the input gain, where the recording changes and how
soon the prediction is as good as before, and how far the one-step errors are from the independent normal noise that the
model's own intervals assume.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..data import Recording
from ..dynamics import OnlineDynamics
from ..types import Array, LinearGaussianDynamics
from .change import Change, changes
from .horizons import Horizon, LongPredictions
from .input_gain import GainLog, InputGain
from .scores import SCORE_WARM_UP, Trace, evaluate


@dataclass(frozen=True, eq=False, slots=True)
class Details:
    """The details of one `trace`; what came in the first `warm_up` seconds is not counted.

    kurtosis and autocorrelation, (n,): fourth moment over the squared second one (3: normal) and correlation of
    neighbors (0: independent) of the one-step errors over their predicted standard deviation.
    """

    trace: Trace
    horizons: list[Horizon]
    gain: InputGain | None
    changes: list[Change]
    kurtosis: Array
    autocorrelation: Array
    joints: tuple[str, ...]
    warm_up: float

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "horizons": {str(horizon.steps): horizon.to_json() for horizon in self.horizons},
            "input_gain": self.gain.to_json(self.joints, self.warm_up) if self.gain else None,
            "changes": [asdict(change) for change in self.changes],
            "kurtosis": float(np.median(self.kurtosis)),
            "autocorrelation": float(np.median(self.autocorrelation)),
        }

    def text(self, period: float) -> str:
        """Describe everything for the user."""
        lines = [
            f"{'steps':>7}{'time':>10}{'rmse q':>11}{'rmse qd':>11}{'95 % interval holds: q':>25}{'qd':>7}"
            f"{'by the model alone: q':>24}{'qd':>7}"
        ]
        for horizon in self.horizons:
            s = horizon.to_json()
            lines.append(
                f"{horizon.steps:7d}{1e3 * horizon.steps * period:7.0f} ms{s['rmse_q']:11.3g}{s['rmse_qd']:11.3g}"
                f"{s['coverage_95_q']:25.3f}{s['coverage_95_qd']:7.3f}{s['coverage_95_q_model']:24.3f}"
                f"{s['coverage_95_qd_model']:7.3f}"
            )
        lines.append(
            f"one-step errors: kurtosis {np.median(self.kurtosis):.1f} (normal: 3), correlation of neighbors "
            f"{np.median(self.autocorrelation):+.2f} (independent: 0), medians of the joints"
        )
        if self.gain:
            lines.append(
                "input gain, acceleration per unit of u (median over time; learned: share of the prior's variance "
                "removed)"
            )
            lines += [
                f"  {joint:<24}{g['mean']:11.3g}  95 % in [{g['lower']:.3g}, {g['upper']:.3g}], learned "
                f"{100 * g['learned']:.0f} %, sign certain in {100 * g['sign_certain']:.0f} % of the ticks"
                for joint, g in self.gain.to_json(self.joints, self.warm_up).items()
            ]
        lines.append("largest changes, by the one-step errors" if self.changes else "no change in the one-step errors")
        return "\n".join([*lines, *(change.line() for change in self.changes)])


def detailed(recording: Recording, dynamics: OnlineDynamics, u_scale: Array, change_at: float | None = None) -> Details:
    """Run `dynamics` through `recording` and return the details; see `Details`.

    Parameters
    ----------
    u_scale
        (n,) by which the dynamics divide the commands.
    change_at
        When a change of the load is known to be [s]; None: it is looked for.

    Raises
    ------
    DataError : too little of the recording is before or after `change_at`
    """
    long, gains = LongPredictions(recording, dynamics), GainLog(dynamics, u_scale)

    def watch(k: int, model: LinearGaussianDynamics) -> None:
        long(k, model)
        if recording.u is not None:
            gains(float(recording.stamps[k]), model)

    trace = evaluate(recording, dynamics, watch)
    warm_up = SCORE_WARM_UP if (trace.stamps >= SCORE_WARM_UP).sum() >= 10 else 0.0
    scored = trace.scored()
    z = scored.error / scored.std
    z -= z.mean(axis=0)
    square = np.maximum((z**2).mean(axis=0), 1e-300)
    return Details(
        trace,
        [horizon.after(warm_up) for horizon in long.horizons() if horizon.after(warm_up).stamps.size],
        gains.gain(),
        changes(recording, dynamics, trace, change_at, warm_up),
        (z**4).mean(axis=0) / square**2,
        (z[1:] * z[:-1]).mean(axis=0) / square,
        recording.joints,
        warm_up,
    )
