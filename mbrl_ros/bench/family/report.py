"""The table and the verdict of the bench of all planners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...console.verdict import PASS, Verdict

DEFAULT = "ilqr"  # the package's default planner
FAMILY_MEANINGS = {
    "decision p50, p99": "median and 99th percentile of the time of one decision [ms]",
    "iLQR iterations": "the median as a multiple of that of one iteration of iLQR",
    "targets reached": "targets to which the end effector came within 1 cm, of all",
    "rest": "largest distance from a target at the end of its time [mm]",
    "missed, why": "why the run did not pass the demo's verdict; empty: it passed",
}
TABLE_HEAD = "| planner | decision p50 [ms] | p99 [ms] | iLQR iterations | targets reached | rest [mm] | missed, why |"


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a row for each planner, those that reach most first, then the fastest."""
    lines = [TABLE_HEAD, "|---|---:|---:|---:|---:|---:|---|"]
    for name, found in sorted(results.items(), key=lambda item: _order(item[1])):
        time, demo = found["decision_ms"], found["demo"]
        rest = "-" if demo["rest_mm"] is None else f"{demo['rest_mm']:.2f}"
        lines.append(
            f"| `{name}` | {time['p50']:.3f} | {time['p99']:.3f} | {found['iterations_equivalent']:.1f} | "
            f"{demo['reached']} of {demo['targets']} | {rest} | {demo['cause']} |"
        )
    return "\n".join(lines)


def verdict(results: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """Judge the bench: the default planner reaches every target; what the others miss stands in the table."""
    demo = results[DEFAULT]["demo"] if DEFAULT in results else None
    if demo is not None and demo["reached"] < demo["targets"]:
        return Verdict(False, f"{DEFAULT}: {demo['cause']}", None, "another --seed")
    return PASS


def _order(found: Mapping[str, Any]) -> tuple[float, float]:
    return -found["demo"]["reached"], found["decision_ms"]["p50"]
