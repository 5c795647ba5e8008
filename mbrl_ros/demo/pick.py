"""Run scenes of picking one after the other, each with nodes of its own that learn from nothing; count what happened.

Scene k of a run is that of the seed s + k, in a folder of its own; the summary and the report of all are beside them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import present
from .pick_metrics import counted
from .report import page
from .run import Options
from .summary_text import scene_text
from .verdict import of_scenes

Summary = dict[str, Any]


def run(options: Options, folder: Path, scenes: int, *, picture: bool, view: bool) -> Summary:
    """Run `scenes` scenes from the seed of the options on.

    Parameters
    ----------
    options
        Of the first scene.
    folder
        Where summary.json, report.html and a folder for each scene go.
    scenes
        How many.
    picture, view
        As of present.run; the page in the browser shows every scene.

    Returns
    -------
    dict
        `pick` (counts), `scenes` (what became of each), versions and the verdict.
    """
    rows: list[Summary] = []
    pictures: dict[str, Path] = {}
    versions: Summary = {}
    for k in range(scenes):
        seed = options.seed + k
        own = folder / f"scene-seed{seed}"
        done = present.run(
            replace(options, seed=seed), own, label=f"scene {k + 1}/{scenes}", picture=picture, view=view
        )
        rows.append({"seed": seed, **done.get("pick", {"with_plan": True}), "verdict": done["verdict"]})
        versions = done.get("versions", versions)
        if (own / "scene.png").exists():
            pictures[f"scene of seed {seed}"] = own / "scene.png"
    summary: Summary = {"seed": options.seed, "pick": counted(rows), "scenes": rows, "versions": versions}
    summary["verdict"] = of_scenes(summary).to_json()
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    verdict = of_scenes(summary)
    told, numbers = text(summary), {"seed": options.seed, **summary["pick"], "versions": versions}
    headline = "An arm that learned while it moved among obstacles"
    title = f"mbrl_ros demo, scenes of the seeds {options.seed} to {options.seed + scenes - 1}"
    (folder / "report.html").write_text(
        page(title, verdict, headline, told.splitlines()[0], numbers, pictures, told),
        encoding="utf-8",
    )
    return summary


def text(summary: Mapping[str, Any]) -> str:
    """Return the summary of all scenes in lines."""
    pick = summary["pick"]
    lines = [
        f"{pick['scenes']} scenes, {pick['with_plan']} with a plan, {pick['contacts']} with a contact, "
        f"{pick['reached']} of those with a plan reached"
    ]
    return "\n".join([*lines, *(f"  seed {row['seed']}: {_scene(row)}" for row in summary["scenes"])])


def _scene(row: Mapping[str, Any]) -> str:
    return f"did not run: {row['verdict']['why']}" if "contact" not in row else scene_text(row)
