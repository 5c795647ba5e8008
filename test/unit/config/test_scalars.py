"""Values as ROS reads them; test/integration/test_parameter_files.py compares them with ROS itself."""

import math

import numpy as np
import pytest
import yaml

from mbrl_ros.config.scalars import parse, quoted, value_of, written
from mbrl_ros.exceptions import ConfigurationError

# What rclpy (Jazzy) reads of each, written without quotes.
READ = {
    **dict.fromkeys(("y", "Y", "yes", "on", "On", "true", "TRUE"), True),
    **dict.fromkeys(("n", "N", "no", "off", "False"), False),
    **{"1": 1, "-1": -1, "+1": 1, "0x10": 16, "-0x10": -16, "0X1F": 31, "017": 15, "9223372036854775807": 2**63 - 1},
    **{"1e3": 1000.0, "5e-2": 0.05, "1.e3": 1000.0, ".5": 0.5, "-.5": -0.5, "5.": 5.0, "08": 8.0, "0x1p3": 8.0},
    **{"0x1.8": 1.5, "9223372036854775808": 2.0**63, "0e9": 0.0, "1.7e308": 1.7e308},
    **dict.fromkeys((".inf", "+.inf", ".Inf", "inf", "Infinity"), math.inf),
    **dict.fromkeys(("-.inf", "-inf"), -math.inf),
}
TEXTS = "tRUE ~ null 1_000 0b11 0o17 0x 1:30 2001-01-01 1,5 1.5.2 1e . + -. e1 .e1 1e400 1e-400 -.nan 1d".split()


@pytest.mark.parametrize(("text", "value"), READ.items())
def test_a_value_without_quotes_is_what_ros_reads(text, value):
    assert value_of(text) == value and type(value_of(text)) is type(value)
    assert value_of(text, quoted=True) == text


@pytest.mark.parametrize("text", TEXTS)
def test_everything_else_is_text(text):
    assert value_of(text) == text


@pytest.mark.parametrize("text", [".nan", ".NaN", "nan", "NAN", "nan(1)"])
def test_not_a_number(text):
    assert math.isnan(value_of(text))


NAMES = [
    "x",
    "y",
    "on",
    "1e3",
    "1",
    "~",
    "null",
    "joint_1",
    "a b",
    "",
    "a:b",
    "#a",
    "0x10",
    "é",
    '"',
    "a\tb",
    "inf",
    "-",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_text_is_written_so_that_it_stays_the_same_text(name):
    assert parse(quoted(name)) == name and yaml.safe_load(f"[{quoted(name)}]") == [name]
    assert parse(written([name, "other"])) == [name, "other"]


def test_only_what_could_be_taken_for_something_else_is_quoted():
    assert [quoted(name) for name in ("joint_1", "y", "Off", "1e3")] == ["joint_1", '"y"', '"Off"', '"1e3"']


@pytest.mark.parametrize("value", [True, False, 0, -3, 1.0, 1e-5, 1e300, -math.inf, [1, 2], [0.5, 1.5], [True, False]])
def test_numbers_are_written_so_that_they_stay_the_same(value):
    again = parse(written(value))
    assert again == value and repr(again) == repr(value)


def test_a_list_of_numbers_is_written_as_one_kind():
    assert written((1, 0.5)) == "[1.0, 0.5]" and written(math.nan) == ".nan"
    with pytest.raises(TypeError, match="cannot hold None"):
        written(None)


def test_a_value_on_the_command_line_is_one_value_or_a_list():
    assert parse("5e-2") == 0.05 and parse("[1, 0.5]") == [1, 0.5] and parse("") == "" and parse("[]") == []
    for wrong in ("{a: 1}", "[[1]]", "[1"):
        with pytest.raises(ConfigurationError):
            parse(wrong)


def test_numbers_of_numpy_are_written_as_those_of_python():
    values = [np.float64(0.1), np.float32(0.5), np.int64(3)]
    assert written(values) == "[0.1, 0.5, 3.0]" and written(np.linspace(0.0, 1.0, 3)) == "[0.0, 0.5, 1.0]"
    assert [written(value) for value in (*values, np.bool_(True))] == ["0.1", "0.5", "3", "true"]
