"""Numbers of a visual run, from the true image of the marker.

The error is the distance of the marker to its target in the image, over the image's width. It has converged at the
first time from which on it stays below IMAGE_REACHED until the next event (the bump; after it, the occlusion).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...types import Array
from ..metrics import Log, lasted, settled
from .scenario import VisualScenario

IMAGE_REACHED, IMAGE_AT_REST = 0.02, 0.005  # of the image's width
CONVERGED_IN, RECOVERED_IN = 4.0, 2.0  # [s]
IMAGE_REST_WINDOW, SHOWN_AGAIN = 0.5, 0.5  # [s] before an event; after the marker is shown again


def error_of(scenario: VisualScenario, truth: Log) -> Array:
    """Return the error (T,) of every tick."""
    error: Array = np.linalg.norm(truth["features"][:, :2] - scenario.slots[0].value, axis=1) / 2.0
    return error


def visual_numbers(scenario: VisualScenario, truth: Log) -> dict[str, float | None]:
    """Return converge_s, final_error_fraction, bump_recover_s and occlusion_max_error; None where not reached.

    converge_s counts from when the target was given, bump_recover_s from the bump; final_error_fraction is the larger
    of the medians over the last IMAGE_REST_WINDOW seconds before the bump, and of the run; occlusion_max_error is the
    largest error from when the marker is hidden to SHOWN_AGAIN after it is shown again.
    """
    stamps, error = truth["stamp"], error_of(scenario, truth)
    start, end = scenario.slots[0].start, scenario.duration

    def between(begin: float, until: float) -> tuple[Array, Array]:
        during = (stamps >= begin - 1e-9) & (stamps < until - 1e-9)
        return stamps[during], error[during]

    def reached(begin: float, until: float) -> float | None:
        if not lasted(until, truth):
            return None
        at = settled(*between(begin, until), IMAGE_REACHED)
        return None if at is None else at - begin

    rests = [
        float(np.median(between(until - IMAGE_REST_WINDOW, until)[1]))
        for until in (scenario.bump, end)
        if lasted(until, truth)
    ]
    hidden = between(scenario.hidden[0], scenario.hidden[1] + SHOWN_AGAIN)[1]
    return {
        "converge_s": reached(start, scenario.bump),
        "final_error_fraction": max(rests) if len(rests) == 2 else None,
        "bump_recover_s": reached(scenario.bump, scenario.hidden[0]),
        "occlusion_max_error": float(hidden.max()) if lasted(scenario.hidden[1] + SHOWN_AGAIN, truth) else None,
    }


def lines(visual: dict[str, Any]) -> Iterator[str]:
    """Return a line for this package's method, and one for each of the others."""
    for name, numbers in {"own": visual, **visual["methods"]}.items():
        times = [_spelled(numbers[key], " s") for key in ("converge_s", "bump_recover_s")]
        fractions = [
            _spelled(None if numbers[key] is None else 100.0 * numbers[key], " %")
            for key in ("final_error_fraction", "occlusion_max_error")
        ]
        yield (
            f"  marker, {name}: within {100.0 * IMAGE_REACHED:g} % of the image's width after {times[0]}, again after "
            f"the bump {times[1]}; at rest {fractions[0]}, hidden at most {fractions[1]}"
        )


def _spelled(value: float | None, unit: str) -> str:
    return "never" if value is None else f"{value:.2f}{unit}"


def missed(numbers: dict[str, Any]) -> str:
    """Return in words which number does not meet its requirement; '' if all do."""
    bounds = {
        "converge_s": (
            CONVERGED_IN,
            f"the marker is not within {100.0 * IMAGE_REACHED:g} % of the image's width after",
        ),
        "final_error_fraction": (IMAGE_AT_REST, "the error at rest, over the image's width, is above"),
        "bump_recover_s": (RECOVERED_IN, f"after the bump it is not back within {100.0 * IMAGE_REACHED:g} % after"),
    }
    for key, (bound, what) in bounds.items():
        value = numbers[key]
        if value is None or value > bound:
            found = "never reached" if value is None else f"{value:.3g}"
            return f"{what} {bound:g}{' s' if key.endswith('_s') else ''}: {found}"
    return ""
