"""Every prior: its Jacobian against finite differences, and what it promises of itself."""

import numpy as np
import pytest

from mbrl_ros.dynamics.priors import rigid_body
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.robots.robot import Robot, load_robot
from mbrl_ros.settings import RobotSettings

# A double pendulum: point masses m1 = 2 kg, m2 = 1 kg at the ends of massless rods, l1 = 0.5 m, l2 = 0.4 m.
M1, M2, L1, L2, GRAVITY = 2.0, 1.0, 0.5, 0.4, 9.81
LINK = """<link name="{name}"><inertial><origin xyz="0 0 -{length}"/><mass value="{mass}"/>
<inertia ixx="1e-9" ixy="0" ixz="0" iyy="1e-9" iyz="0" izz="1e-9"/></inertial></link>"""
JOINT = """<joint name="{name}" type="revolute"><parent link="{parent}"/><child link="{child}"/>
<origin xyz="0 0 {z}"/><axis xyz="0 1 0"/><limit lower="-3" upper="3" effort="20" velocity="10"/></joint>"""
DOUBLE_PENDULUM = ("<robot name='double_pendulum'><link name='base'/>"
                   + LINK.format(name="upper", length=L1, mass=M1) + LINK.format(name="lower", length=L2, mass=M2)
                   + JOINT.format(name="shoulder", parent="base", child="upper", z=0)
                   + JOINT.format(name="elbow", parent="upper", child="lower", z=-L1) + "</robot>")


def pendulum(interface: str = "effort") -> Robot:
    return load_robot(RobotSettings(interface=interface), DOUBLE_PENDULUM)


def pendulum_acceleration(q, qd, tau, m1=M1, m2=M2):
    """qdd (2,) from the Lagrangian of two point masses, angles from hanging straight down."""
    c, s = np.cos(q[1]), np.sin(q[1])
    cross = m2 * L1 * L2 * c
    M = np.array([[(m1 + m2) * L1**2 + m2 * L2**2 + 2 * cross, m2 * L2**2 + cross], [m2 * L2**2 + cross, m2 * L2**2]])
    coriolis = m2 * L1 * L2 * s * np.array([-2 * qd[0] * qd[1] - qd[1] ** 2, qd[0] ** 2])
    weight = GRAVITY * np.array([(m1 + m2) * L1 * np.sin(q[0]) + m2 * L2 * np.sin(q[0] + q[1]),
                                 m2 * L2 * np.sin(q[0] + q[1])])
    return np.linalg.solve(M, tau - coriolis - weight)


def assert_jacobian(prior, X, U, tolerance=1e-6):
    """`linearise` against `mean` and against central differences of `mean`."""
    Y, J = prior.linearise(X, U)
    for t, (x, u) in enumerate(zip(X, U)):
        np.testing.assert_allclose(Y[t], prior.mean(x, u), rtol=1e-9, atol=1e-12)
        z = np.concatenate([x, u])
        for i in range(z.size):
            step = 1e-5 * np.eye(z.size)[i]
            up, down = z + step, z - step
            slope = (prior.mean(up[: x.size], up[x.size:]) - prior.mean(down[: x.size], down[x.size:])) / 2e-5
            np.testing.assert_allclose(J[t][:, i], slope, rtol=1e-4, atol=tolerance)


def test_rigid_body_is_the_double_pendulum():
    dt, rng = 0.005, np.random.default_rng(0)
    prior = rigid_body.build(rigid_body.Settings(), pendulum(), dt)
    for _ in range(5):
        q, qd, tau = rng.uniform(-2, 2, 2), rng.uniform(-3, 3, 2), rng.uniform(-10, 10, 2)
        expected = dt * pendulum_acceleration(q, qd, tau)
        # the links' own inertia of 1e-9 kg m^2 keeps the relative difference near 1e-8
        np.testing.assert_allclose(prior.mean(np.concatenate([q, qd]), tau), expected, rtol=1e-6)


def test_rigid_body_scales_masses():
    dt, q, qd, tau = 0.005, np.array([0.3, -0.8]), np.array([1.0, 0.5]), np.array([3.0, -1.0])
    prior = rigid_body.build(rigid_body.Settings(mass_scale=0.8), pendulum(), dt)
    expected = dt * pendulum_acceleration(q, qd, tau, 0.8 * M1, 0.8 * M2)
    np.testing.assert_allclose(prior.mean(np.concatenate([q, qd]), tau), expected, rtol=1e-6)


@pytest.mark.parametrize("compiler", [True, False])
def test_rigid_body_jacobian(monkeypatch, compiler):
    if not compiler:
        monkeypatch.setattr("mbrl_ros.planners.compiler.find_compiler", lambda: None)
    rng = np.random.default_rng(1)
    prior = rigid_body.build(rigid_body.Settings(armature=(0.01,)), pendulum(), 0.01)
    assert_jacobian(prior, rng.uniform(-2, 2, (4, 4)), rng.uniform(-10, 10, (4, 2)))


def test_rigid_body_needs_efforts():
    with pytest.raises(ConfigurationError, match="velocity interface; use the integrator"):
        rigid_body.build(rigid_body.Settings(), pendulum("velocity"), 0.01)
