"""`mbrl parameters`: tables of every setting, from the one place where each is declared (config/sections, plug-ins)."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable
from typing import Any

from ..config.section import Info
from . import _pages

HELP = "print the table of all settings as Markdown, or update it in a file"
COMMAND = "parameters"
SETTING_COLUMNS = ("key", "default", "unit", "range", "dynamic", "description")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    _pages.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the tables, or update or check them in a page, and name the plug-ins that cannot be used."""
    from ..config import registry

    for problem in registry.problems():
        print(f"mbrl: {problem}", file=sys.stderr)
    return _pages.run(args, COMMAND, tables)


def settings() -> dict[str, list[tuple[str, Any, Info]]]:
    """Return the settings of each node.

    Returns
    -------
    dict
        {whose settings: [(key, default, Info)]}: the controller's (also without ROS), those of each node besides, and
        those of `mbrl learn`.
    """
    from ..config import registry
    from ..config.configuration import documented
    from ..config.sections.images import ImageSettings
    from ..config.sections.nodes import (
        DisplayNodeSettings,
        DistillationNodeSettings,
        GuardNodeSettings,
        HealthNodeSettings,
        NodeSettings,
        RecordNodeSettings,
        ReplayNodeSettings,
        ViewNodeSettings,
    )
    from ..config.sections.sim_node import SimNodeSettings
    from ..config.sections.simulation import CameraSettings, PlantSettings
    from ..config.sections.vision import FeatureNodeSettings
    from ..learning.catalog import LEARNING_METHODS, settings_of

    def section(kind, prefix: str = "") -> list[tuple[str, Any, Info]]:
        return [(prefix + name, default, info) for name, (default, info) in kind.infos().items()]

    return {
        "The controller, in `mpc_node` and without ROS": list(documented()),
        "`mpc_node` itself": section(NodeSettings),
        "`sim_node`, besides `robot.*`": [
            *section(SimNodeSettings),
            *section(PlantSettings, "plant."),
            *section(CameraSettings, "camera."),
            *section(ImageSettings, "image."),
        ],
        "`distillation_node`, besides `robot.*` and `distillation.*`": section(DistillationNodeSettings),
        "`guard_node`": section(GuardNodeSettings),
        "`model_health_node`, besides those of the controller": section(HealthNodeSettings),
        "`record_node`": section(RecordNodeSettings),
        "`replay_node`": section(ReplayNodeSettings),
        "`view_node`": section(ViewNodeSettings),
        "`display_node`, besides `robot.*`": section(DisplayNodeSettings),
        "`feature_node`": [
            *section(FeatureNodeSettings),
            *(
                row
                for name, kind in registry.settings_types("vision").items()
                for row in section(kind, f"vision.{name}.")
            ),
        ],
        **{
            f"`mbrl learn --method {name} --set KEY=VALUE`": section(found)
            for name in LEARNING_METHODS
            if (found := settings_of(name)) is not None
        },
    }


def tables() -> str:
    """Return Markdown: a titled table for every entry of settings()."""
    return "\n\n".join(f"**{title}**\n\n{table(entries)}" for title, entries in settings().items())


def table(entries: Iterable[tuple[str, Any, Info]]) -> str:
    """Return Markdown, one row per setting."""
    return _pages.table(SETTING_COLUMNS, [_row(key, default, info) for key, default, info in entries])


def _row(key: str, default: Any, info: Info) -> tuple[str, ...]:
    description = info.doc + (" (one entry, or one per joint)" if info.per_joint else "")
    dynamic = "yes" if info.dynamic else ""
    return f"`{key}`", f"`{spelled(default)}`", info.unit, allowed(info), dynamic, description


def spelled(value: Any) -> str:
    """Return a default as YAML writes it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(spelled(entry) for entry in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else str(value)


def allowed(info: Info) -> str:
    """Return the choices, or the interval."""
    if info.choices:
        return ", ".join(str(choice) for choice in info.choices)
    low, high = info.low > -math.inf, info.high < math.inf
    if low and high:
        return f"{info.low:g} to {info.high:g}"
    return f"at least {info.low:g}" if low else f"at most {info.high:g}" if high else ""
