"""Names that settings had in earlier recordings, so that those stay readable; files must use the present names.

EARLIER_VALUES are those of settings that an earlier recording does not have, where its node did not do what the default
asks for.
"""

from __future__ import annotations

PREFIXES = {"pid.": "controller.pid.", "trust.": "consistency."}
RENAMED_SETTINGS = {
    "consistency.doubt": "consistency.warning",
    "consistency.lost": "consistency.inconsistent",
    "control.sure_change": "control.known_delay_factor",
    "distillation.attraction": "distillation.kl_weight",
    "distillation.caution": "distillation.inertia_scale",
    "planner.acting": "planner.execution",
    "reference.look_amplitude": "reference.excitation_amplitude",
    "reference.look_frequency": "reference.excitation_frequency",
    "supervisor.distrust": "supervisor.on_inconsistency",
    "supervisor.fine_after": "supervisor.nominal_after",
    "supervisor.longest_outage": "supervisor.stale_limit",
}
EARLIER_VALUES: dict[str, float | bool] = {"reference.stop_distance": 0.0, "reference.wait_for_arm": False}


def current(name: str) -> str:
    """Return the present name of the setting that a recording calls `name`."""
    for old, new in PREFIXES.items():
        if name.startswith(old):
            name = new + name[len(old) :]
    return RENAMED_SETTINGS.get(name, name)
