"""Replay a recorded run through the same controller, question it, and hold it against a golden one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ..exceptions import DataError
from .driver import ReplayDriver
from .notes import TimedNote
from .options import ReplayOptions
from .setup import Setup, prepare
from .table import Table
from .topics import Mapped

__all__ = ["Mapped", "Replay", "ReplayOptions", "replay"]


@dataclasses.dataclass(frozen=True, eq=False)
class Replay:
    """What came of a replay: summary (as in summary.json), a row per tick, timed notes, and how it was set up."""

    summary: dict[str, Any]
    table: Table
    events: list[TimedNote]
    setup: Setup


def replay(options: ReplayOptions, progress: Callable[[float], None] = lambda seconds: None) -> Replay:
    """Replay a bag.

    Parameters
    ----------
    options
        what to replay and what to change.
    progress
        is told the seconds of the bag that are done.

    Raises
    ------
    MbrlError
        says what is missing and how to give it.
    """
    setup = prepare(options)
    driver = ReplayDriver(setup, options.begin, options.end, options.stamps == "bag", options.mapped, progress)
    driver.run()
    setup.notes += [note for note in setup.stream.notes if note not in setup.notes]
    summary = {"bag": options.bag.name, **driver.summary()}
    if driver.outputs.ticks < 2:
        why = (
            ", ".join(f"{count} {reason}" for reason, count in summary["rejected"].items())
            or "no joint state in the range"
        )
        details = "; ".join({**driver.states.gate.details}.values())
        raise DataError(
            f"{options.bag}: nothing to replay: {why}. {details}"
            + (" (--stamps bag takes the bag's own stamps)" if "no stamp" in why else "")
        )
    return Replay(summary, driver.outputs.table, driver.notes.entries, setup)
