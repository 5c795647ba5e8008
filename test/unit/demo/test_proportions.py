"""The demo in proportion to its arm."""

import dataclasses
import re

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import CameraSettings
from mbrl_ros.references.workspace import HOLDABLE, starting_posture
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.scenarios.proportions import Holding, Proportions, length, rounded_down
from mbrl_ros.scenarios.scenario import SLOT, build_scenario, full_duration
from support.robots import planar_arm, planar_robot


@pytest.mark.parametrize(
    ("kg", "round_kg"), [(1.68, 1.5), (0.99, 0.7), (1.0, 1.0), (0.061, 0.05), (29.0, 20.0), (0.0, 0.0), (-1.0, 0.0)]
)
def test_payloads_are_round_numbers_that_are_not_larger(kg, round_kg):
    assert rounded_down(kg) == pytest.approx(round_kg)


def test_lengths_in_words():
    assert [length(mm) for mm in (10.0, 6.7, 4.0)] == ["1 cm", "6.7 mm", "4 mm"]


def test_what_holds_a_load_is_its_weight_at_the_tip():
    robot = planar_robot(2)  # two links of 0.5 m and 1 kg
    np.testing.assert_allclose(Holding(robot)(np.zeros(2)), [2 * 9.81 * 0.5, 9.81 * 0.25], rtol=1e-9)
    np.testing.assert_allclose(Holding(robot, 2.0).per_kg(np.zeros(2)), [9.81, 9.81 * 0.5], rtol=1e-9)
    np.testing.assert_allclose(Holding(robot, 2.0)(np.zeros(2)) - Holding(robot)(np.zeros(2)), [19.62, 9.81])


def test_a_tenth_of_the_size_has_a_tenth_of_the_distances_and_a_smaller_tolerance():
    large, small = Proportions(planar_robot(3, effort=60.0)), Proportions(planar_robot(3, effort=60.0, length=0.05))
    np.testing.assert_allclose(small.distances, 0.1 * np.array(large.distances), rtol=1e-6)
    assert large.tolerance == 0.01 and small.tolerance == pytest.approx(0.012 * small.reach, abs=1e-4)


def test_the_payload_is_a_share_of_what_moves_and_no_more_than_the_arm_can_hold():
    assert Proportions(planar_robot(3, effort=200.0)).payload_kg == 0.3  # a tenth of 3 kg
    weak = planar_robot(3, effort=18.0)
    kg, holding = Proportions(weak).payload_kg, Holding(weak)
    assert 0.0 < kg < 0.3
    rng, held = np.random.default_rng(5), []
    for q in rng.uniform(-2.3, 2.3, (500, 3)):
        if (np.abs(holding(q)) <= HOLDABLE * weak.effort_limit).all():
            held.append((np.abs(holding(q) + kg * holding.per_kg(q)) <= HOLDABLE * weak.effort_limit).all())
    assert np.mean(held) > 0.8


def spatial(scale: float, kind: str = "revolute"):
    """An arm with a turning base and three links, `scale` times half a metre each; the base may be continuous."""
    text = planar_arm(3, length=0.5 * scale, effort=60.0)
    base = (
        f'<link name="ground"/><joint name="turn" type="{kind}"><parent link="ground"/><child link="base"/>'
        f'<origin xyz="0 0 {0.4 * scale}"/><axis xyz="0 0 1"/><limit lower="-3" upper="3" effort="60" velocity="3"/>'
        "</joint>"
    )
    inertial = re.search(r"<inertial>.*?</inertial>", text, re.S)[0]
    text = text.replace('<link name="base"/>', f'{base}<link name="base">{inertial}</link>')
    return load_robot(RobotSettings(), text)


@pytest.mark.parametrize("kind", ["revolute", "continuous"])
@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_every_target_of_a_scenario_can_be_reached_and_held_with_the_payload(scale, kind):
    robot = spatial(scale, kind)
    scenario = build_scenario(robot, starting_posture(robot), 3, camera=CameraSettings())
    usual, kinematics = Proportions(robot), Kinematics(robot)
    assert scenario.duration == pytest.approx(full_duration()) and scenario.payload_kg == usual.payload_kg > 0.0
    assert scenario.tolerance == usual.tolerance
    holding, q = Holding(robot, scenario.payload_kg), starting_posture(robot)
    for slot in scenario.slots_of("point"):
        q, distance = kinematics.inverse(slot.value, q, restarts=0)
        assert distance < 1e-4 and slot.end - slot.start == pytest.approx(SLOT)
        assert (np.abs(holding(q)) <= HOLDABLE * robot.effort_limit + 1e-9).all()
    for slot in scenario.slots_of("features"):
        away = np.linalg.norm(slot.camera.position - kinematics.position(q))
        assert usual.distances[0] <= away + 1e-9 and away <= usual.distances[1] + 1e-9
        assert np.isfinite(slot.value).all() and np.abs(slot.value).max() < 0.6
    again = build_scenario(robot, starting_posture(robot), 3, camera=CameraSettings())
    assert all(np.array_equal(a.value, b.value) for a, b in zip(scenario.slots, again.slots, strict=True))


def test_an_arm_that_moves_in_a_plane_is_not_watched_along_it():
    robot = planar_robot(3, effort=60.0)  # its tip moves in the plane y = 0
    scenario = build_scenario(robot, starting_posture(robot), 2, camera=CameraSettings())
    for slot in scenario.slots_of("features"):
        assert abs(slot.camera.rotation[1, 2]) > 0.05  # towards or away from the plane, by 3 degrees or more


def test_a_slow_arm_has_the_time_for_image_targets_and_for_the_way_back():
    robot = spatial(0.5)
    slow = dataclasses.replace(robot, velocity_limit=np.full(robot.n, 0.5))

    def times(robot, kind, **options):
        scenario = build_scenario(robot, starting_posture(robot), 2, camera=CameraSettings(), **options)
        return [slot.end - slot.start for slot in scenario.slots_of(kind)]

    np.testing.assert_allclose(times(robot, "return"), [2.0] * 5)
    np.testing.assert_allclose(times(robot, "features"), [5.0] * 5)
    np.testing.assert_allclose(times(slow, "return"), [0.9 / 0.25 + 1.0] * 5)  # 0.9 rad at half the limit, and a rest
    np.testing.assert_allclose(times(slow, "features"), [5.0 + 0.9 / 0.25 - 1.0] * 5)
    slowest = dataclasses.replace(robot, velocity_limit=np.full(robot.n, 0.2))
    np.testing.assert_allclose(times(slowest, "return"), [6.0] * 5)  # back from where it can have gone
    assert len(times(slow, "features", duration=22.0 + 2 * 15.0)) == 2


def scara():
    """Two links that turn about z, and a spindle that moves along z; all of it hangs at 0.6 m."""
    inertial = (
        '<inertial><origin xyz="0.15 0 0"/><mass value="2"/><inertia ixx="0.01" iyy="0.02" izz="0.02"/></inertial>'
    )
    spindle = '<inertial><mass value="1"/><inertia ixx="0.01" iyy="0.01" izz="0.01"/></inertial>'
    joints = (
        ("shoulder", "revolute", "base", "upper", "0 0 0.6", 'lower="-2.5" upper="2.5" effort="60" velocity="4"'),
        ("elbow", "continuous", "upper", "lower", "0.3 0 0", 'effort="40" velocity="4"'),
        ("lift", "prismatic", "lower", "spindle", "0.3 0 -0.1", 'lower="-0.3" upper="0" effort="90" velocity="0.5"'),
    )
    links = f'<link name="base"/>{"".join(f"<link name={name!r}>{inertial}</link>" for name in ("upper", "lower"))}'
    text = "".join(
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/><origin xyz="{at}"/>'
        f'<axis xyz="0 0 1"/><limit {limit}/></joint>'
        for name, kind, parent, child, at, limit in joints
    )
    return load_robot(
        RobotSettings(), f'<robot name="scara">{links}<link name="spindle">{spindle}</link>{text}</robot>'
    )


def test_metres_and_radians_have_their_own_limits():
    robot = scara()
    scenario = build_scenario(robot, starting_posture(robot), 1, camera=CameraSettings())
    heights = [slot.value[2] for slot in scenario.slots_of("point")]
    assert min(heights) >= 0.2 - 1e-6 and max(heights) <= 0.5 + 1e-6 and np.ptp(heights) > 0.05
    assert 0.0 < scenario.payload_kg <= 0.5 and scenario.tolerance < 0.01
