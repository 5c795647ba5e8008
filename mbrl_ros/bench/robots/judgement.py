"""Whether the product passes the bench: the bounds on its numbers, and what it falls short of."""

from __future__ import annotations

from collections.abc import Sequence

from ...console.verdict import Verdict
from .arms import ARMS
from .campaign import Results
from .conditions import NOMINAL
from .controllers import OURS, TOLD
from .report import Cell, cells

REACHED_SHARE = 0.97  # of the targets under conditions that are not nominal
NOMINAL_REST, SMALL_REST = 1.0, 2.0  # [mm], the latter for arms that are rated for less than SMALL
SMALL = 1.0  # [kg]
PEER = 1.2  # times the best rest error of the others is as good as theirs
MOST_SPEED = 0.95  # of a velocity limit
LONGEST_AT_LIMIT = 0.01  # share of a run
SAG = 30.0  # [mm]
MOTION = 5.0  # [mm] at rest: more is a limit cycle


def shortcomings(results: Results) -> list[str]:
    """Return what the product falls short of, and what did not run, a line each; of other controllers nothing else."""
    every = list(cells(results))
    wrong = [
        f"{' '.join(cell[:4])} seed {seed}: {run['cause']}"
        for cell in every
        for seed, run in cell.runs.items()
        if "failed" in run
    ]
    ours = [cell for cell in every if cell.controller == OURS]
    for nominal in (True, False):
        group = [cell for cell in ours if (cell.condition == NOMINAL) is nominal]
        reached, targets = sum(cell.reached for cell in group), sum(cell.targets for cell in group)
        needed = 1.0 if nominal else REACHED_SHARE
        if reached < needed * targets:
            name = "nominal" if nominal else "other conditions"
            wrong.append(f"{name}: {reached} of {targets} targets reached, {100 * needed:.0f} % wanted")
    for cell in ours:
        peers = [c for c in every if c[:3] == cell[:3] and c.controller not in (OURS, TOLD)]
        wrong += [f"{' '.join(cell[:3])}: {what}" for what in _of_cell(cell, peers)]
    return wrong


def verdict(wrong: Sequence[str], controllers: Sequence[str]) -> Verdict:
    """Return the verdict on `shortcomings` of a run of these controllers, of which only the product is judged."""
    if not wrong and OURS not in controllers:
        return Verdict(
            False, f"no arm was judged: '{OURS}' is not among the controllers", None, f"--controllers {OURS}, too"
        )
    if not wrong:
        return Verdict(True)
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return Verdict(False, wrong[0] + more, None, "the causes in the table above")


def _of_cell(cell: Cell, peers: Sequence[Cell]) -> list[str]:
    """Return what the runs of one cell fall short of."""
    found = []
    if cell.lost:
        found.append(f"lost in {cell.lost} of {len(cell.runs)} runs")
    allowed = SMALL_REST if ARMS[cell.arm].rated < SMALL else NOMINAL_REST
    others = [rest for peer in peers if peer.reached == peer.targets and (rest := peer.worst("rest_mm")) is not None]
    if cell.condition != NOMINAL:
        allowed = max([allowed, *([PEER * min(others)] if others else [])])
    for key, limit, what in (
        ("rest_mm", allowed, "at rest {:.2f} mm from a target, {:.2f} allowed"),
        ("sag_mm", SAG, "sags by {:.1f} mm, {:.0f} allowed"),
        ("speed_fraction", MOST_SPEED, "a joint at {:.2f} of its speed limit, {:.2f} allowed"),
        ("at_limit", LONGEST_AT_LIMIT, "for {:.3f} of the time on a speed limit, {:.2f} allowed"),
        ("motion_mm", MOTION, "moves by {:.1f} mm when it should rest, {:.0f} allowed"),
        ("outside_limits", 0, "{} commands outside their limits, {} allowed"),
        ("errors", 0, "{} errors, {} allowed"),
    ):
        value = cell.worst(key)
        if value is not None and value > limit:
            found.append(what.format(value, limit))
    return found
