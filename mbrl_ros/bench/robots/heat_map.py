"""The heat map of the bench: arms by conditions, a panel per controller and interface."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ...console.colors import INK, PALE, WARN
from .campaign import Results
from .report import Cell, cells

LOW_END, HIGH_END = 0.1, 100.0  # [mm], ends of the color scale
MISSED = "#f0a030"  # a target was not reached
SIZE = 0.62  # [inch] of a cell


def draw(results: Results, path: Path) -> None:
    """Draw the worst rest error [mm] of every cell as PNG to `path`.

    The color goes with the logarithm of the error; a cell in which a target was missed or the arm was lost has a color
    of its own, and says how many targets were reached.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import colors, pyplot

    every = list(cells(results))
    arms = list(dict.fromkeys(cell.arm for cell in every))
    conditions = list(dict.fromkeys(cell.condition for cell in every))
    panels = list(dict.fromkeys((cell.controller, cell.interface) for cell in every))
    width, height = SIZE * 1.15 * len(conditions) + 2.2, SIZE * 0.75 * len(arms) + 1.3
    columns = max(1, min(len(panels), int(22.0 // width)))
    rows = math.ceil(len(panels) / columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(width * columns, height * rows + 0.6), squeeze=False, layout="constrained"
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
        figure.colorbar(image, ax=axes, shrink=0.6, pad=0.01, label="worst rest error [mm]")
    figure.supxlabel("red: the arm was lost; orange: a target was missed; grey: not run", fontsize=9, color=INK)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _panel(axis: Any, group: dict[tuple[str, str], Cell], arms: list[str], conditions: list[str], scale: Any) -> Any:
    """Draw one controller with one interface."""
    values = np.full((len(arms), len(conditions)), np.nan)
    axis.set_facecolor(PALE)
    for (arm, condition), cell in group.items():
        i, j = arms.index(arm), conditions.index(condition)
        rest, text = cell.worst("rest_mm"), f"{cell.reached}/{cell.targets}"
        failed = any("failed" in run for run in cell.runs.values())
        if failed or cell.lost or cell.reached < cell.targets:
            color = PALE if failed else WARN if cell.lost else MISSED
            axis.add_patch(_square(i, j, color))
            text = "did not\nrun" if failed else text
        elif rest is not None:
            values[i, j] = min(max(rest, LOW_END), HIGH_END)
            text = f"{rest:.2f}" if rest < 10.0 else f"{rest:.0f}"
        dark = not failed and (cell.lost or (rest is not None and rest > 8.0 and cell.reached == cell.targets))
        axis.text(j, i, text, ha="center", va="center", fontsize=7, color="white" if dark else INK)
    image = axis.imshow(np.ma.masked_invalid(values), cmap="Blues", norm=scale, aspect="auto")
    axis.set_xticks(range(len(conditions)), conditions, rotation=45, ha="right", fontsize=8)
    axis.set_yticks(range(len(arms)), arms, fontsize=8)
    axis.set_xticks(np.arange(len(conditions) - 1) + 0.5, minor=True)
    axis.set_yticks(np.arange(len(arms) - 1) + 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=1.0)
    axis.tick_params(which="minor", length=0)
    return image


def _square(row: int, column: int, color: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1.0, 1.0, facecolor=color, edgecolor="none", zorder=1)
