"""Obstacles of a MarkerArray: put in, moved, taken away; what cannot be used is refused whole."""

from types import SimpleNamespace as Fields

import numpy as np
import pytest

from mbrl_ros.exceptions import DataError
from mbrl_ros.messages.obstacles import MOST_OBSTACLES, ObstacleReader, of_details, to_details


def marker(number=0, **changes):
    xyz = Fields(x=0.5, y=0.1, z=0.2)
    values = {
        "ns": "scene",
        "id": number,
        "type": 1,
        "action": 0,
        "header": Fields(frame_id="base"),
        "pose": Fields(position=xyz, orientation=Fields(x=0.0, y=0.0, z=np.sin(0.3), w=np.cos(0.3))),
        "scale": Fields(x=0.2, y=0.4, z=0.6),
    }
    return Fields(**values | changes)


def array(*markers):
    return Fields(markers=list(markers))


@pytest.fixture
def reader():
    return ObstacleReader(("", "base"))


def test_a_cube_is_a_box(reader):
    (box,) = reader.read(array(marker()))
    assert box.name == "scene/0"
    assert np.allclose(box.centre, [0.5, 0.1, 0.2])
    assert np.allclose(box.half, [0.1, 0.2, 0.3])
    c, s = np.cos(0.6), np.sin(0.6)
    assert np.allclose(box.rotation, [[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def test_markers_are_moved_and_taken_away(reader):
    assert len(reader.read(array(marker(1), marker(2)))) == 2
    moved = reader.read(array(marker(1, scale=Fields(x=1.0, y=1.0, z=1.0))))
    assert [box.name for box in moved] == ["scene/1", "scene/2"]
    assert moved[0].half[0] == 0.5
    assert [box.name for box in reader.read(array(marker(1, action=2)))] == ["scene/2"]
    assert [box.name for box in reader.read(array(marker(action=3), marker(7)))] == ["scene/7"]


NAN = float("nan")


@pytest.mark.parametrize(
    "changes, said",
    (
        ({"type": 10}, "type 10.*cube"),
        ({"action": 9}, "unknown action"),
        ({"header": Fields(frame_id="camera")}, "camera.*base"),
        ({"scale": Fields(x=0.0, y=1.0, z=1.0)}, "above 0"),
        ({"scale": Fields(x=1.0, y=NAN, z=1.0)}, "not finite"),
        ({"ns": "x" * 1000}, "longer than"),
        (
            {"pose": Fields(position=Fields(x=0.0, y=0.0, z=0.0), orientation=Fields(x=0.0, y=0.0, z=0.0, w=0.0))},
            "no unit quaternion",
        ),
        (
            {"pose": Fields(position=Fields(x=0.0, y=NAN, z=0.0), orientation=Fields(x=0.0, y=0.0, z=0.0, w=1.0))},
            "not finite",
        ),
    ),
)
def test_a_message_with_a_bad_marker_changes_nothing(reader, changes, said):
    before = reader.read(array(marker(1)))
    with pytest.raises(DataError, match=said):
        reader.read(array(marker(2), marker(3, **changes)))
    assert [box.name for box in reader.read(array())] == [box.name for box in before]


def test_the_number_of_obstacles_is_bounded(reader):
    reader.read(array(*(marker(k) for k in range(MOST_OBSTACLES))))
    with pytest.raises(DataError, match="more than"):
        reader.read(array(marker(MOST_OBSTACLES)))


def test_an_event_gives_the_same_obstacles_to_the_last_bit(reader):
    import json

    boxes = reader.read(array(marker(1), marker(2, scale=Fields(x=1.0 / 3.0, y=0.1, z=0.7))))
    again = of_details(json.loads(json.dumps(to_details(boxes))))
    for one, other in zip(boxes, again, strict=True):
        assert one.name == other.name
        assert all(np.array_equal(vars_of(one)[key], vars_of(other)[key]) for key in ("centre", "rotation", "half"))


def vars_of(box):
    return {"centre": box.centre, "rotation": box.rotation, "half": box.half}
