"""guard_node's parameters are listed twice, because the guard imports nothing of the package: both lists must agree."""

from dataclasses import fields

import pytest

from mbrl_ros.config.sections.nodes import GuardNodeSettings
from mbrl_ros.guard.settings import BOUNDS, GuardSettings


def test_the_guards_own_parameters_are_those_of_the_package():
    listed = GuardNodeSettings.infos()
    assert [field.name for field in fields(GuardSettings)] == list(listed) == list(BOUNDS)
    for field in fields(GuardSettings):
        default, info = listed[field.name]
        bounds = BOUNDS[field.name]
        assert (field.default, type(field.default)) == (default, type(default))
        assert (bounds.low, bounds.high, bounds.unit, bounds.text) == (info.low, info.high, info.unit, info.doc)


@pytest.mark.parametrize("name", [name for name, bounds in BOUNDS.items() if bounds.low > -1e9])
def test_a_value_outside_its_bounds_is_refused_by_name(name):
    kind = type(getattr(GuardSettings(), name))
    for value in (kind(BOUNDS[name].low - 1), kind(BOUNDS[name].high + 1), "much"):
        with pytest.raises(ValueError, match=name):
            GuardSettings(**{name: value})


def test_a_whole_number_is_taken_for_a_real_one():
    assert GuardSettings(missing_periods=3).missing_periods == 3.0
