"""The result of an experiment as a table, as CSV and as a curve."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from ..types import Array

COVERAGE = 0.95  # of the confidence interval of the mean over seeds
EPISODE_COLUMNS = ("seed", "episode", "step", "return", "acted", "predicted_return")


def rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row per episode, with the names of EPISODE_COLUMNS."""
    return [
        {"seed": seed, "episode": number, "predicted_return": "", **entry}
        for seed, entries in result["seeds"].items()
        for number, entry in enumerate(entries, 1)
    ]


def confidence(values: Array) -> tuple[float, float]:
    """Return the mean of values (N,) and the half width of its confidence interval (Student's t; 0 for N = 1)."""
    N = len(values)
    if N < 2:
        return float(values.mean()), 0.0
    half = student.ppf(0.5 * (1.0 + COVERAGE), N - 1) * values.std(ddof=1) / math.sqrt(N)
    return float(values.mean()), float(half)


def by_episode(result: dict[str, Any]) -> list[dict[str, float | str]]:
    """Return for every episode: its number, mean steps so far, mean return, half width, and what acted."""
    columns = zip(*result["seeds"].values(), strict=True)
    found: list[dict[str, float | str]] = []
    for number, entries in enumerate(columns, 1):
        mean, half = confidence(np.array([entry["return"] for entry in entries]))
        predicted = [entry["predicted_return"] for entry in entries if "predicted_return" in entry]
        found.append(
            {
                "episode": number,
                "step": float(np.mean([entry["step"] for entry in entries])),
                "return": mean,
                "half": half,
                "predicted": float(np.mean(predicted)) if predicted else math.nan,
                "acted": entries[0]["acted"],
            }
        )
    return found


def table(result: dict[str, Any]) -> str:
    """Return the mean over the seeds, an episode a line; one seed has no confidence interval."""
    seeds = len(result["seeds"])
    lines = [
        f"| episode | steps | acted by | return, mean of {seeds} | 95 % +- | predicted |",
        "|---:|---:|---|---:|---:|---:|",
    ]
    for row in by_episode(result):
        predicted = "-" if math.isnan(float(row["predicted"])) else f"{row['predicted']:.1f}"
        half = f"{row['half']:.1f}" if seeds > 1 else "-"
        lines.append(
            f"| {row['episode']} | {row['step']:.0f} | {row['acted']} | {row['return']:.1f} | {half} | {predicted} |"
        )
    return "\n".join(lines)


def sweep_table(result: dict[str, Any]) -> str:
    """Return the means over the seeds of the best and the last return, a point of the sweep a line."""
    keys = list(result["sweep"][0]["settings"])
    lines = [f"| {' | '.join(keys)} | best return | last return | 95 % +- |", "|---:" * (len(keys) + 3) + "|"]
    for point in result["sweep"]:
        returns = [[entry["return"] for entry in entries] for entries in point["seeds"].values()]
        mean, half = confidence(np.array([each[-1] for each in returns]))
        cells = [str(value) for value in point["settings"].values()]
        cells += [f"{np.mean([max(each) for each in returns]):.1f}", f"{mean:.1f}"]
        lines.append(f"| {' | '.join([*cells, f'{half:.1f}' if len(returns) > 1 else '-'])} |")
    return "\n".join(lines)


def write_sweep_csv(path: Path, result: dict[str, Any]) -> None:
    """Write one row per episode of every point of a sweep, its settings before those of `write_csv`."""
    keys = list(result["sweep"][0]["settings"])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*keys, *EPISODE_COLUMNS], lineterminator="\n")
        writer.writeheader()
        for point in result["sweep"]:
            writer.writerows({**point["settings"], **row} for row in rows(point))


def summary(result: dict[str, Any], solved: float) -> dict[str, Any]:
    """Return the numbers of an experiment: of each seed the best and last return, and the first episode of `solved`."""
    seeds = {}
    for seed, entries in result["seeds"].items():
        returns = [entry["return"] for entry in entries]
        first = next((number for number, value in enumerate(returns, 1) if value >= solved), None)
        seeds[seed] = {"best return": max(returns), "last return": returns[-1], "first solved in episode": first}
    head = {key: value for key, value in result.items() if key != "seeds"}
    return {**head, "solved from": solved, "seed": seeds}


def write_csv(path: Path, result: dict[str, Any]) -> None:
    """Write one row per episode."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, EPISODE_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows(result))


def draw(path: Path, result: dict[str, Any], solved: float) -> None:
    """Draw the return over the episodes as PNG: every seed, the mean with its confidence band, what was predicted."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["text.parse_math"] = False  # a name with $ is no formula
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    points = by_episode(result)
    number, mean, half, predicted = (
        np.array([point[key] for point in points], dtype=float) for key in ("episode", "return", "half", "predicted")
    )
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for entries in result["seeds"].values():
        axis.plot(number, [entry["return"] for entry in entries], color="tab:blue", lw=0.6, alpha=0.5)
    seeds = len(result["seeds"])
    if seeds > 1:
        axis.fill_between(number, mean - half, mean + half, color="tab:blue", alpha=0.2, label="95 % of the mean")
    axis.plot(number, mean, "o-", color="tab:blue", label=f"mean of {seeds} seeds" if seeds > 1 else "one seed")
    if np.isfinite(predicted).any():
        axis.plot(number, predicted, "x--", color="tab:orange", label="predicted by the model")
    axis.axhline(solved, color="tab:green", lw=0.8, ls=":", label="solved")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("episode")
    axis.set_ylabel("return")
    axis.set_title(f"{result['method']} on {result['task']}")
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
