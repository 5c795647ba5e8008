"""Every cost: derivatives against finite differences, curvature never negative, parameters, ramps; what each means."""

import casadi
import numpy as np
import pytest

from mbrl_ros.config import registry
from mbrl_ros.config.sections.collision import CollisionSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.costs import CostContext, build_cost
from mbrl_ros.costs.command_change import shape
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.robots import load_robot
from support.finite_differences import derivative

NAMES = registry.names("cost")
N, M, H = 2, 2, 10
URDF = """<robot name="arm"><link name="base"/><link name="upper"/><link name="lower"/>
<joint name="a" type="revolute"><parent link="base"/><child link="upper"/><axis xyz="0 0 1"/>
<limit lower="-2" upper="2" velocity="3" effort="10"/></joint>
<joint name="b" type="revolute"><origin xyz="0.5 0 0"/><parent link="upper"/><child link="lower"/><axis xyz="0 1 0"/>
<limit lower="-1" upper="1.5" velocity="4" effort="5"/></joint></robot>"""


@pytest.fixture(scope="module")
def context():
    robot = load_robot(RobotSettings(tip="lower", tip_offset=(0.4, 0.0, 0.1), position_margin=(0.0,)), URDF)
    room = CollisionSettings(capsules=("lower 0 0 0  0.4 0 0.1  0.05",), planes=("floor 0 0 1 -0.4",))
    return CostContext(robot, N, M, N, 0.01, H, robot.command_lower, robot.command_upper, collision=room)


def made(context, name, **settings):
    kind = registry.load("cost", name).Settings
    return build_cost({name: kind(**settings)}, context)


def point(seed, cost):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, cost.nx)
    u, v = rng.uniform(-5, 5, (2, cost.nu))
    p = cost.parameters(H)[3] + rng.uniform(0, 0.5, cost.np)
    return x, v, u, p


LOSSES = ({"l1": 2.0}, {"log": 0.5}, {"l1": 2.0, "log": 0.5, "l2": 0.0})
VARIANTS = [pytest.param(name, {}, id=name) for name in NAMES] + [
    pytest.param(name, {**loss, "alpha": 1e-3}, id=f"{name}-{'-'.join(loss)}")
    for name in NAMES
    if name.endswith("target")
    for loss in LOSSES
]


@pytest.mark.parametrize("name, settings", VARIANTS)
def test_gradient_equals_central_differences(context, name, settings):
    cost = made(context, name, **settings)
    for seed in range(5):
        x, v, u, p = point(seed, cost)
        z = np.concatenate([x, u, v])
        nx, nu = cost.nx, cost.nu

        def value(z):
            return float(cost.stage(z[:nx], z[nx + nu :], z[nx : nx + nu], p))

        g, _ = cost.stage_expansion(x, v, u, p)
        numeric = derivative(value, z)
        # rounding of the value over the step: 1e-16 |l| / 1e-6
        assert np.allclose(g.full().ravel(), numeric, rtol=1e-5, atol=1e-8 * (1 + abs(value(z))))


@pytest.mark.parametrize("name, settings", VARIANTS)
def test_curvature_is_never_negative(context, name, settings):
    cost = made(context, name, **settings)
    for seed in range(20):
        x, v, u, p = point(seed, cost)
        G = casadi.tril2symm(cost.stage_expansion(x, v, u, p)[1]).full()
        assert np.linalg.eigvalsh(G)[0] >= -1e-12 * (1 + np.abs(G).max())
        G = casadi.tril2symm(cost.terminal_expansion(x, p)[1]).full()
        assert np.linalg.eigvalsh(G)[0] >= -1e-12 * (1 + np.abs(G).max())


@pytest.mark.parametrize("name", NAMES)
def test_weight_is_a_parameter(context, name):
    cost = made(context, name, weight=3.0)
    x, v, u, p = point(0, cost)
    full = float(cost.stage(x, v, u, p))
    p[cost.layout[f"{name}.weight"]] *= 2.0
    assert float(cost.stage(x, v, u, p)) == pytest.approx(2.0 * full, rel=1e-12)
    assert full > 0.0


@pytest.mark.parametrize("name", NAMES)
def test_weight_zero_leaves_the_cost_out(context, name):
    cost = made(context, name, weight=0.0)
    assert cost.np == 0 and cost.layout == {}


def test_ramps_terminal_and_discount(context):
    common = dict(weight=2.0, terminal=5.0)
    constant = made(context, "joint_target", **common)
    rows = constant.parameters(4)[:, constant.layout["joint_target.weight"]].ravel()
    assert rows == pytest.approx([2, 2, 2, 2, 10])
    linear = made(context, "joint_target", ramp="linear", **common)
    rows = linear.parameters(4)[:, linear.layout["joint_target.weight"]].ravel()
    assert rows == pytest.approx([0, 0.5, 1.0, 1.5, 10])  # 2 t / 4, then 2 x 5
    final = made(context, "joint_target", ramp="final", **common)
    assert final.parameters(4)[:, final.layout["joint_target.weight"]].ravel() == pytest.approx([0, 0, 0, 0, 10])
    fading = CostContext(context.robot, N, M, N, 0.01, H, context.u_lower, context.u_upper, discount=0.5)
    cost = made(fading, "joint_target", **common)
    assert cost.parameters(4)[:, cost.layout["joint_target.weight"]].ravel() == pytest.approx(
        [2, 1, 0.5, 0.25, 10 / 16]
    )
    with pytest.raises(ConfigurationError, match="final"):
        made(context, "effort", ramp="final").parameters(4)


def value(cost, x=None, v=None, u=None, **parameters):
    p = cost.parameters(H)[0]
    for name, entries in parameters.items():
        p[cost.layout[name.replace("__", ".")]] = entries
    zero = np.zeros(cost.nu)
    return float(
        cost.stage(np.zeros(cost.nx) if x is None else x, zero if v is None else v, zero if u is None else u, p)
    )


def test_point_target_is_the_distance_to_the_tip(context):
    cost = made(context, "point_target", weight=1.0)
    # both joints at zero: tip at 0.5 + 0.4 along x and 0.1 up; l = 1/2 |r|^2
    assert value(cost, point_target__reference=[0.9, 0.0, 0.1]) == pytest.approx(0.0, abs=1e-12)
    assert value(cost, point_target__reference=[0.9, 0.3, 0.5]) == pytest.approx(0.5 * (0.3**2 + 0.4**2))


def test_losses_are_those_of_the_docstring(context):
    cost = made(context, "joint_target", weight=1.0, l2=3.0, l1=2.0, log=0.5, alpha=0.01)
    s = 0.3**2 + 0.4**2
    expected = 1.5 * s + 2.0 * np.sqrt(0.01 + s) + 0.25 * np.log(0.01 + s)
    assert value(cost, joint_target__reference=[0.3, 0.4]) == pytest.approx(expected)


def test_joint_scale_and_reference(context):
    cost = made(context, "joint_target", weight=1.0, scale=(1.0, 4.0))
    assert value(cost, joint_target__reference=[1.0, 0.5]) == pytest.approx(0.5 * (1.0 + 4.0 * 0.25))
    speed = made(context, "joint_speed", weight=2.0)
    assert value(speed, x=np.r_[0, 0, 1.0, 2.0, np.zeros(2 * M)]) == pytest.approx(0.5 * 2.0 * 5.0)


def test_features_without_confidence_do_not_count(context):
    cost = made(context, "feature_target", weight=1.0)
    x = np.r_[np.zeros(2 * N), 0.3, -0.4, np.zeros(M)]
    assert value(cost, x=x) == pytest.approx(0.5 * 0.25)
    assert value(cost, x=x, feature_target__confidence=[0.0, 0.0]) == pytest.approx(0.0)


def test_commands_are_relative_to_their_range(context):
    # command ranges are +-10 and +-5 N m: half of each is a relative command of 1/2
    assert value(made(context, "effort", weight=1.0), u=np.array([5.0, 2.5])) == pytest.approx(0.5 * (0.25 + 0.25))
    change = made(context, "command_change", weight=1.0)
    assert change.uses_u_previous
    assert value(change, u=np.array([5.0, 2.5]), v=np.array([5.0, 0.0])) == pytest.approx(0.5 * 0.25)
    assert not made(context, "effort").uses_u_previous


def test_joint_limits_rise_at_the_stops_only(context):
    cost = made(context, "joint_limits", weight=1000.0)
    middle = value(cost)
    inside = value(cost, x=np.r_[1.8, 0.0, 0, 0, np.zeros(2 * M)])
    beyond = value(cost, x=np.r_[2.05, 0.0, 0, 0, np.zeros(2 * M)])  # 0.1 past the wall's foot: 1/2 1000 0.1^2 = 5
    fast = value(cost, x=np.r_[0.0, 0.0, 3.0, 0, np.zeros(2 * M)])  # at its limit, 0.15 past the foot: 11.25
    assert middle < 0.02 and inside < 0.2
    assert beyond == pytest.approx(5.0, rel=0.05) and fast == pytest.approx(11.25, rel=0.05)


def test_a_cost_names_what_it_needs(context):
    nobody = CostContext(None, N, M, N, 0.01, H, context.u_lower, context.u_upper)
    for name in ("point_target", "joint_limits"):
        with pytest.raises(ConfigurationError, match=f"cost '{name}' needs a robot"):
            made(nobody, name)
    blind = CostContext(context.robot, N, 0, N, 0.01, H, context.u_lower, context.u_upper)
    assert made(blind, "feature_target").np == 0
    with pytest.raises(ConfigurationError, match="scale.*1 or 2 entries"):
        made(context, "joint_target", scale=(1.0, 1.0, 1.0))
    with pytest.raises(ConfigurationError, match="joint_target"):
        build_cost({"joint_targt": registry.load("cost", "effort").Settings()}, context)


def test_all_costs_together(context):
    sections = {name: registry.load("cost", name).Settings(weight=2.0) for name in NAMES}
    cost = build_cost(sections, context)
    x, v, u, p = point(1, cost)
    alone = 0.0
    for name in NAMES:
        one = made(context, name, weight=2.0)
        own = np.concatenate([p[cost.layout[key]] for key in one.layout])
        alone += float(one.stage(x, v, u, own))
    assert float(cost.stage(x, v, u, p)) == pytest.approx(alone, rel=1e-12)
    covered = sorted(i for part in cost.layout.values() for i in range(part.start, part.stop))
    assert covered == list(range(cost.np))


# --- change of the command --------------------------------------------------------------------------------------------


def metric(seed=0, acceleration=600.0):
    """(B, h, a, H^-2 + B^T B / a^2) of three coupled joints."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(3, 3))
    gain, scale = np.linalg.inv(0.01 * (A @ A.T + 0.1 * np.eye(3))), np.array([87.0, 12.0, 3.0])
    return gain, scale, acceleration, np.diag(scale**-2.0) + gain.T @ gain / acceleration**2


def square(triangle):
    """L (n, n) of its upper triangle, row by row."""
    n = round(np.sqrt(2 * triangle.size))
    L = np.zeros((n, n))
    L[np.triu_indices(n)] = triangle
    return L


@pytest.mark.parametrize("acceleration", (1.0, 600.0, 1e6))
def test_the_shape_of_the_command_change_is_its_metric(acceleration):
    gain, scale, a, expected = metric(1, acceleration)
    L = square(shape(gain, scale, a))
    np.testing.assert_allclose(L.T @ L, np.eye(3) + np.diag(scale) @ gain.T @ gain @ np.diag(scale) / a**2, rtol=1e-9)
    by_command = L @ np.diag(1.0 / scale)
    np.testing.assert_allclose(by_command.T @ by_command, expected, rtol=1e-9)
    # never less than the share of a large command, never less than the acceleration's
    assert np.linalg.eigvalsh(expected - np.diag(scale**-2.0))[0] >= -1e-12 * np.abs(expected).max()
    np.testing.assert_array_equal(square(shape(np.zeros((3, 3)), scale, a)), np.eye(3))


def test_the_command_change_costs_what_its_shape_demands(context):
    """Value, gradient and curvature by the commands, for an L that is not diagonal."""
    cost = made(context, "command_change", weight=3.0)
    h = context.command_scale
    triangle = shape(np.array([[900.0, -400.0], [-300.0, 2500.0]]), h, 600.0)
    L = square(triangle)
    assert abs(L[0, 1]) > 0.1
    x, v, u, p = point(2, cost)
    p = cost.parameters(H)[0]
    p[cost.layout["command_change.shape"]] = triangle
    A = np.diag(1.0 / h) @ L.T @ L @ np.diag(1.0 / h)
    d = u - v
    full = float(cost.stage(x, v, u, p))
    assert full == pytest.approx(0.5 * 3.0 * d @ A @ d, rel=1e-12)
    g, G = cost.stage_expansion(x, v, u, p)
    g, G = g.full().ravel(), casadi.tril2symm(G).full()
    z = np.concatenate([x, u, v])

    def gradient(z):
        return cost.stage_expansion(z[: cost.nx], z[cost.nx + 2 :], z[cost.nx : cost.nx + 2], p)[0].full().ravel()

    def value(z):
        return float(cost.stage(z[: cost.nx], z[cost.nx + 2 :], z[cost.nx : cost.nx + 2], p))

    np.testing.assert_allclose(g, derivative(value, z, 1e-5), rtol=1e-6, atol=1e-8 * (1.0 + full))
    np.testing.assert_allclose(G, derivative(gradient, z, 1e-5), rtol=1e-6, atol=1e-8 * (1.0 + np.abs(G).max()))
    np.testing.assert_allclose(g[cost.nx : cost.nx + 2], 3.0 * A @ d, rtol=1e-9)


def test_without_a_shape_the_command_change_is_the_share_of_a_large_command(context):
    cost = made(context, "command_change", weight=2.0)
    u, v = np.array([4.0, -1.0]), np.array([1.0, 1.0])
    full = float(cost.stage(np.zeros(cost.nx), v, u, cost.parameters(H)[0]))
    assert full == pytest.approx(
        0.5 * 2.0 * ((3.0 / 10.0) ** 2 + (2.0 / 5.0) ** 2), rel=1e-12
    )  # efforts of 10 and 5 N m
