"""What model_health_node tells, on the page: numbers in a table, and curves with their units and bounds."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass

WRENCH = ("force_x", "force_y", "force_z", "torque_x", "torque_y", "torque_z")  # [N], [N m], in the frame of the tip
SURPRISE, BOUND = "surprise", "bound"  # NIS over its bound, and that bound, 1
HEALTH_VALUES = ("mass", *WRENCH, "trust", "delay", "delay_estimated", "prediction_error", SURPRISE, BOUND)
BLUE_LINE, RED_LINE, GREEN_LINE = "#1a80e6", "#d02020", "#1a9030"


@dataclass(frozen=True)
class HealthPlot:
    """A plot of some HEALTH_VALUES: {value: color}, its title, and the ends of its ordinate (None: as the data)."""

    title: str
    values: dict[str, str]
    ends: tuple[float, float] | None = None


_XYZ = (RED_LINE, GREEN_LINE, BLUE_LINE)
HEALTH_PLOTS = (
    HealthPlot("payload [kg]", {"mass": BLUE_LINE}),
    HealthPlot("external force [N]: x red, y green, z blue", dict(zip(WRENCH[:3], _XYZ, strict=True))),
    HealthPlot("external torque [N m]: x red, y green, z blue", dict(zip(WRENCH[3:], _XYZ, strict=True))),
    HealthPlot("trust in the model, 0 to 1", {"trust": BLUE_LINE}, (0.0, 1.05)),
    HealthPlot("delay in use [periods]", {"delay": BLUE_LINE}),
    HealthPlot("delay estimated [periods]", {"delay_estimated": BLUE_LINE}),
    HealthPlot("prediction error, RMS [rad/s or m/s]", {"prediction_error": BLUE_LINE}),
    HealthPlot("NIS over its 95 % bound (red: the bound)", {SURPRISE: BLUE_LINE, BOUND: RED_LINE}),
)


def health_values(health: Mapping[str, float]) -> dict[str, float]:
    """Return {value: number} of HEALTH_VALUES from the fields of ~/health and WRENCH; what is not known is NaN."""
    bound = health.get("nis_bound", math.nan)
    found = {name: health.get(name, math.nan) for name in HEALTH_VALUES}
    return {**found, SURPRISE: health.get("nis", math.nan) / bound if bound > 0.0 else math.nan, BOUND: 1.0}


def health_text(health: Mapping[str, float]) -> str:
    """Return a table of the newest values as HTML; empty without any."""
    if not health:
        return ""

    def number(name: str, form: str, unit: str = "") -> str:
        value = health.get(name, math.nan)
        return f"{value:{form}}{unit}" if math.isfinite(value) else "not known"

    force, torque = (
        ", ".join(number(name, ".2f") for name in names) + unit if math.isfinite(health.get(names[0], math.nan)) else ""
        for names, unit in ((WRENCH[:3], " N"), (WRENCH[3:], " N m"))
    )
    rows = {
        "payload": number("mass", ".2f", " kg"),
        "external force (x, y, z)": force or "not known",
        "external torque (x, y, z)": torque or "not known",
        "trust in the model": number("trust", ".2f"),
        "delay in use": number("delay", ".2f", " periods"),
        "delay estimated": f"{number('delay_estimated', '.2f', ' periods')}, confidence "
        f"{number('delay_confidence', '.2f')}",
        "prediction error": number("prediction_error", ".4f", " rad/s or m/s"),
        "NIS, its 95 % bound": f"{number('nis', '.2f')}, {number('nis_bound', '.2f')}",
        "learned from": number("transitions", ".0f", " transitions"),
    }
    lines = "".join(f"<tr><td>{html.escape(name)}</td><td><b>{value}</b></td></tr>" for name, value in rows.items())
    return f"<div style='margin-top: 0.6em'>health of the model</div><table>{lines}</table>"
