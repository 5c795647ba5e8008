"""Values: made quickly, they are what dataclasses make of them."""

import copy
import dataclasses
import inspect
import pickle

import pytest

from mbrl_ros.types import quick_init


@dataclasses.dataclass(frozen=True, slots=True)
class Plain:
    """A value."""

    first: float
    second: list[float]
    third: float = 3.0
    fourth: dict[str, float] = dataclasses.field(default_factory=dict)


@quick_init
@dataclasses.dataclass(frozen=True, slots=True)
class Quick:
    """The same value."""

    first: float
    second: list[float]
    third: float = 3.0
    fourth: dict[str, float] = dataclasses.field(default_factory=dict)


def test_a_value_has_what_it_was_given_and_the_defaults():
    given = [1.0]
    value = Quick(1.0, second=given)
    assert type(value) is Quick and value.second is given
    assert dataclasses.astuple(value) == dataclasses.astuple(Plain(1.0, given))
    assert value.fourth is not Quick(1.0, given).fourth
    assert dataclasses.astuple(Quick(1.0, [], 4.0, {"a": 1.0})) == (1.0, [], 4.0, {"a": 1.0})
    assert (
        value == Quick(1.0, [1.0])
        and value != Quick(2.0, [1.0])
        and repr(value) == f"Quick{repr(Plain(1.0, given))[5:]}"
    )


@pytest.mark.parametrize("arguments", [(), (1.0,), (1.0, [], 3.0, {}, 5.0)])
def test_a_wrong_number_of_arguments_is_an_error(arguments):
    for kind in (Plain, Quick):
        with pytest.raises(TypeError, match="argument"):
            kind(*arguments)
    with pytest.raises(TypeError, match="fifth"):
        Quick(1.0, [], fifth=5.0)
    assert list(inspect.signature(Quick).parameters) == list(inspect.signature(Plain).parameters)


def test_a_value_stays_frozen():
    value = Quick(1.0, [])
    for name in ("first", "other"):
        with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
            setattr(value, name, 2.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        del value.first
    assert value.first == 1.0


def test_values_are_replaced_copied_and_pickled():
    value = Quick(1.0, [2.0])
    assert dataclasses.replace(value, third=5.0) == Quick(1.0, [2.0], 5.0)
    for other in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert other == value and type(other) is Quick


def test_an_object_of_a_subclass_stays_one():
    class More(Quick):
        """It has a dictionary, which its base class has not."""

    value = More(1.0, [2.0])
    assert type(value) is More and dataclasses.astuple(value) == dataclasses.astuple(Quick(1.0, [2.0]))
    assert value.fourth is not More(1.0, []).fourth
