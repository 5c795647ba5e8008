"""The summary of a replay: the contents of summary.json."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .outputs import ReplayOutputs
from .prediction import nothing_scored


def summarized(
    outputs: ReplayOutputs,
    *,
    planned: bool,
    messages: int,
    rejected: Counter[str],
    missed: int,
    restarts: int,
    controller_errors: int,
    covered: float,
    wall: float,
    cpu: float,
) -> dict[str, Any]:
    """Return the summary; nothing in it but realtime_factor, wall_s and cpu_s depends on the machine's speed.

    Parameters
    ----------
    outputs
        of the replay.
    planned
        whether commands were computed.
    messages
        how many were read.
    rejected
        {reason: how many inputs were refused}.
    missed, restarts, controller_errors
        counts of ticks, new time lines and errors of the controller.
    covered
        what time the states cover [s].
    wall, cpu
        what time the replay took [s].
    """
    return {
        "messages": messages,
        "ticks": outputs.ticks,
        "rejected": dict(sorted(rejected.items())),
        "prediction": nothing_scored() if outputs.prediction is None else outputs.prediction.scores(),
        "commands_sha256": outputs.sha256 if planned else None,
        "realtime_factor": covered / wall if wall > 0.0 else None,
        "duration_s": covered,
        "wall_s": wall,
        "cpu_s": cpu,
        "missed": missed,
        "restarts": restarts,
        "difference": outputs.difference.summary(),
        "controller_errors": controller_errors,
    }
