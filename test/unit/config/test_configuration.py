"""Settings: one default each, clear errors, nothing unread."""

import math

import pytest

from mbrl_ros.config.configuration import Configuration, documented, section_types
from mbrl_ros.config.registry import FAMILIES, names
from mbrl_ros.config.section import per_joint
from mbrl_ros.config.settings_file import load_configuration
from mbrl_ros.exceptions import ConfigurationError


def test_an_unknown_key_names_the_nearest_valid_one():
    with pytest.raises(ConfigurationError, match=r"unknown setting 'planner\.horizn'; did you mean 'planner\.horizon'"):
        Configuration.from_flat({"planner.horizn": 20})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("planner.horizon", 0, r"\[2, 500\]"),
        ("planner.horizon", 12.5, "a whole number"),
        ("planner.horizon", "long", "a whole number"),
        ("control.rate", math.nan, "a number"),
        ("dynamics.estimator", "refitt", "did you mean 'refit'"),
        ("robot.joints", 3, "must be text"),
        ("prior.integrator.strength", (-1.0,), r"\[0.001, inf\]"),
    ],
)
def test_a_wrong_value_says_where_and_what_is_allowed(key, value, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        Configuration.from_flat({key: value}, source="arm.yaml")
    assert key in str(caught.value) and "arm.yaml" in str(caught.value)


def test_a_yaml_file_overrides_defaults_and_nothing_else(tmp_path):
    file = tmp_path / "arm.yaml"
    file.write_text("planner: {horizon: 42}\ncost:\n  point_target: {weight: 7.0}\n")
    configuration = load_configuration(file, {"control.rate": 100.0})
    assert configuration.planner.horizon == 42 and configuration.costs["point_target"].weight == 7.0
    assert configuration.control.rate == 100.0
    changed = {key for key, value in configuration.flat().items() if value != Configuration.from_flat({}).flat()[key]}
    assert changed == {"planner.horizon", "cost.point_target.weight", "control.rate"}


def test_every_setting_is_documented_and_its_default_valid():
    plugins = {f"{family}.{name}" for family in FAMILIES for name in names(family)}  # they may have no settings
    for prefix, kind in section_types().items():
        kind()  # checks every default against its own bounds
        assert kind.infos() or prefix in plugins, prefix
    for key, _, info in documented():
        assert len(info.doc) > 5, key


def test_replace_keeps_the_rest():
    changed = Configuration.from_flat({"planner.horizon": 20}).replace(control__rate=50.0)
    assert changed.planner.horizon == 20 and changed.control.rate == 50.0


def test_per_joint_values_are_one_or_one_each():
    assert per_joint((2.0,), 3, "x").tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(ConfigurationError, match=r"1 or 3 entries \(one per joint\), got 2"):
        per_joint((1.0, 2.0), 3, "x")
