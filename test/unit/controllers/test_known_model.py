"""The estimator `known` with the masses of the simulated arm: it moves well from the first tick on."""

import numpy as np

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.demo.episode import run_episode
from mbrl_ros.demo.metrics import rest_error, settled
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.scenarios.scenario import Scenario, Slot
from support.needs import needs, present
from support.robots import planar_robot

if present("mujoco"):
    from mbrl_ros.simulation.plant import Plant

pytestmark = needs("mujoco", "adam")

START, END = (0.5, 0.6, -0.8), (0.2, 0.9, -0.5)
KNOWN = {"dynamics.prior": "rigid_body", "dynamics.estimator": "known", "prior.rigid_body.armature": (0.05,)}


def episode(interface="effort", duration=2.0, **settings):
    """Return (truth, control, controller, target) of three links of half a metre and 1 kg without friction."""
    robot = planar_robot(3, interface, effort=60.0)
    configuration = Configuration.from_flat({"control.rate": 200.0, "planner.horizon": 20, **settings})
    plant = Plant(
        PlantSettings(
            rate=200.0,
            initial_position=START,
            initial_noise=0.0,
            armature=(0.05,),
            damping=(0.0,),
            frictionloss=(0.0,),
        ),
        robot,
    )
    target = Kinematics(robot).position(np.array(END))
    scenario = Scenario(0, duration, (Slot("point", 0.5, duration, target),), 0.0, None)
    controller = build_controller(robot, configuration)
    supervisor = Supervisor(robot, configuration.supervisor, controller.dt)
    truth, control = run_episode(plant, controller, supervisor, scenario)
    return truth, control, controller, target


def test_with_the_true_model_the_arm_sags_less_and_rests_at_its_target():
    sag: dict[str, float] = {}
    for name, settings in (("known", KNOWN), ("refit", {})):
        truth, control, controller, target = episode(**settings)
        still = truth["tip"][truth["stamp"] < 0.45]
        sag[name] = np.linalg.norm(still - still[0], axis=1).max()
        if name == "known":
            off = np.linalg.norm(truth["tip"] - target, axis=1)
            dynamics, stamp = controller.dynamics, truth["stamp"]
            assert (np.abs(control["u"]) <= controller.robot.command_upper).all()
            inside = np.mean(control["nis"][1:] <= control["nis_bound"][1:])
    assert sag["known"] < 0.006 and sag["known"] < 0.7 * sag["refit"]  # no effort acts in the first period
    assert settled(stamp, off, bound=0.01) < 0.75  # the target came at 0.5 s
    assert rest_error(stamp, off) < 0.5
    assert 0.93 <= inside <= 0.99
    assert not dynamics.posterior.W.any() and not dynamics.posterior.S.any()
    # the measured velocities' noise of 0.01 rad/s enters twice
    np.testing.assert_allclose(dynamics.noise_std, np.sqrt(2.0) * 0.01, rtol=0.3)


def test_what_the_model_does_not_know_is_not_learned():
    """With 80 % of the masses the arm rests beside its target, and stays there."""
    truth, _, controller, target = episode(**KNOWN, **{"prior.rigid_body.mass_scale": 0.8})
    off = np.linalg.norm(truth["tip"] - target, axis=1)
    assert rest_error(truth["stamp"], off) > 1.0  # five times that with the right masses
    assert not controller.dynamics.posterior.W.any()
