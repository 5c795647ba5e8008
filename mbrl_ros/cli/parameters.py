"""Tables of every setting, from the one place where each is declared (config/section.py and the plug-ins)."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..config.section import Info
from ..exceptions import DataError

HELP = "print the table of all settings as Markdown, or update it in a file"
BEGIN, END = "<!-- parameters: begin (mbrl parameters --update FILE) -->", "<!-- parameters: end -->"
COLUMNS = ("key", "default", "unit", "range", "dynamic", "description")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--update", metavar="FILE", type=Path, help="rewrite the table between the markers of FILE")
    action.add_argument("--check", metavar="FILE", type=Path, help="exit with 1 if the table in FILE is stale")


def run(args: argparse.Namespace) -> int:
    if args.update:
        args.update.write_text(updated(args.update), encoding="utf-8")
    elif args.check:
        if updated(args.check) != args.check.read_text(encoding="utf-8"):
            print(f"{args.check} is stale: run 'mbrl parameters --update {args.check}'")
            return 1
    else:
        print(tables())
    return 0


def settings() -> dict[str, list[tuple[str, Any, Info]]]:
    """{whose parameters: [(key, default, Info)]}: the controller's (also without ROS), mpc_node's own, sim_node's,
    distillation_node's.
    """
    from ..config.configuration import documented
    from ..config.sections.nodes import DistillationNodeSettings, NodeSettings, SimNodeSettings
    from ..config.sections.simulation import CameraSettings, PlantSettings

    def section(kind, prefix: str = "") -> list[tuple[str, Any, Info]]:
        return [(prefix + name, default, info) for name, (default, info) in kind.infos().items()]

    return {
        "The controller, in `mpc_node` and without ROS": list(documented()),
        "`mpc_node` itself": section(NodeSettings),
        "`sim_node`, besides `robot.*`": [
            *section(SimNodeSettings),
            *section(PlantSettings, "plant."),
            *section(CameraSettings, "camera."),
        ],
        "`distillation_node`, besides `robot.*` and `distillation.*`": section(DistillationNodeSettings),
    }


def tables() -> str:
    """Markdown: a titled table for every entry of settings()."""
    return "\n\n".join(f"**{title}**\n\n{table(entries)}" for title, entries in settings().items())


def table(entries: Iterable[tuple[str, Any, Info]]) -> str:
    """Markdown, one row per setting."""
    rows = [COLUMNS, tuple("---" for _ in COLUMNS)]
    for key, default, info in entries:
        rows.append(
            (
                f"`{key}`",
                f"`{spelled(default)}`",
                info.unit,
                allowed(info),
                "yes" if info.dynamic else "",
                info.doc + (" (one entry, or one per joint)" if info.per_joint else ""),
            )
        )
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def updated(path: Path) -> str:
    """The text of `path` with the present tables between its markers."""
    text = path.read_text(encoding="utf-8")
    before, found, rest = text.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise DataError(f"{path}: put these two lines where the table belongs:\n{BEGIN}\n{END}")
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def spelled(value: Any) -> str:
    """A default as YAML writes it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(spelled(entry) for entry in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else str(value)


def allowed(info: Info) -> str:
    """The choices, or the interval."""
    if info.choices:
        return ", ".join(str(choice) for choice in info.choices)
    low, high = info.low > -math.inf, info.high < math.inf
    if low and high:
        return f"{info.low:g} to {info.high:g}"
    return f"at least {info.low:g}" if low else f"at most {info.high:g}" if high else ""
