"""An end-effector target near a singular posture is reached in the time of any other."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.controllers.cost_parameters import CostParameters
from mbrl_ros.controllers.mpc import MpcController
from mbrl_ros.costs import CostContext, build_cost
from mbrl_ros.references.preview import Preview
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.types import Observation
from support.needs import needs, present
from support.robots import planar_robot

if present("mujoco"):
    from mbrl_ros.simulation.plant import Plant

START, STRETCHED = np.array([0.3, 1.2]), np.array([0.6, 0.08])
WAIT = 1.25  # [s] after the end of the reference, as in the bench of robots


@needs("mujoco")
@pytest.mark.parametrize("seed", (10, 11))
def test_the_tip_rests_within_a_millimeter_where_the_jacobian_is_nearly_singular(seed):
    robot = planar_robot(2)
    kinematics, configuration = Kinematics(robot), Configuration.from_flat({"control.seed": seed})
    least = [np.linalg.svd(kinematics.jacobian(q), compute_uv=False)[-1] for q in (START, STRETCHED)]
    assert least[1] < 0.15 * least[0]
    settings = PlantSettings(rate=200.0, seed=seed, initial_position=tuple(START), armature=(0.1,), frictionloss=(0.3,))
    plant, controller, target = Plant(settings, robot), MpcController(robot, configuration), None
    measured, stop, tips, distance = plant.reset(), np.inf, [], []
    while (now := measured.stamp) < stop + WAIT:
        if target is None:
            controller.reset(Observation(now, measured.q, measured.qd))
            target = kinematics.position(STRETCHED)
            controller.set_point_target(target, now + 0.5)
        u = controller.step(Observation(now, measured.q, measured.qd)).u
        controller.record(now, u)
        if now > 0.6:
            stop = controller.target_manager.end
        distance.append(np.linalg.norm(plant.truth.tip - target))
        tips.append(now)
        measured = plant.step(u)
    late = np.array(tips) > stop + WAIT - 0.5
    assert np.median(np.array(distance)[late]) < 1e-3


def test_the_joint_reference_counts_for_a_point_and_hardly_for_an_image():
    robot, configuration = planar_robot(2), Configuration.from_flat({})
    context = CostContext(robot, 2, 2, 2, 0.005, 10, robot.command_lower, robot.command_upper)
    cost = build_cost(configuration.costs, context)
    parameters = CostParameters(cost, 10, 0.005, configuration.reference)
    weight = cost.layout["joint_target.weight"]
    q = np.zeros((11, 2))
    by_kind = {
        preview.kind: float(parameters.at(preview)[0, weight][0])
        for preview in (
            Preview("joints", q),
            Preview("point", q, p=np.zeros((11, 3))),
            Preview("features", q, s=np.zeros((11, 2))),
        )
    }
    assert by_kind == pytest.approx({"joints": 1000.0, "point": 50.0, "features": 0.05})
