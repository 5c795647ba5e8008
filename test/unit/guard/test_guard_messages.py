"""What mpc_node and the guard tell each other: read as written, and refused where it is not what it should be."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from mbrl_ros.guard.messages import (
    LARGEST,
    LONGEST_TEXT,
    MATRICES,
    MOST_GUARDED_JOINTS,
    SCALARS,
    VECTORS,
    GuardMessageError,
    GuardStatus,
    read_parameters,
    read_status,
    write_parameters,
    write_status,
)
from support.guards import Dimension, empty_message, parameters

FIRST_FIELD = 5  # labels before it: version and four texts


def written(**changes):
    return write_parameters(parameters(**changes), empty_message(), Dimension)


@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
def test_parameters_are_read_as_written(interface):
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(3, 3))
    sent = parameters(interface=interface, n=3, inertia=factor @ factor.T, position_upper=np.array([1.0, np.inf, 2.0]))
    got = read_parameters(write_parameters(sent, empty_message(), Dimension))
    for field in dataclasses.fields(sent):
        np.testing.assert_array_equal(getattr(got, field.name), getattr(sent, field.name), field.name)


def test_a_name_of_any_length_does_not_keep_the_guard_from_its_parameters():
    assert read_parameters(written(robot="x" * 1000)).robot == "x" * LONGEST_TEXT


@pytest.mark.parametrize("u", (None, np.array([1.0, -2.0])))
def test_the_status_is_read_as_written(u):
    sent = GuardStatus("ACTING", "no command for 15 ms", "/mpc_node", 2, 2**32 + 1, True, 0.25, 10, 11, 12, 13, u)
    got = read_status(write_status(sent, empty_message(), Dimension))
    for field in dataclasses.fields(sent):
        np.testing.assert_array_equal(getattr(got, field.name), getattr(sent, field.name), field.name)


@pytest.mark.parametrize("name", (*SCALARS, *VECTORS, *MATRICES))
@pytest.mark.parametrize("value", (np.nan, np.inf, -np.inf, 1e300))
def test_no_value_is_taken_that_no_robot_has(name, value):
    message, at = written(n=2), 0
    for label in message.layout.dim[FIRST_FIELD:]:
        if label.label == name:
            break
        at += label.size
    message.data[at] = value
    endless = name in ("position_lower", "position_upper") and abs(value) == np.inf
    if endless and (value > 0) == (name == "position_upper"):
        assert getattr(read_parameters(message), name)[0] == value  # a continuous joint
    else:
        with pytest.raises(GuardMessageError):
            read_parameters(message)


@pytest.mark.parametrize(
    "changes",
    (
        {"interface": "torque"},
        {"anchor": "somewhere"},
        {"period": 0.0},
        {"period": 1.5},
        {"state_timeout": 0.0},
        {"carry_time": -1.0},
        {"readers": -1},
        {"joints": ("joint1", "joint1")},
        {"joints": ("joint1", "")},
        {"joints": ("joint1", "x" * 300)},
        {"lower": np.array([1.0, -1.0]), "upper": np.array([1.0, 1.0])},
        {"acceleration": np.array([0.0, 1.0])},
        {"velocity": np.array([-1.0, 1.0])},
        {"largest_step": np.zeros(2)},
        {"mean": np.array([2.0 * LARGEST, 0.0])},
        {"mean": np.zeros(3)},
        {"stiffness": np.array([[1.0, 2.0], [-2.0, 1.0]])},
        {"damping": np.array([[1.0, 2.0], [2.0, 1.0]])},
        {"inertia": np.zeros((0, 0))},
        {"n": MOST_GUARDED_JOINTS + 1},
    ),
    ids=str,
)
def test_what_no_sender_means_is_refused(changes):
    with pytest.raises(GuardMessageError):
        read_parameters(written(**changes))


def test_damaged_layouts_are_refused_whatever_they_announce():
    """Sizes that do not fit, fields missing, doubled or in another order, other versions: never another error."""
    rng = np.random.default_rng(1)
    for _ in range(500):
        message = written(n=int(rng.integers(1, 5)), interface=str(rng.choice(("effort", "velocity"))))
        dim, kind = message.layout.dim, rng.integers(6)
        k = int(rng.integers(len(dim)))
        if kind == 0:
            dim[k].size = int(rng.integers(2**32))
        elif kind == 1:
            dim[k].label += "?"
        elif kind == 2:
            del dim[k]
        elif kind == 3:
            dim.insert(k, Dimension(dim[k].label, dim[k].size, 0))
        elif kind == 4:
            message.data = message.data[: int(rng.integers(len(message.data)))]
        else:
            message.data = [*message.data, *rng.normal(size=int(rng.integers(1, 50)))]
        try:
            read_parameters(message)
        except GuardMessageError:
            continue
        # A label of a text or a joint may change without a contradiction, or the size of one that has no values.
        assert kind in (0, 1, 2, 3)


def test_another_message_is_refused_in_one_line():
    for message in (empty_message(), written(n=1)):
        with pytest.raises(GuardMessageError) as caught:
            read_status(message)
        assert "\n" not in str(caught.value)
    with pytest.raises(GuardMessageError, match="without labels"):
        read_parameters(SimpleNamespace(layout=SimpleNamespace(dim=[]), data=[1.0]))
