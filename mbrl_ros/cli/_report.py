"""The option --report of commands that judge or measure: the page of all reports, in one file."""

from __future__ import annotations

import argparse
import html
import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..console import web_page
from ..console.colors import ACCENT, INK, PALE
from ..console.verdict import Verdict
from ._bench import writable

BAR_COLORS = (ACCENT, PALE, INK)  # of the series of bars


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add --report."""
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write verdict, pictures and numbers to FILE, one HTML page"
    )


def check(file: Path | None) -> None:
    """Refuse a page that cannot be written or drawn, before anything runs; None: no page is asked for."""
    writable(report=file)
    if file is not None:
        importlib.import_module("matplotlib")


def write(
    file: Path | None,
    verdict: Verdict,
    headline: str,
    text: str,
    tables: str,
    *,
    pictures: Mapping[str, Any],
    meanings: Mapping[str, str],
    numbers: Mapping[str, Any] | None = None,
) -> None:
    """Write the page and say so; without a file nothing happens.

    Parameters
    ----------
    file
        Of --report; None: it was not given.
    verdict, headline, text
        What is on top, the page's heading, and what was measured, in plain text.
    tables
        Tables and lines as Markdown.
    pictures
        {name: PNG, as a file or its content}.
    meanings
        {column or number: what it means, with its unit}.
    numbers
        Nested numbers for a table of their own; None: the tables hold all.
    """
    if file is None:
        return
    body = "\n".join(
        [
            f"<p>{html.escape(text)}</p>",
            web_page.pictures(pictures),
            "<h2>Results</h2>",
            web_page.markdown(tables),
            web_page.meanings(meanings),
            "" if numbers is None else web_page.numbers(numbers),
        ]
    )
    file.write_text(web_page.web_page(f"mbrl {headline.lower()}", verdict, headline, body), encoding="utf-8")
    print(f"wrote {file}")


def bars(rows: Mapping[str, Mapping[str, float]], xlabel: str, *, logarithmic: bool = False) -> bytes:
    """Return a PNG with a group of bars for each row.

    Parameters
    ----------
    rows
        {row: {series: value}}, the first on top; values that are not finite have no bar.
    xlabel
        What the values are, with their unit.
    logarithmic
        Whether the axis is.
    """
    from matplotlib.figure import Figure

    series = list(dict.fromkeys(name for row in rows.values() for name in row))
    figure = Figure(figsize=(11, 1.4 + 0.22 * len(rows) * (1 + len(series))), layout="constrained")
    axis, height = figure.subplots(), 0.8 / max(1, len(series))
    for i, name in enumerate(series):
        at = [k + (i - 0.5 * (len(series) - 1)) * height for k in range(len(rows))]
        values = [row.get(name, math.nan) for row in rows.values()]
        drawn = axis.barh(at, values, height, label=name, color=BAR_COLORS[i % len(BAR_COLORS)])
        axis.bar_label(drawn, [f"{value:.4g}" if math.isfinite(value) else "" for value in values], padding=3)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set(xlabel=xlabel, xscale="log" if logarithmic else "linear")
    axis.margins(x=0.12)
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)
    if len(series) > 1:
        axis.legend(frameon=False)
    return web_page.png(figure)
