"""Tables of the bench's results: one line per arm, interface, condition and controller, and one per controller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from .campaign import Results
from .run import Numbers

HEAD = (
    "arm",
    "interface",
    "condition",
    "controller",
    "reached",
    "lost",
    "rest [mm]",
    "sag [mm]",
    "speed [of limit]",
    "outside",
    "spoke at [mm]",
    "cause",
)
ROBOT_MEANINGS = {
    "reached": "targets reached, of all, of all seeds",
    "lost": "runs in which the arm was lost, and of the first table the median distance at rest [mm]",
    "rest": "worst distance from a target at rest [mm]",
    "sag": "how far the arm fell after the start, at the most [mm]",
    "speed": "largest velocity, as a share of its limit",
    "outside": "commands outside limits",
    "spoke at": "how far the arm had moved when something was first said to be wrong [mm]",
}
LEFT = ("arm", "interface", "condition", "controller", "cause")


class Cell(NamedTuple):
    """The runs of one controller on one arm with one interface under one condition, by seed."""

    arm: str
    interface: str
    condition: str
    controller: str
    runs: dict[str, Numbers]

    @property
    def reached(self) -> int:
        """How many targets were reached."""
        return sum(run["reached"] for run in self.runs.values())

    @property
    def targets(self) -> int:
        """How many targets there were."""
        return sum(run["targets"] for run in self.runs.values())

    @property
    def lost(self) -> int:
        """How many runs lost the arm."""
        return sum(run["lost"] for run in self.runs.values())

    def worst(self, key: str) -> float | None:
        """Return the largest value of a number; None where a run has none."""
        values = [value for run in self.runs.values() if (value := run.get(key)) is not None]
        return max(values) if len(values) == len(self.runs) else None


def cells(results: Results) -> Iterator[Cell]:
    """Yield every cell."""
    for arm, interfaces in results.items():
        for interface, conditions in interfaces.items():
            for condition, controllers in conditions.items():
                for controller, runs in controllers.items():
                    yield Cell(arm, interface, condition, controller, runs)


def table(results: Results) -> str:
    """Return Markdown: the worst of each number of every cell, and the causes of what went wrong."""
    rows = [
        (
            *cell[:4],
            f"{cell.reached}/{cell.targets}",
            f"{cell.lost} of {len(cell.runs)}",
            _number(cell.worst("rest_mm"), ".2f"),
            _number(cell.worst("sag_mm"), ".1f"),
            _number(cell.worst("speed_fraction"), ".2f"),
            str(sum(run["outside_limits"] for run in cell.runs.values())),
            _spoke(cell),
            _causes(cell),
        )
        for cell in cells(results)
    ]
    return _markdown(HEAD, rows)


def summary(results: Results) -> str:
    """Return Markdown: a row per condition, a column per controller: targets reached, runs lost, median rest error."""
    every = list(cells(results))
    controllers = list(dict.fromkeys(cell.controller for cell in every))
    rows = []
    for interface, condition in dict.fromkeys((cell.interface, cell.condition) for cell in every):
        row = [interface, condition]
        for controller in controllers:
            row.append(_together([c for c in every if c[1:4] == (interface, condition, controller)]))
        rows.append(tuple(row))
    return _markdown(("interface", "condition", *controllers), rows)


def _together(group: list[Cell]) -> str:
    if not group:
        return ""
    rests = sorted(
        rest for cell in group for run in cell.runs.values() for rest in run.get("rests_mm", []) if rest is not None
    )
    lost, runs = sum(cell.lost for cell in group), sum(len(cell.runs) for cell in group)
    median = f", rest {rests[len(rests) // 2]:.2f} mm" if rests else ""
    return f"{sum(c.reached for c in group)}/{sum(c.targets for c in group)}, {lost} of {runs} lost{median}"


def _spoke(cell: Cell) -> str:
    """Return how far the arm had moved when something was first said to be wrong, at the most."""
    values = [run["spoke_at_mm"] for run in cell.runs.values() if run["spoke_at_mm"] is not None]
    return f"{max(values):.1f}" if values else ""


def _causes(cell: Cell) -> str:
    return "; ".join(dict.fromkeys(f"seed {seed}: {run['cause']}" for seed, run in cell.runs.items() if run["cause"]))


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _markdown(head: tuple[str, ...], rows: list[Any]) -> str:
    sides = tuple("---" if name in LEFT else "---:" for name in head)
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, sides, *rows])
