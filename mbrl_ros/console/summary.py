"""Summaries of runs, as summary.json holds them, for tables."""

from __future__ import annotations

from typing import Any


def flat(summary: Any, prefix: str = "") -> dict[str, Any]:
    """The summary with one entry per number, keys joined by dots."""
    if isinstance(summary, dict):
        pairs = summary.items()
    elif isinstance(summary, list):
        pairs = enumerate(summary, 1)
    else:
        return {prefix: summary}
    return {
        key: value
        for name, entry in pairs
        for key, value in flat(entry, f"{prefix}.{name}" if prefix else str(name)).items()
    }
