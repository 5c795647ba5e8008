"""The report of a replay: summary.json, the table of ticks, pictures and one page; a few lines for the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..codegen.compiler import fallbacks
from ..console.verdict import Verdict, late_machine, of_replay
from ..console.web_page import spelled
from ..exceptions import DataError
from ..safety.state_machine import Reason, State
from .figures import figures
from .golden import COMMAND_TOLERANCE
from .page import page_of

if TYPE_CHECKING:
    from . import Replay

TABLES = ("csv", "parquet", "none")


def verdict(replay: Replay, repeats: bool) -> Verdict:
    """Return the verdict on a replay; `repeats`: its commands must be those recorded."""
    return of_replay(replay.summary, _fault(replay), repeats, COMMAND_TOLERANCE)


def _fault(replay: Replay) -> tuple[float, str] | None:
    """Return when [s] after the first tick the first FAULT was, and its cause; None without one."""
    faults = np.flatnonzero(replay.table.column("supervisor_state", 1) == State.FAULT)
    if not faults.size:
        return None
    reasons = replay.table.column("supervisor_reasons", 1)[faults[0]]
    time = replay.table.column("time", 1)
    return float(time[faults[0]] - time[0]), _causes(reasons)


def _causes(reasons: float) -> str:
    return ", ".join(str(r.name) for r in Reason if r and r in Reason(int(reasons))) or "no cause recorded"


def write(replay: Replay, folder: Path, table: str = "csv", judged: Verdict | None = None) -> Path:
    """Write the report into `folder`; return the page's path.

    It consists of summary.json, report.html, the pictures and the table of ticks. Where a Parquet table cannot be
    written, a CSV takes its place and the page says so.

    Parameters
    ----------
    replay
        what is reported.
    folder
        made if it is not there.
    table
        one of TABLES.
    judged
        the verdict on the replay; None: the one that does not ask for the recorded commands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    judged = verdict(replay, repeats=False) if judged is None else judged
    (folder / "summary.json").write_text(
        json.dumps({**replay.summary, "verdict": judged.to_json()}, indent=2, allow_nan=False) + "\n", encoding="utf-8"
    )
    if table == "csv":
        replay.table.write_csv(folder / "ticks.csv")
    elif table == "parquet":
        try:
            replay.table.write_parquet(folder / "ticks.parquet")
        except DataError as error:
            replay.table.write_csv(folder / "ticks.csv")
            replay.setup.notes.append(f"{error}; ticks.csv was written instead")
    files = {}
    for name, draw in figures(replay).items():
        files[name] = folder / f"{name}.png"
        draw().savefig(files[name], dpi=110)
    page = folder / "report.html"
    page.write_text(page_of(replay, files, judged), encoding="utf-8")
    return page


def text(replay: Replay) -> str:
    """Return a few lines for the terminal."""
    s = replay.summary
    p = s["prediction"]
    lines = [
        f"{s['bag']}: {s['messages']} messages, {s['ticks']} ticks over {s['duration_s']:.1f} s, "
        f"{spelled(s['realtime_factor'])} x real time"
    ]
    lines += [f"  {note}" for note in replay.setup.notes]
    lines += _conduct(replay)
    lines.append(
        f'prediction: one tick, velocities {spelled(p["nmse_1_qd"])} of "no change"; ten ticks, positions '
        f"{spelled(p['nmse_10_q'])}; inside the 95 % ellipsoid {spelled(p['nis_coverage_95'])}"
    )
    if s["difference"]:
        d = s["difference"]
        lines.append(
            f"commands: {d['identical']} of {d['compared']} identical to the recorded ones; difference rms "
            f"{d['rms']:.3g}, max {d['max']:.3g} of the command range"
        )
    if s["rejected"]:
        lines.append("rejected: " + ", ".join(f"{count} {reason}" for reason, count in s["rejected"].items()))
    if s["commands_sha256"]:
        lines.append(f"commands sha256: {s['commands_sha256']}")
    return "\n".join(lines)


def _conduct(replay: Replay) -> list[str]:
    """Return the supervisor's last state, missed and late ticks, and what ran without compiled code."""
    lines, ticks = [], max(1, replay.summary["ticks"])
    if replay.setup.plan:
        state, reasons = (replay.table.column(name, 1) for name in ("supervisor_state", "supervisor_reasons"))
        known = np.flatnonzero(np.isfinite(state))
        if known.size:
            cause = f" ({_causes(reasons[known[-1]])})" if np.nan_to_num(reasons[known[-1]]) else ""
            lines.append(f"  supervisor: {State(int(state[known[-1]])).name}{cause}")
    late = int((replay.table.column("late", 1) >= 1.0).sum())
    lines.append(f"  {replay.summary['missed']} ticks missed, {late} answered late")
    if late_machine((replay.summary["missed"] + late) / (ticks + replay.summary["missed"])):
        lines.append("  the machine that was recorded answers late")
    return lines + [f"  slow: without compiled code, {fallback}" for fallback in fallbacks()]
