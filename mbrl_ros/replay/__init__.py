"""Recorded life through the same controller: replay a bag, question it, and hold it against a golden one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ..exceptions import DataError
from .engine import Engine, TimedNote
from .setup import ReplayOptions, Setup, prepare
from .table import Table
from .topics import Mapped

__all__ = ["Mapped", "Replay", "ReplayOptions", "replay"]


@dataclasses.dataclass(frozen=True, eq=False)
class Replay:
    """What came of a replay: summary (as in summary.json), a row per tick, events, and how it was set up."""

    summary: dict[str, Any]
    table: Table
    events: list[TimedNote]
    setup: Setup


def replay(options: ReplayOptions, progress: Callable[[float], None] = lambda seconds: None) -> Replay:
    """Replay a bag; progress(t) is told the seconds of the bag that are done. MbrlError says what is missing."""
    setup = prepare(options)
    engine = Engine(setup, options.begin, options.end, options.stamps, options.mapped, progress)
    engine.run()
    setup.notes += [note for note in setup.stream.notes if note not in setup.notes]
    summary = {"bag": options.bag.name, **engine.summary()}
    if engine.ticks < 2:
        why = (
            ", ".join(f"{count} {reason}" for reason, count in summary["rejected"].items())
            or "no joint state in the range"
        )
        details = "; ".join({**engine.states.details}.values())
        raise DataError(
            f"{options.bag}: nothing to replay: {why}. {details}"
            + (" (--stamps bag takes the bag's own stamps)" if "no stamp" in why else "")
        )
    return Replay(summary, engine.table, engine.events, setup)
