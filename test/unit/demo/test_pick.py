"""The scenario of picking: what is sent to the nodes, what is counted, and what passes."""

import numpy as np
import pytest

from mbrl_ros.collision.obstacles import Box
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.demo.pick_metrics import counted, picked, scene_of
from mbrl_ros.demo.pick_scenario import build_pick_scenario
from mbrl_ros.demo.summary_text import scene_text
from mbrl_ros.demo.verdict import of_run, of_scenes
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.messages.joint_order import JointOrder
from mbrl_ros.messages.obstacles import ObstacleReader
from mbrl_ros.messages.targets import read_trajectory_target
from mbrl_ros.references.segments import Waypoints
from mbrl_ros.robots.rotation import exponential
from mbrl_ros.scenarios.scenario import Scenario, Slot
from support.needs import needs
from support.robots import planar_robot
from support.summaries import faultless

START, GOAL = np.array([0.7, -0.2, -0.2]), np.array([-0.7, 0.2, 0.2])
CRATE = Box("crate", np.array([1.45, 0.0, 0.0]), np.eye(3), np.array([0.2, 0.3, 0.15]))
REACHED = {"rest_mm": 0.2, "rest_deg": 0.1}


@needs("rclpy")
def test_a_node_reads_the_obstacles_and_the_path_that_are_sent():
    from mbrl_ros.nodes.markers import obstacle_markers
    from mbrl_ros.nodes.message_writers import to_trajectory_target

    turned = Box("wall", np.array([0.4, 0.1, 0.3]), exponential(np.array([0.0, 0.0, 0.7])), np.array([0.2, 0.02, 0.3]))
    crate, wall = ObstacleReader(("base",)).read(obstacle_markers((CRATE, turned), "base"))
    assert (crate.name, wall.name) == ("crate/0", "wall/1")
    for read, sent in ((crate, CRATE), (wall, turned)):
        for name in ("centre", "rotation", "half"):
            np.testing.assert_allclose(getattr(read, name), getattr(sent, name), atol=1e-12)
    path, joints = Waypoints.of([0.5, 1.25], [START, GOAL]), ("a", "b", "c")
    read = read_trajectory_target(to_trajectory_target(path, joints, 3.5), JointOrder(joints))
    np.testing.assert_array_equal(read.times, path.times)
    np.testing.assert_array_equal(read.Q, path.Q)
    assert np.isnan(read.V).all() and np.isnan(read.A).all()


def test_a_contact_and_a_missed_pose_are_counted():
    robot = planar_robot(3, effort=60.0)
    scenario = Scenario(0, 1.0, (Slot("pose", 0.0, 1.0, np.zeros(7)),), 0.0, None, obstacles=(CRATE,))
    scene = scene_of(scenario, robot, Configuration.from_flat({"collision.samples": 200}))
    away, through = {"q": np.array([START, START])}, {"q": np.array([START, np.zeros(3), START])}
    assert picked(scenario, scene, away, [REACHED], 10.0)["reached"]
    assert not picked(scenario, scene, away, [{**REACHED, "rest_mm": 11.0}], 10.0)["reached"]
    assert not picked(scenario, scene, away, [{"rest_mm": None, "rest_deg": None}], 10.0)["reached"]
    touched = picked(scenario, scene, through, [REACHED], 10.0)
    assert touched["contact"] and not touched["reached"] and touched["least_distance_mm"] < 0.0
    assert "a contact" in scene_text(touched) and "no path was planned" in scene_text(touched)


GOOD = {"seed": 3, "with_plan": True, "planned": True, "contact": False, "reached": True, "verdict": {"pass": True}}
FAST = {"pass": False, "why": "a joint reached 97 % of its velocity limit", "try": "slower"}


@pytest.mark.parametrize(
    ("scenes", "why"),
    [
        ([GOOD] * 9 + [{**GOOD, "reached": False}], ""),
        ([GOOD] * 8 + [{**GOOD, "reached": False}], "8 of 9 scenes with a plan reached (at least 90%)"),
        ([GOOD, {**GOOD, "with_plan": False, "reached": False}], ""),
        ([GOOD, {**GOOD, "contact": True, "reached": False}], "1 of 2 scenes with a contact"),
        ([{**GOOD, "with_plan": False, "reached": False}], "0 of 0 scenes"),
        ([GOOD, {**GOOD, "verdict": FAST}], "seed 3: a joint reached 97 %"),
        ([{"seed": 3, "with_plan": True, "verdict": {"pass": False, "why": "died"}}], "0 of 1 scenes"),
    ],
)
def test_what_passes(scenes, why):
    verdict = of_scenes({"pick": counted(scenes), "scenes": scenes})
    assert verdict.passed == (not why) and why in verdict.why


@pytest.mark.parametrize(
    ("change", "why"),
    [({}, ""), ({"contact": True}, "contact: a distance of -3.0 mm"), ({"reached": False}, "were not reached")],
)
def test_a_scene_passes_without_contact_at_its_poses(change, why):
    pick = {**GOOD, "least_distance_mm": -3.0, "least_own_distance_mm": 40.0, **change}
    summary = faultless(pick=pick)
    verdict = of_run(summary)
    assert verdict.passed == (not why) and why in verdict.why


def test_an_arm_that_cannot_turn_its_tool_is_told_so():
    configuration = Configuration.from_flat({"robot.interface": "effort"})
    with pytest.raises(ConfigurationError, match="3 joints are too few"):
        build_pick_scenario(planar_robot(3), START, 0, configuration)
