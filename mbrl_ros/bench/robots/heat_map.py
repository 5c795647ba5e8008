"""The heat map of the bench: arms by conditions, a panel per controller and interface."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ...console.colors import INK, PALE, WARN
from .arms import ARMS
from .campaign import Results
from .conditions import CONDITIONS
from .report import Cell, cells

LOW_END, HIGH_END, DARK = 0.1, 100.0, 8.0  # [mm], ends of the color scale, and from where it is dark
MISSED, BROKEN = "#f0a030", "#505860"  # a target was not reached; a run ended with an error
SIZE, SMALLEST = 0.62, (6.5, 3.0)  # [inch] of a cell, of the picture


def draw(results: Results, path: Path) -> None:
    """Draw the worst rest error [mm] of every cell as PNG to `path`.

    The color goes with the logarithm of the error; a cell in which a target was missed or the arm was lost has a color
    of its own, and says how many targets were reached. Arms and conditions are in the order of the bench's lists.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import colors, pyplot

    every = list(cells(results))
    arms = [name for name in ARMS if any(cell.arm == name for cell in every)]
    conditions = [name for name in CONDITIONS if any(cell.condition == name for cell in every)]
    panels = list(dict.fromkeys((cell.controller, cell.interface) for cell in every))
    width, height = SIZE * 1.15 * len(conditions) + 2.2, SIZE * 0.75 * len(arms) + 1.3
    columns = max(1, min(len(panels), int(22.0 // width)))
    rows = math.ceil(len(panels) / columns)
    figure, axes = pyplot.subplots(
        rows,
        columns,
        figsize=(max(SMALLEST[0], width * columns), max(SMALLEST[1], height * rows + 0.6)),
        squeeze=False,
        layout="constrained",
    )
    scale = colors.LogNorm(LOW_END, HIGH_END)
    image = None
    for axis, panel in zip(axes.flat, panels, strict=False):
        group = {(c.arm, c.condition): c for c in every if (c.controller, c.interface) == panel}
        image = _panel(axis, group, arms, conditions, scale)
        axis.set_title(f"{panel[0]}, {panel[1]}", color=INK)
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    if image is not None:
        figure.colorbar(image, ax=axes, shrink=0.6, pad=0.01, format="%g", label="worst rest error [mm]")
    figure.supxlabel(
        "red: the arm was lost; orange: a target was missed (targets reached of all);\n"
        "dark grey: a run ended with an error; white with a dot: not asked for",
        fontsize=9,
        color=INK,
    )
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _panel(axis: Any, group: dict[tuple[str, str], Cell], arms: list[str], conditions: list[str], scale: Any) -> Any:
    """Draw one controller with one interface."""
    values = np.full((len(arms), len(conditions)), np.nan)
    for i, arm in enumerate(arms):
        for j, condition in enumerate(conditions):
            color, text, dark = _looks(group.get((arm, condition)))
            if isinstance(color, str):
                axis.add_patch(_square(i, j, color))
            else:
                values[i, j] = color
            axis.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if dark else INK)
    image = axis.imshow(np.ma.masked_invalid(values), cmap="Blues", norm=scale, aspect="auto")
    axis.set_xticks(range(len(conditions)), conditions, rotation=45, ha="right", fontsize=8)
    axis.set_yticks(range(len(arms)), arms, fontsize=8)
    axis.set_xticks(np.arange(len(conditions) - 1) + 0.5, minor=True)
    axis.set_yticks(np.arange(len(arms) - 1) + 0.5, minor=True)
    axis.grid(which="minor", color=PALE, linewidth=1.0)
    axis.tick_params(which="minor", length=0)
    return image


def _looks(cell: Cell | None) -> tuple[str | float, str, bool]:
    """Return the color of a cell or its error [mm] on the scale, its text, and whether the color is dark."""
    if cell is None:
        return "white", "\N{MIDDLE DOT}", False
    if any("failed" in run for run in cell.runs.values()):
        return BROKEN, "error", True
    rest = cell.worst("rest_mm")
    if cell.lost or cell.reached < cell.targets or rest is None:
        return WARN if cell.lost else MISSED, f"{cell.reached}/{cell.targets}", bool(cell.lost)
    return min(max(rest, LOW_END), HIGH_END), f"{rest:.2f}" if rest < 10.0 else f"{rest:.0f}", rest > DARK


def _square(row: int, column: int, color: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1.0, 1.0, facecolor=color, edgecolor="none", zorder=1)
