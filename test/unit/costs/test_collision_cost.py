"""The cost of small distances: the same distances as the supervisor's, with their derivatives, and off by default."""

import casadi
import numpy as np
import pytest

from mbrl_ros.collision.build import build_scene
from mbrl_ros.collision.expression import distance_expressions
from mbrl_ros.collision.pairs import postures
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.collision import CollisionSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.costs import CostContext, build_cost, collision, effort
from mbrl_ros.planners.ilqr.problem import Problem
from mbrl_ros.robots import load_robot
from support.robots import lifted_arm, planar_arm

ROOM = CollisionSettings(
    planes=("floor 0 0 1 -0.8",),
    boxes=("crate 0.9 0 0.4  0.1 0.2 0.3  0.3 0.4 0.5",),
    keep_in=("cell 0 0 0  0 0 0.3  4 4 4",),
)


def context_of(urdf=None, **robot_settings):
    robot = load_robot(RobotSettings(**robot_settings), planar_arm(4) if urdf is None else urdf)
    n = robot.n
    return CostContext(robot, n, 0, n, 0.01, 5, robot.command_lower, robot.command_upper, collision=ROOM)


def room_of(context):
    return build_scene(context.robot, ROOM).scene


def test_expressions_are_the_distances_and_derivatives_of_the_supervisor():
    robot = load_robot(RobotSettings(joints=("joint1", "joint2", "joint3"), tip="hand"), lifted_arm(3))
    scene = build_scene(robot, ROOM).scene
    q, r = casadi.SX.sym("q", 3), casadi.SX.sym("r", 2)
    function = casadi.Function("d", [q, r], list(distance_expressions(scene, q, r)))
    away = 0
    scene.place(np.array([0.2, 0.5]))
    for posture in postures(robot, 200, 0):
        d, gradient = (np.array(part) for part in function(posture, [0.2, 0.5]))
        expected = scene.distances(posture)
        free = expected.d > -scene.sizes + 1e-3  # axes do not touch
        away += free.sum()
        assert np.abs(d.ravel() - expected.d)[free].max() < 1e-5
        assert (d.ravel()[~free] < 1e-3 - scene.sizes[~free] + 0.2).all()
        assert np.quantile(np.abs(gradient - expected.gradient)[free], 0.99) < 1e-4  # but at a kink
    assert away > 0.5 * 200 * len(scene)


def test_the_cost_is_left_out_until_it_has_a_weight():
    assert Configuration.from_flat({}).costs["collision"].weight == 0.0
    cost = build_cost({"collision": collision.Settings(), "effort": effort.Settings()}, context_of())
    assert not any(name.startswith("collision") for name in cost.layout)


def test_the_gradient_is_that_of_the_value():
    context = context_of()
    cost, scene = build_cost({"collision": collision.Settings(weight=100.0, margin=0.2)}, context), room_of(context)
    p, v = cost.parameters(5)[0], np.zeros(4)
    rng, step, seen = np.random.default_rng(0), 1e-6, 0
    for _ in range(200):
        x = rng.uniform(-1.5, 1.5, 8)
        if (scene.values(x[:4]) < -scene.sizes + 1e-3).any():
            continue  # an axis reaches into a box: which point is deepest is held, though it moves
        g = np.array(cost.stage_expansion(x, v, v, p)[0]).ravel()
        by_difference = [
            float(cost.stage(x + e, v, v, p) - cost.stage(x - e, v, v, p)) / (2.0 * step) for e in step * np.eye(8)
        ]
        seen += np.abs(g).max() > 1.0
        assert g[:8] == pytest.approx(by_difference, abs=1e-3 * max(1.0, np.abs(g).max()))
        assert np.allclose(g[8:], 0.0)
    assert seen > 20


def test_the_wall_is_low_far_away_and_grows_towards_contact():
    settings = collision.Settings(weight=1.0)
    context = context_of()
    cost = build_cost({"collision": settings}, context)
    p, v = cost.parameters(5)[0], np.zeros(4)
    scene = room_of(context)
    far = max(postures(context.robot, 500, 0), key=lambda q: scene.values(q).min())
    near = np.array([-0.45, 0.0, 0.0, 0.0])
    assert scene.values(far).min() > 0.1
    assert scene.values(near).min() < 0.0

    def value(q):
        return float(cost.stage(np.concatenate((q, v)), v, v, p))

    assert value(far) < 1e-4
    assert value(near) > 0.5 * (ROOM.clearance + settings.margin - scene.values(near).min()) ** 2


def test_a_planner_takes_the_cost_though_distances_have_kinks():
    context = context_of()
    Problem(build_cost({"collision": collision.Settings(weight=1.0), "effort": effort.Settings()}, context)).check()


def test_without_anything_to_keep_away_from_there_is_no_cost():
    robot = load_robot(RobotSettings(), planar_arm(2))
    context = CostContext(robot, 2, 0, 2, 0.01, 5, robot.command_lower, robot.command_upper)
    assert collision.build(collision.Settings(weight=1.0), context) == {}
