"""Names that settings had in earlier recordings, so that those stay readable. Files of settings must use the present names."""

from __future__ import annotations

PREFIXES = {"trust.": "consistency."}
NAMES = {
    "supervisor.distrust": "supervisor.on_inconsistency",
    "distillation.caution": "distillation.inertia_scale",
    "supervisor.fine_after": "supervisor.nominal_after",
    "supervisor.longest_outage": "supervisor.stale_limit",
}


def current(name: str) -> str:
    """The present name of the setting that a recording calls `name`."""
    if name in NAMES:
        return NAMES[name]
    for old, new in PREFIXES.items():
        if name.startswith(old):
            return new + name[len(old) :]
    return name
