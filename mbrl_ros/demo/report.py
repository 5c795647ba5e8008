"""Write the report of a run: pictures and one page."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..console.colors import ACCENT, INK, WARN
from ..console.made_by import made_by
from ..console.summary import flat
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
    pictures = "\n".join(
        f'<figure><img alt="{html.escape(name)}" src="data:image/png;base64,{_base64(file)}"></figure>'
        for name, file in files.items()
    )
    rows = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(_spelled(value))}</td></tr>"
        for key, value in flat(summary).items()
    )
    block = f"<pre>{html.escape(details)}</pre>" if details else ""
    heading = f"{verdict.line()} - {title}"  # on the first line, where scripts find the verdict
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(heading)}</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;color:{INK};max-width:1100px;margin:2rem auto;padding:0 1rem}}
img{{width:100%}}figure{{margin:1.5rem 0}}table{{border-collapse:collapse}}
th{{text-align:left;font-weight:500;padding-right:2rem}}td{{font-variant-numeric:tabular-nums}}
tr{{border-bottom:1px solid #eceff1}}pre{{white-space:pre-wrap;font-size:13px}}
.verdict{{font-weight:600;color:#fff;background:{ACCENT if verdict.passed else WARN};padding:.5rem 1rem}}</style>
<p class="verdict">{html.escape(verdict.line())}</p>
<h1>{html.escape(headline)}</h1>
<p>{html.escape(text)}</p>
{block}{pictures}<h2>Numbers</h2><table>{rows}</table>
<p>{html.escape(made_by())}</p></html>
"""


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _spelled(value: object) -> str:
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
