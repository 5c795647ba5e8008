"""The pairs that can touch, the obstacles, and all distances of a robot with their derivatives."""

import numpy as np
import pytest

from mbrl_ros.collision.build import build_scene
from mbrl_ros.collision.pairs import postures
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.collision import CollisionSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.exceptions import ConfigurationError, RobotDescriptionError
from mbrl_ros.robots import load_robot
from support.robots import lifted_arm, planar_arm, planar_robot

OBSTACLES = {
    "planes": ("floor 0 0 2 -1.0",),
    "boxes": ("crate 0.9 0 0.4  0.1 0.2 0.3  0.3 0.4 0.5",),
    "keep_in": ("cell 0 0 0  0 0 0.3  4 4 4",),
}


def scene_of(robot, **settings):
    return build_scene(robot, CollisionSettings(**settings)).scene


def links_of(scene):
    return {tuple(scene.capsules[i].link for i in pair) for pair in scene.pairs}


@pytest.mark.parametrize("urdf", (planar_arm(4), lifted_arm(3)), ids=("planar", "lifted"))
def test_derivatives_agree_with_differences(urdf):
    robot = load_robot(RobotSettings(), urdf)
    scene = scene_of(robot, **OBSTACLES)
    step = 1e-6
    for q in postures(robot, 20, 1):
        d, gradient = scene.distances(q)
        each = np.array([scene.values(q + e) - scene.values(q - e) for e in step * np.eye(robot.n)]).T / (2.0 * step)
        assert np.allclose(d, scene.values(q))
        assert np.sort(np.abs(each - gradient).max(axis=1))[: int(0.98 * len(d))].max() < 1e-6  # but at a kink


def test_many_postures_at_once_give_the_same_distances():
    robot = planar_robot(3)
    scene, Q = scene_of(robot, **OBSTACLES), postures(planar_robot(3), 10, 0)
    assert np.allclose(scene.sampled(Q), [scene.values(q) for q in Q])


def test_joints_that_are_not_controlled_are_where_they_are_measured():
    robot = load_robot(RobotSettings(joints=("joint1", "joint2"), tip="hand"), lifted_arm(2))
    assert robot.uncontrolled == ("lift", "roll")
    scene = scene_of(robot, planes=("floor 0 0 1 -1.0",))
    low = scene.values(np.zeros(2))
    scene.place(np.array([0.3, np.nan]))
    assert np.allclose(scene.values(np.zeros(2)), low + 0.3)


def test_adjacent_links_and_those_that_never_or_always_touch_are_left_out():
    robot = planar_robot(4)
    assert links_of(scene_of(robot)) == {("link1", "link3"), ("link2", "link4"), ("link1", "link4")}
    wide = ["link1 0 0 0  0.5 0 0  0.9", "link2 0 0 0  0.5 0 0  0.05", "link3 0 0 0  0.5 0 0  0.05"]
    built = build_scene(robot, CollisionSettings(capsules=tuple(wide)))
    assert links_of(built.scene) == set()
    assert any("link1 - link3" in note for note in built.notes)  # always touching, which is said
    thin = ["base 0 9 0  0 9 0  0.05", "link3 0 0 0  0.5 0 0  0.05"]
    assert links_of(scene_of(robot, capsules=tuple(thin))) == set()


def test_the_same_seed_finds_the_same_pairs():
    robot = planar_robot(5)
    first, second = (scene_of(robot, samples=200, seed=3) for _ in range(2))
    assert (first.pairs == second.pairs).all()


def test_a_pair_that_no_sample_shows_is_found_by_the_descent():
    """The two spheres meet in one small region of the postures."""
    robot = planar_robot(3)
    spheres = ("base 0.2 0 0.6  0.2 0 0.6  0.03", "link3 0.5 0 0  0.5 0 0  0.03")
    assert links_of(scene_of(robot, capsules=spheres, samples=200)) == {("base", "link3")}


def test_pairs_of_the_settings_are_taken_as_they_are():
    robot = planar_robot(4)
    scene = scene_of(robot, pairs=("link1 link3",))
    assert links_of(scene) == {("link1", "link3")}
    for wrong in ("link1", "link1 link1", "link1 lynk3", "link1 link2 link3", "link1 tip"):
        with pytest.raises(ConfigurationError, match=r"collision\.pairs"):
            scene_of(robot, pairs=(wrong,))


def srdf(tmp_path, *pairs, name="planar4"):
    rows = "".join(f'<disable_collisions link1="{a}" link2="{b}" reason="User"/>' for a, b in pairs)
    (tmp_path / "robot.srdf").write_text(f'<?xml version="1.0"?><robot name="{name}">{rows}</robot>')
    return str(tmp_path / "robot.srdf")


def test_pairs_that_the_srdf_disables_are_left_out(tmp_path):
    robot = planar_robot(4)
    file = srdf(tmp_path, ("link3", "link1"))
    assert links_of(scene_of(robot, srdf=file)) == {("link2", "link4"), ("link1", "link4")}


def test_an_srdf_that_does_not_fit_says_why(tmp_path):
    robot = planar_robot(4)
    with pytest.raises(RobotDescriptionError, match="another robot.*'gripper'"):
        scene_of(robot, srdf=srdf(tmp_path, ("link1", "gripper"), name="other"))
    (tmp_path / "arm.urdf").write_text(planar_arm(2))
    with pytest.raises(RobotDescriptionError, match="no SRDF"):
        scene_of(robot, srdf=str(tmp_path / "arm.urdf"))
    with pytest.raises(RobotDescriptionError, match="cannot be read"):
        scene_of(robot, srdf=str(tmp_path / "none.srdf"))


def test_a_box_to_stay_in_is_as_far_as_its_nearest_wall():
    robot = planar_robot(2)
    scene = scene_of(robot, keep_in=("cell 0 0 0  0 0 0  3 3 3",), capsules=("link2 0.5 0 0  0.5 0 0  0.1",))
    tip = np.array([1.0 * np.cos(0.4), 0.0, np.sin(0.4)])  # joints turn about -y
    expected = 1.5 - np.abs(tip) - 0.1
    found = {scene.name(k): d for k, d in enumerate(scene.values(np.array([0.4, 0.0])))}
    assert found["link2 - cell.x+"] == pytest.approx(expected[0])
    assert found["link2 - cell.z+"] == pytest.approx(expected[2])
    assert found["link2 - cell.z-"] == pytest.approx(1.5 + tip[2] - 0.1)


def test_distances_that_no_motion_changes_are_left_out_and_said():
    built = build_scene(planar_robot(2), CollisionSettings(planes=("wall 0 1 0 -1",)))
    assert len(built.scene) == len(built.scene.pairs)
    assert any("link1 - wall" in note for note in built.notes)


@pytest.mark.parametrize(
    "key, text, said",
    (
        ("planes", "floor 0 0 0 1", "normal.*zero"),
        ("planes", "floor 0 0 1", "malformed"),
        ("boxes", "crate 0 0 0 0 0 0 1 1 0", "above 0"),
        ("boxes", "crate 0 0 0 0 0 0 1 1", "malformed"),
        ("keep_in", "cell 0 0 0 0 0 0 1 -1 1", "above 0"),
        ("boxes", "floor 0 0 0 0 0 0 1 1 1", "two obstacles are called 'floor'"),
    ),
)
def test_a_wrong_obstacle_says_what_to_write(key, text, said):
    settings = {"planes": ("floor 0 0 1 -1",)} | {key: (text,)}
    with pytest.raises(ConfigurationError, match=said):
        scene_of(planar_robot(2), **settings)


@pytest.mark.parametrize(
    "wrong",
    ({"keep_in": ("cell 50 0 0  0 0 0  1 1 1",)}, {"boxes": ("room 0 0 0  0 0 0  9 9 9",)}),
    ids=("keep_in", "box"),
)
def test_an_obstacle_that_nothing_can_keep_away_from_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="no posture keeps any link away from the obstacle '(cell.x-|room)'"):
        scene_of(planar_robot(3), **wrong)


def test_too_few_postures_to_find_the_pairs_are_refused():
    with pytest.raises(ConfigurationError, match="samples"):
        Configuration.from_flat({"collision.samples": 50})
