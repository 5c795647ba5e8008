"""Flatten the summaries of runs, as summary.json holds them, for tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def flat(summary: Any, prefix: str = "") -> dict[str, Any]:
    """Return the summary with one entry per number, its keys joined by dots; entries of lists are counted from 1."""
    entries: Iterable[tuple[Any, Any]]
    if isinstance(summary, dict):
        entries = summary.items()
    elif isinstance(summary, list):
        entries = enumerate(summary, 1)
    else:
        return {prefix: summary}
    return {
        key: value
        for name, entry in entries
        for key, value in flat(entry, f"{prefix}.{name}" if prefix else str(name)).items()
    }
