"""Recordings as comma-separated tables, plain or gzipped, with a column for each joint and quantity.

A column map tells which columns hold what: `time=Time:ms,q=Position{}:deg,qd=Velocity{},u=Cur{}` where {} stands for
the joint's number (from 0 or 1) or name, and `:unit` is one of TIME_UNITS. What the map leaves out is looked for
under the usual names. As commands, efforts are preferred to motor currents, those to measured efforts, and a column
that never changes to none.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..exceptions import DataError, listed, nearest
from ..types import Array
from .cleaning import cleaned, time_unit
from .delimited import rows_of
from .recording import ReadOptions, Recording

TIME_UNITS = {
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
    "rad": 1.0,
    "m": 1.0,
    "deg": np.pi / 180.0,
    "rpm": np.pi / 30.0,
    "1": 1.0,
}
SUFFIXES = (".csv", ".gz", ".txt", ".tsv", ".dat")
TIME = ("time", "t", "timestamp", "stamp", "sec", "seconds", "time_s")
STEMS = {
    "q": ("position", "pos", "q", "joint_position", "joint_pos", "angle", "actual_q"),
    "qd": ("velocity", "vel", "qd", "dq", "qdot", "joint_velocity", "joint_vel", "actual_qd"),
}
# (stem, interface), best first
COMMANDS = (
    ("tau_cmd", "effort"),
    ("effort_cmd", "effort"),
    ("torque_cmd", "effort"),
    ("torquecmptd", "effort"),
    ("command", "effort"),
    ("cmd", "effort"),
    ("u", "effort"),
    ("cur", "effort"),
    ("current", "effort"),
    ("motor_current", "effort"),
    ("actual_current", "effort"),
    ("torque", "effort"),
    ("effort", "effort"),
    ("tau", "effort"),
    ("joint_effort", "effort"),
    ("joint_torque", "effort"),
)


class _Command(NamedTuple):
    """Commands u (T, n) or None, the columns they come from, and what they mean."""

    u: Array | None
    source: str
    interface: str


def recognizes(path: Path, start: bytes) -> bool:
    """Return whether the name of `path` is that of a table."""
    return path.suffix in SUFFIXES


def read(path: Path, options: ReadOptions) -> Recording:
    """Return the recording in a CSV(.gz) file; DataError names the columns that are missing and those there are."""
    header, values, counts, notes = rows_of(path)
    wanted = _parse(options.columns)
    by_stem = _stems(header)
    time_name, time_scale = _time(header, wanted, path)
    q_names, q_scale = _columns("q", wanted, by_stem, header, path)
    qd_names, qd_scale = _columns("qd", wanted, by_stem, header, path, count=len(q_names))
    column = {name: values[:, i] for i, name in enumerate(header)}
    stamps = column[time_name] if time_name else np.arange(len(values), dtype=np.float64)
    q = q_scale * np.column_stack([column[name] for name in q_names])
    qd = qd_scale * np.column_stack([column[name] for name in qd_names]) if qd_names else None
    if time_scale is None:
        time_scale = 1.0 if qd is None else time_unit(stamps, q, qd)
        if time_scale != 1.0:
            unit = next(name for name, size in TIME_UNITS.items() if size == time_scale)
            notes.append(f"time is taken to be in {unit}, from positions and velocities")
    command = _command(wanted, by_stem, column, len(q_names), header, path, notes)
    return cleaned(
        path.name,
        _joint_names(q_names),
        time_scale * stamps,
        q,
        qd,
        command.u,
        u_source=command.source,
        interface=command.interface,
        counts=counts,
        notes=tuple(notes),
    )


def _parse(text: str) -> dict[str, tuple[str, str]]:
    """Return {quantity: (pattern, unit)} of a column map."""
    wanted = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        key, equal, rest = entry.partition("=")
        if not equal or key not in ("time", "q", "qd", "u"):
            raise DataError(f"column map: '{entry}' must be time=COLUMN, q=COLUMNS, qd=COLUMNS or u=COLUMNS")
        pattern, _, unit = rest.partition(":")
        if unit and unit not in TIME_UNITS:
            raise DataError(f"column map: unknown unit '{unit}' in '{entry}'; there are {list(TIME_UNITS)}")
        wanted[key] = (pattern, unit)
    return wanted


def _stems(header: list[str]) -> dict[str, list[str]]:
    """Return {lower-case stem: its columns in joint order} for names such as Position1, q_3 or qd[0]."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in header:
        match = re.fullmatch(r"(.*?)[\s_.\[(/-]*(\d+)[\])]?", name)
        if match:
            found.setdefault(match[1].lower(), []).append((int(match[2]), name))
    return {stem: [name for _, name in sorted(columns)] for stem, columns in found.items()}


def _time(header: list[str], wanted: dict[str, tuple[str, str]], path: Path) -> tuple[str, float | None]:
    """Return the time column and its unit [s]; None where that is not known."""
    if "time" in wanted:
        name, unit = wanted["time"]
        if name not in header:
            raise DataError(
                f"{path} has no column '{name}'; did you mean '{nearest(name, header)}'? There are {listed(header)}"
            )
        return name, TIME_UNITS[unit] if unit else None
    for name in header:
        if name.lower() in TIME:
            return name, None
    raise DataError(f"{path} has no time column among {listed(header)}; name it with time=COLUMN[:unit]")


def _columns(
    kind: str,
    wanted: dict[str, tuple[str, str]],
    by_stem: dict[str, list[str]],
    header: list[str],
    path: Path,
    count: int = 0,
) -> tuple[list[str], float]:
    """Return the column names of q or qd and the factor to SI units; no names where velocities are missing."""
    if kind in wanted:
        pattern, unit = wanted[kind]
        return _expanded(pattern, header, path), TIME_UNITS[unit] if unit else 1.0
    for stem in STEMS[kind]:
        if stem in by_stem and (not count or len(by_stem[stem]) == count):
            return by_stem[stem], 1.0
    if kind == "q":
        raise DataError(
            f"{path} has no position columns among {listed(header)}; name them with q=COLUMNS, {{}} for the number"
        )
    return [], 1.0


def _expanded(pattern: str, header: list[str], path: Path) -> list[str]:
    """Return the columns that fit a pattern such as Position{}: by number where {} is one, else in the file's order."""
    if "{}" not in pattern:
        names = [pattern] if pattern in header else []
    else:
        before, after = pattern.split("{}", 1)
        fitting = [
            (name[len(before) : len(name) - len(after)], name)
            for name in header
            if name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after)
        ]
        numbered = [(int(gap), name) for gap, name in fitting if gap.isdigit()]
        names = [name for _, name in sorted(numbered)] if numbered else [name for _, name in fitting]
    if not names:
        raise DataError(
            f"{path} has no column '{pattern}'; did you mean '{nearest(pattern, header)}'? There are {listed(header)}"
        )
    return names


def _command(
    wanted: dict[str, tuple[str, str]],
    by_stem: dict[str, list[str]],
    column: dict[str, Array],
    n: int,
    header: list[str],
    path: Path,
    notes: list[str],
) -> _Command:
    """Return the commands: those the column map names, else the first of COMMANDS that changes."""
    if "u" in wanted:
        pattern, unit = wanted["u"]
        names = _expanded(pattern, header, path)
        if len(names) != n:
            raise DataError(f"{path}: '{pattern}' gives {len(names)} columns for {n} joints")
        scale = TIME_UNITS[unit] if unit else 1.0
        u = scale * np.column_stack([column[name] for name in names])
        return _Command(u, f"columns {pattern}", "effort")
    for stem, interface in COMMANDS:
        names = by_stem.get(stem, [])
        if len(names) != n:
            continue
        values = np.column_stack([column[name] for name in names])
        if np.nanmax(np.ptp(values[np.isfinite(values).all(axis=1)], axis=0), initial=0.0) > 0.0:
            return _Command(values, f"columns {names[0]} to {names[-1]}", interface)
        notes.append(f"columns {names[0]} to {names[-1]} never change: not taken for commands")
    return _Command(None, "", "effort")


def _joint_names(q_names: list[str]) -> tuple[str, ...]:
    digits = [re.search(r"(\d+)\D*$", name) for name in q_names]
    return tuple(f"joint{match[1]}" if match else name for match, name in zip(digits, q_names, strict=True))
