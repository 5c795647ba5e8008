"""Flat arrays with named fields are read by their names; what is none has no effect."""

from types import SimpleNamespace as Fields

import pytest

from mbrl_ros.messages.flat import flat_fields


def message(labels, data):
    return Fields(layout=Fields(dim=[Fields(label=label) for label in labels]), data=data)


def test_fields_are_read_by_their_names():
    told = message(("kind/1", "a", "b"), (1, 2.5))
    assert flat_fields(told) == flat_fields(told, "kind/1") == {"a": 1.0, "b": 2.5}


@pytest.mark.parametrize(
    "labels, data", (((), ()), (("kind/2", "a"), (1.0,)), (("kind/1", "a"), ()), (("kind/1",), (1.0,)))
)
def test_what_has_another_layout_is_none(labels, data):
    assert flat_fields(message(labels, data), "kind/1") is None
