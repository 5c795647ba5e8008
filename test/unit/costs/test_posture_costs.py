"""Costs of the posture: what each is in closed form, and that the null-space cost has no part in the task."""

import casadi
import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.controllers.cost_parameters import CostParameters
from mbrl_ros.costs import CostContext, build_cost, joint_stops, manipulability, null_space, point_target
from mbrl_ros.costs import preferred_posture as preferred
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.references.preview import Preview
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.kinematics import Kinematics
from support.robots import lifted_arm, planar_arm, planar_robot

H = 4
NAMES = ("joint_stops", "manipulability", "null_space", "preferred_posture")
rng = np.random.default_rng(0)


def context_of(robot):
    n = robot.n
    return CostContext(robot, n, 0, n, 0.01, H, robot.command_lower, robot.command_upper)


def arm_in_space(joints=4):
    """An arm whose joints turn about z, y, z, y, ...: its point moves in every direction."""
    parts = ['<robot name="arm"><link name="l0"/>']
    for i in range(joints):
        axis = "0 0 1" if i % 2 == 0 else "0 1 0"
        parts.append(
            f'<link name="l{i + 1}"/><joint name="j{i}" type="revolute"><parent link="l{i}"/><child link="l{i + 1}"/>'
            f'<origin xyz="0.3 0 0.1"/><axis xyz="{axis}"/>'
            '<limit lower="-2" upper="3" velocity="3" effort="10"/></joint>'
        )
    settings = RobotSettings(tip=f"l{joints}", tip_offset=(0.3, 0.1, 0.0), position_margin=(0.0,))
    return load_robot(settings, "".join(parts) + "</robot>")


def stage(cost, q, **parameters):
    """Value, gradient and Hessian over q, with a stage's parameters by name."""
    n, p = cost.nu, cost.parameters(H)[0]
    for name, entries in parameters.items():
        p[cost.layout[name.replace("__", ".")]] = entries
    x, zero = np.concatenate((q, np.zeros(n))), np.zeros(n)
    g, G = cost.stage_expansion(x, zero, zero, p)
    return float(cost.stage(x, zero, zero, p)), g.full().ravel()[:n], casadi.tril2symm(G).full()[:n, :n]


def test_all_are_off_until_they_have_a_weight():
    assert [Configuration.from_flat({}).costs[name].weight for name in NAMES] == [0.0] * 4


def test_the_null_space_cost_is_the_projected_distance():
    robot = arm_in_space()
    cost = build_cost({"null_space": null_space.Settings(weight=3.0, damping=1e-6)}, context_of(robot))
    for _ in range(10):
        q, reference = rng.uniform(-1.5, 2.5, (2, 4))
        J = Kinematics(robot).jacobian(reference)
        N = np.eye(4) - np.linalg.pinv(J) @ J
        value, g, G = stage(cost, q, null_space__reference=reference)
        e = N @ (q - reference)
        assert value == pytest.approx(1.5 * e @ e, rel=1e-6)
        np.testing.assert_allclose(g, 3.0 * e, atol=1e-6)
        np.testing.assert_allclose(G, 3.0 * N, atol=1e-6)
        np.testing.assert_allclose(J @ g, 0.0, atol=1e-6)  # no part in where the point is


def test_a_direction_in_which_the_point_hardly_moves_counts_as_null_space():
    robot, damping = planar_robot(2), 0.05
    cost = build_cost({"null_space": null_space.Settings(weight=1.0, damping=damping)}, context_of(robot))
    for bend in (0.0, 0.02, 1.0):
        reference = np.array([0.4, bend])
        sigma = np.linalg.svd(Kinematics(robot).jacobian(reference), compute_uv=False)
        _, _, G = stage(cost, np.zeros(2), null_space__reference=reference)
        share = damping**2 / (sigma**2 + damping**2)
        np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(G)), np.sort(share**2), atol=1e-9)


def test_the_null_space_cost_acts_with_point_targets_alone_and_follows_the_reference():
    robot = arm_in_space()
    sections = {"null_space": null_space.Settings(weight=2.0), "point_target": point_target.Settings()}
    cost = build_cost(sections, context_of(robot))
    parameters = CostParameters(cost, H, 0.01, ReferenceSettings())
    Q = rng.uniform(-1.0, 1.0, (H + 1, 4))
    p = parameters.at(Preview("point", Q, p=np.zeros((H + 1, 3))))
    np.testing.assert_array_equal(p[:, cost.layout["null_space.reference"]], Q)
    assert (p[:, cost.layout["null_space.weight"]] > 0.0).all()
    for kind in ("joints", "features"):
        assert not parameters.at(Preview(kind, Q))[:, cost.layout["null_space.weight"]].any()


@pytest.mark.parametrize("name", ["null_space", "manipulability"])
def test_joints_that_are_not_controlled_are_where_they_are(name):
    robot = load_robot(RobotSettings(joints=("joint1", "joint2", "joint3"), tip="hand"), lifted_arm(3))
    kind = {"null_space": null_space, "manipulability": manipulability}[name].Settings
    cost = build_cost({name: kind(weight=1.0)}, context_of(robot))
    parameters, moved = CostParameters(cost, H, 0.01, ReferenceSettings()), np.array([0.2, 0.5])
    p = parameters.at(Preview("point", np.zeros((H + 1, 3)), p=np.zeros((H + 1, 3)), uncontrolled=moved))
    np.testing.assert_array_equal(p[:, cost.layout[f"{name}.uncontrolled"]], np.tile(moved, (H + 1, 1)))


def test_a_preferred_posture_pulls_to_it_or_to_the_middle():
    robot, q = arm_in_space(), rng.uniform(-1.0, 1.0, 4)
    wanted, scale = (0.1, -0.2, 0.3, 0.4), (1.0, 2.0, 0.5, 3.0)
    cost = build_cost(
        {"preferred_posture": preferred.Settings(weight=2.0, posture=wanted, scale=scale)}, context_of(robot)
    )
    value, g, _ = stage(cost, q)
    assert value == pytest.approx((np.array(scale) * (q - wanted) ** 2).sum())
    np.testing.assert_allclose(g, 2.0 * np.array(scale) * (q - wanted))
    cost = build_cost({"preferred_posture": preferred.Settings(weight=2.0)}, context_of(robot))
    assert stage(cost, robot.middle)[0] == 0.0
    with pytest.raises(ConfigurationError, match=r"cost\.preferred_posture\.posture"):
        build_cost({"preferred_posture": preferred.Settings(weight=1.0, posture=(0.1, 0.2))}, context_of(robot))


def test_the_cost_of_stops_is_flat_in_the_middle_and_half_the_weight_for_a_joint_at_its_stop():
    robot = arm_in_space(3)  # -2 to 3 rad
    cost = build_cost({"joint_stops": joint_stops.Settings(weight=6.0)}, context_of(robot))
    middle = np.full(3, 0.5)
    value, g, _ = stage(cost, middle)
    assert value == 0.0 and not g.any()
    for stop in (-2.0, 3.0):
        assert stage(cost, np.array([0.5, stop, 0.5]))[0] == pytest.approx(3.0)
    assert stage(cost, np.array([0.5, 0.5, 1.75]))[0] == pytest.approx(3.0 * 0.5**4)
    continuous = load_robot(RobotSettings(), planar_arm(2).replace('type="revolute"', 'type="continuous"'))
    assert joint_stops.build(joint_stops.Settings(weight=1.0), context_of(continuous)) == {}


def test_manipulability_is_the_product_of_the_singular_values():
    robot, least = planar_robot(2), 0.1  # two links of 0.5 m: w = 0.25 |sin q2|
    cost = build_cost({"manipulability": manipulability.Settings(weight=2.0, least=least)}, context_of(robot))
    for bend in (0.0, 0.1, -0.6, 1.2):
        w = np.sqrt((0.25 * np.sin(bend) / least) ** 2 + 1e-6)
        r = 0.5 * (1.0 - w + np.sqrt((1.0 - w) ** 2 + 0.01))
        assert stage(cost, np.array([0.7, bend]))[0] == pytest.approx(r**2, rel=1e-9)
    in_space = arm_in_space()
    cost = build_cost({"manipulability": manipulability.Settings(weight=2.0, least=least)}, context_of(in_space))
    q = rng.uniform(-1.0, 1.0, 4)
    w = np.sqrt((np.linalg.svd(Kinematics(in_space).jacobian(q), compute_uv=False).prod() / least) ** 2 + 1e-6)
    assert stage(cost, q)[0] == pytest.approx((0.5 * (1.0 - w + np.sqrt((1.0 - w) ** 2 + 0.01))) ** 2, rel=1e-9)
