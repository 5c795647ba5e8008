"""One finding about a robot's joint states and commands, and findings as text."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from ..console.plain import printable


class Level(enum.Enum):
    """How bad: an error keeps the controller from working, a warning from working well."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """`what` was found; `advice`: what to do, empty where nothing needs doing."""

    level: Level
    what: str
    advice: str = ""


def ok(what: str, advice: str = "") -> Finding:
    """Return a finding that needs no action."""
    return Finding(Level.OK, what, advice)


def warning(what: str, advice: str) -> Finding:
    """Return a finding that keeps the controller from working well."""
    return Finding(Level.WARNING, what, advice)


def error(what: str, advice: str) -> Finding:
    """Return a finding that keeps the controller from working."""
    return Finding(Level.ERROR, what, advice)


def text(found: Sequence[Finding]) -> str:
    """Return one line per finding, the worst first, each with what to do."""
    order = [Level.ERROR, Level.WARNING, Level.OK]
    lines = []
    for finding in sorted(found, key=lambda f: order.index(f.level)):
        lines.append(f"{finding.level.value:>8}  {printable(finding.what, kept='')}")
        if finding.advice:
            lines.append(f"{'':>8}  -> {printable(finding.advice, kept='')}")
    errors, warnings = (sum(f.level is level for f in found) for level in (Level.ERROR, Level.WARNING))
    return "\n".join([*lines, f"{errors} errors, {warnings} warnings"])
