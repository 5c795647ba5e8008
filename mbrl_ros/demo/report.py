"""Write the report of a run: pictures and one page."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..console import web_page
from ..console.verdict import Verdict
from ..robots import Robot
from ..scenarios.scenario import Scenario
from ..types import Array
from .figures import Draw, figures_of
from .metrics import Log


def write_report(
    folder: Path,
    scenario: Scenario,
    robot: Robot,
    truth: Log,
    control: Log,
    summary: dict[str, Any],
    *,
    given: str,
    details: str,
    picture: Array | None = None,
    more: Mapping[str, Draw] | None = None,
) -> Path:
    """Write report.html, summary.json and the PNGs into `folder`.

    Parameters
    ----------
    folder
        Made where it does not exist.
    scenario, robot
        What was run.
    truth, control
        Logs of the plant and of the controller (metrics.summarise).
    summary
        Of the run, with the verdict.
    given
        What the controller knew, in words.
    details
        The summary in lines.
    picture
        Of the robot, (height, width, 3); None: none.
    more
        Further pictures by name.

    Returns
    -------
    Path
        Of report.html.
    """
    import matplotlib

    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    files: dict[str, Path] = {}
    for name, draw in {**(more or {}), **figures_of(scenario)}.items():
        figure = draw(scenario, robot, truth, control)
        files[name] = folder / f"{name}.png"
        figure.savefig(files[name], dpi=110)
    if picture is not None:
        import matplotlib.image

        files = {"robot": folder / "robot.png", **files}
        matplotlib.image.imsave(files["robot"], picture)
    path = folder / "report.html"
    path.write_text(_page(summary, files, given, details), encoding="utf-8")
    return path


def _page(summary: dict[str, Any], files: dict[str, Path], given: str, details: str) -> str:
    verdict, load = Verdict.of(summary["verdict"]), summary["payload"]
    lost = summary["supervisor"]["lost_s"]
    headline = (
        "An arm that learned while it moved"
        if verdict.passed
        else "The arm was lost"
        if lost is not None
        else "The arm did not meet the requirements"
    )
    sentences = [given]
    if lost is not None:
        sentences.append(
            f"After {lost:.2f} s the supervisor stopped the arm for good; from then on only the safe command was sent."
        )
    if load and load["bump_mm"] is not None:
        sentences.append(f"The red line marks the time at which {load['mass_kg']:g} kg were added to the hand.")
    return page(
        f"mbrl_ros demo, seed {summary['seed']}", verdict, headline, " ".join(sentences), summary, files, details
    )


def page(
    title: str,
    verdict: Verdict,
    headline: str,
    text: str,
    summary: Mapping[str, Any],
    files: Mapping[str, Path],
    details: str = "",
) -> str:
    """Return one self-contained HTML page.

    Parameters
    ----------
    title
        Of the page, after the verdict.
    verdict
        On top of the page.
    headline, text
        Of the page, in plain text.
    summary
        Whose numbers form a table.
    files
        Pictures (PNG) by name.
    details
        A block of plain text; empty: none.
    """
    block = f"<pre>{html.escape(details)}</pre>" if details else ""
    body = f"<p>{html.escape(text)}</p>\n{block}{web_page.pictures(files)}{web_page.numbers(summary)}"
    return web_page.web_page(title, verdict, headline, body)
