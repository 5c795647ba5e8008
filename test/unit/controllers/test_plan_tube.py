"""The tube of a plan that displays show: it belongs to the plan, and samples of the dynamics lie in it."""

import numpy as np

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.mpc import MpcController
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.types import Observation
from support.needs import needs
from support.robots import planar_robot


@needs("rclpy")
def test_the_tube_is_that_of_the_plans_own_dynamics_and_holds_samples_of_them():
    from mbrl_ros.nodes.plan_display import planned_with, tool_tube

    robot, rng = planar_robot(2), np.random.default_rng(1)
    controller = MpcController(robot, Configuration.from_flat({"planner.horizon": 10}))
    q, qd = np.array([0.3, -0.4]), np.zeros(2)
    controller.reset(Observation(1.0, q, qd))
    controller.set_joint_target(q + 0.3, 1.0)
    for k in range(40):  # a plant that is not what the prior is
        decision = controller.step(Observation(1.0 + 0.005 * k, q, qd))
        controller.record(1.0 + 0.005 * k, decision.u)
        qd = qd + 0.005 * (0.4 * decision.u - 3.0 * np.cos(q)) + 1e-3 * rng.normal(size=2)
        q = q + 0.005 * qd
    plan, dynamics = decision.plan, planned_with(controller)
    H, n, nx = len(plan.u_hat), robot.n, plan.x_hat.shape[1]
    for t in range(H):
        np.testing.assert_allclose(dynamics.predict(plan.x_hat[t], plan.u_hat[t], t), plan.x_hat[t + 1], atol=1e-9)

    kinematics = Kinematics(robot)
    axes = tool_tube(plan, dynamics, kinematics, n)
    x, u = np.tile(plan.x_hat[0], (4000, 1)), np.tile(plan.u_hat[0], (4000, 1))
    for t in range(H):
        F, f, Sigma = dynamics.at(t)
        u = plan.u_hat[t] + (x - plan.x_hat[t]) @ plan.K[t].T + (u - plan.u_hat[max(t - 1, 0)]) @ plan.K_u[t].T
        noise = rng.multivariate_normal(np.zeros(nx), Sigma, len(x), method="eigh")
        x = np.hstack([x, u]) @ F.T + f + noise
    off = kinematics.positions(x[:, :n]) - kinematics.position(plan.x_hat[-1, :n])
    assert np.abs(axes[0]).max() == 0.0  # the present is known
    measured, told = np.cov(off.T), 0.25 * axes[-1] @ axes[-1].T
    assert np.abs(measured - told).max() < 0.1 * np.abs(told).max()


@needs("rclpy")
def test_a_controller_that_does_not_plan_has_no_tube():
    from mbrl_ros.controllers.factory import build_controller
    from mbrl_ros.nodes.plan_display import planned_with

    assert (
        planned_with(build_controller(planar_robot(2), Configuration.from_flat({"control.controller": "pid"}))) is None
    )
