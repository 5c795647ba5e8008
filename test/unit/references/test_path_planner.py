"""A path of the joints around a box: found where there is one, clear, and timed within the limits."""

import numpy as np
import pytest

from mbrl_ros.collision.build import build_scene
from mbrl_ros.collision.clear import ClearPostures
from mbrl_ros.config.sections.collision import CollisionSettings
from mbrl_ros.exceptions import TargetError
from mbrl_ros.references.path_planner import PathPlanner
from support.robots import planar_robot

ROBOT = planar_robot(3, effort=60.0)
START, GOAL = np.array([0.9, -0.3, -0.2]), np.array([-0.9, 0.3, 0.2])  # above and below the box
VELOCITY, ACCELERATION = np.full(3, 1.0), np.full(3, 4.0)
CRATE = "crate 1.3 0 0  0 0 0  0.4 0.6 0.3"  # which the arm passes where it is bent


def planner(box: str = CRATE, seed: int = 0, iterations: int = 2000, to_rest: float = 0.1) -> PathPlanner:
    scene = build_scene(ROBOT, CollisionSettings(boxes=(box,) if box else (), samples=200)).scene
    clear, near = ClearPostures(scene, 0.05, 0.02), ClearPostures(scene, 0.04, 0.015)
    passable = lambda Q, V: near(Q) & near(Q + to_rest * V)  # noqa: E731  # a short rule before contact
    return PathPlanner(ROBOT, clear, passable, seed=seed, iterations=iterations)


def test_where_nothing_is_in_the_way_it_is_straight():
    np.testing.assert_array_equal(planner(box="").path(START, GOAL), [START, GOAL])


def test_it_leads_around_a_box_and_its_motion_is_clear_and_within_the_limits():
    one = planner()
    path = one.path(START, GOAL)
    assert path is not None and len(path) > 2
    np.testing.assert_array_equal(path[[0, -1]], [START, GOAL])
    np.testing.assert_array_equal(planner().path(START, GOAL), path)  # the same seed, the same path
    points, motion = one.timed(path, VELOCITY, ACCELERATION)
    times = np.linspace(0.0, motion.duration, 300)
    Q, V, A = (motion.at_times(times, order) for order in range(3))
    scene = build_scene(ROBOT, CollisionSettings(boxes=(CRATE,), samples=200)).scene
    for postures in (Q, Q + 0.1 * V):
        assert scene.sampled(postures)[:, len(scene.pairs) :].min() > 0.035
    assert np.abs(V).max() <= 1.0 + 1e-6 and np.abs(A).max() <= 4.0 + 1e-6
    assert motion.slowdown == 1.0  # the times can be kept
    np.testing.assert_allclose(Q[-1], GOAL, atol=1e-9)
    np.testing.assert_allclose(points.Q[-1], GOAL)


def test_without_a_way_there_is_none():
    assert planner(iterations=50, box="crate 1.3 0 0  0 0 0  0.4 0.6 3.0").path(START, GOAL) is None  # it is below
    assert planner(box="crate 1.3 0 0  0 0 0  0.4 0.6 0.3").path(START, np.zeros(3)) is None  # the goal is inside


def test_a_motion_that_cannot_be_made_passable_is_an_error():
    one = planner(box="crate 1.3 0 0  0 0 0  0.4 0.6 0.3")
    with pytest.raises(TargetError, match="not passable"):
        one.timed(np.array([START, GOAL]), VELOCITY, ACCELERATION)  # through the box, however slowly
