"""The parameters of guard_node, which config/sections/nodes.py lists too; a test compares both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Bounds:
    """The smallest and largest value of a parameter, its unit and what it means."""

    low: float
    high: float
    unit: str
    text: str


@dataclass(frozen=True)
class GuardSettings:
    """The parameters with their defaults."""

    missing_periods: float = 2.5
    missing_time: float = 0.015
    heartbeat_timeout: float = 0.25
    handover_periods: int = 10
    priority: int = 0
    largest_message: int = 65536
    end_with_parent: bool = False

    def __post_init__(self) -> None:
        """Check every value; raise ValueError with the name of a wrong one."""
        for field in fields(self):
            value, wanted = getattr(self, field.name), type(field.default)
            if wanted is float and type(value) is int:
                object.__setattr__(self, field.name, float(value))
            elif type(value) is not wanted:
                raise ValueError(f"'{field.name}' must be of type {wanted.__name__}, got {value!r}")
            bounds = BOUNDS.get(field.name)
            if bounds and not bounds.low <= value <= bounds.high:
                raise ValueError(f"'{field.name}' must lie in [{bounds.low:g}, {bounds.high:g}], got {value:g}")


BOUNDS: Mapping[str, Bounds] = {
    "missing_periods": Bounds(1.0, 100.0, "periods", "without a command for so long, the safe command goes out"),
    "missing_time": Bounds(0.001, 1.0, "s", "... but not before this time, however short the period is"),
    "heartbeat_timeout": Bounds(
        0.1, 10.0, "s", "without mpc_node's parameters (20 a second) for so long, the safe command goes out"
    ),
    "handover_periods": Bounds(
        1, 1000, "commands", "good commands in a row after which mpc_node commands the arm again"
    ),
    "priority": Bounds(
        0, 99, "", "SCHED_FIFO priority of the guard's threads, where permitted; 0: ordinary scheduling"
    ),
    "largest_message": Bounds(1024, 16777216, "bytes", "a longer command or joint state is refused unread"),
    "end_with_parent": Bounds(
        -math.inf,
        math.inf,
        "",
        "end in order when the process that started the guard ends (Linux); the launch files set it",
    ),
}
