"""What a value may be: coerced where that is safe, refused with the allowed kind where it is not."""

import dataclasses

import pytest

from mbrl_ros.config.configuration import documented
from mbrl_ros.config.renamed import EARLIER_VALUES, RENAMED_SETTINGS, current
from mbrl_ros.config.section import Section, setting
from mbrl_ros.exceptions import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Example(Section):
    share: float = setting(0.5, "a share", low=0.0, high=1.0)
    count: int = setting(3, "a count", low=1)
    gains: tuple[float, ...] = setting((1.0,), "gains", low=0.0)
    on: bool = setting(True, "a switch")
    name: str = setting("a", "a name", choices=("a", "b"))


def test_numbers_are_coerced_where_nothing_is_lost():
    values = Example(share=1, count=4.0, gains=2)
    assert values == Example(share=1.0, count=4, gains=(2.0,))
    assert type(values.share) is float and type(values.count) is int


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"share": True}, "must be a number"),
        ({"share": "0.5"}, "must be a number"),
        ({"share": float("nan")}, "must be a number"),
        ({"share": 1.5}, r"must lie in \[0, 1\]"),
        ({"count": 2.5}, "must be a whole number"),
        ({"count": 0}, "must lie in"),
        ({"gains": "12"}, "must be a number"),
        ({"gains": (1.0, -1.0)}, "must lie in"),
        ({"on": 1}, "must be true or false"),
        ({"name": "c"}, "must be one of"),
    ],
)
def test_what_is_not_safe_is_refused(wrong, message):
    with pytest.raises(ConfigurationError, match=message) as refused:
        Example(**wrong)
    assert refused.value.key == next(iter(wrong))


def test_every_former_name_leads_to_a_setting_of_today():
    known = {key for key, _, _ in documented()}
    assert {current(name) for name in RENAMED_SETTINGS} <= known
    assert current("trust.doubt") == current("consistency.doubt") == "consistency.warning"
    assert not known & set(RENAMED_SETTINGS)
    assert all(current(key) == key for key in known)
    assert set(EARLIER_VALUES) <= known
