"""What summary.json of a demo run has for the verdict, without a fault."""

from __future__ import annotations

from typing import Any


def faultless(**parts: Any) -> dict[str, Any]:
    """Return a summary of a run without targets, payload or fault, and `parts` beside."""
    return {
        "targets": [],
        "feature_targets": [],
        "payload": None,
        "limit_violations": 0,
        "max_joint_speed_fraction": 0.5,
        "ticks": {},
        "supervisor": {"lost_s": None, "state": "ACTIVE", "cause": "none"},
        **parts,
    }
