"""What the page shows of the model's health: numbers with units, unknown ones by name, and curves with their bounds."""

import math

import pytest

from mbrl_ros.replay.health import HEALTH_FIELDS
from mbrl_ros.view.health import HEALTH_PLOTS, HEALTH_VALUES, WRENCH, health_text, health_values
from mbrl_ros.view.panel import text_of
from mbrl_ros.view.snapshot import Curves, Snapshot

KNOWN = {name: 1.0 for name in HEALTH_FIELDS} | {"nis": 3.0, "nis_bound": 12.0, "mass": 1.25}
KNOWN |= dict.fromkeys(WRENCH, -2.0)


def test_numbers_have_units_and_unknown_ones_are_named():
    text = health_text(KNOWN)
    assert "1.25 kg" in text and "-2.00, -2.00, -2.00 N<" in text and "-2.00, -2.00, -2.00 N m" in text
    unknown = health_text({**dict.fromkeys(HEALTH_FIELDS, math.nan), "transitions": 7.0})
    assert "nan" not in unknown and unknown.count("not known") == 10 and "7 transitions" in unknown
    assert health_text({}) == ""


def test_curves_have_every_value_and_the_bound_of_the_nis():
    values = health_values(KNOWN)
    assert tuple(values) == HEALTH_VALUES and values["surprise"] == 0.25 and values["bound"] == 1.0
    assert math.isnan(health_values({"nis": 1.0, "nis_bound": 0.0})["surprise"])
    curves = Curves(0.1, names=HEALTH_VALUES)
    curves.add(1.0, values)
    curves.add(2.0, {})
    arrays = curves.arrays()
    assert arrays["mass"] == pytest.approx([1.25, math.nan], nan_ok=True) and set(arrays) == {"time", *HEALTH_VALUES}
    assert {name for plot in HEALTH_PLOTS for name in plot.values} == set(HEALTH_VALUES)
    assert all("[" in plot.title or plot.ends or "bound" in plot.title for plot in HEALTH_PLOTS)  # a unit or a bound


def test_a_page_of_the_health_alone_says_nothing_of_a_controller():
    assert "not known yet" not in text_of(Snapshot(health=KNOWN)) and "not known yet" in text_of(Snapshot())
