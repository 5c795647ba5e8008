"""The whole controller on a simulated arm, in lockstep, without ROS: it must learn, hold, recover, repeat itself."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.simulation import CameraSettings, PlantSettings
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.controllers.mpc import MpcController
from mbrl_ros.demo.episode import run_episode
from mbrl_ros.demo.metrics import rest_error, settled, summarise
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.scenarios.scenario import Scenario, Slot, build_scenario, full_duration
from mbrl_ros.simulation.camera import Camera, CameraPose, project
from mbrl_ros.types import DecisionStatus, Observation
from support.needs import needs, present
from support.robots import planar_robot

if present("mujoco"):
    from mbrl_ros.simulation.plant import Plant

pytestmark = needs("mujoco")


START = (0.5, 0.6, -0.8)


def arm(interface: str = "effort"):
    """Three links of half a metre and 1 kg: stretched out they weigh 22 N m at the first joint, of 60 N m it has."""
    return planar_robot(3, interface, effort=60.0)


def episode(scenario_of, *, interface="effort", plant=(), camera=None, **settings):
    """(truth, control, robot, scenario) of a three-link arm under gravity whose model nobody knows."""
    robot = arm(interface)
    configuration = Configuration.from_flat({"control.rate": 200.0, "planner.horizon": 20, **settings})
    scenario = scenario_of(robot)
    simulated = Plant(
        PlantSettings(
            rate=200.0, initial_position=START, initial_noise=0.0, armature=(0.05,), frictionloss=(0.05,), **dict(plant)
        ),
        robot,
    )
    controller = build_controller(robot, configuration)
    supervisor = Supervisor(robot, configuration.supervisor, controller.dt)
    truth, control = run_episode(simulated, controller, supervisor, scenario, camera=camera)
    return truth, control, robot, scenario


def two_points(robot):
    """Two targets of 2.5 s each, half a kilogram added 1.2 s after the second."""
    at = Kinematics(robot).position
    return Scenario(
        0,
        6.5,
        (
            Slot("point", 0.5, 3.0, at(np.array([0.2, 0.9, -0.5]))),
            Slot("point", 3.0, 6.5, at(np.array([0.7, 0.3, -1.0]))),
        ),
        0.5,
        4.6,
    )


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("interface", ["effort", "velocity", "position"])
def test_it_reaches_targets_from_nothing_and_recovers_from_a_payload(interface):
    truth, control, robot, scenario = episode(two_points, interface=interface)
    summary = summarise(scenario, robot, truth, control, rate_hz=200.0, horizon=20, estimator="refit")
    for target in summary["targets"]:
        assert target["time_to_1cm_s"] is not None and target["time_to_1cm_s"] < 0.5
        assert target["rest_error_mm"] < 3.0
    assert summary["payload"]["rest_error_mm"] < 3.0
    assert summary["limit_violations"] == 0
    assert summary["max_joint_speed_fraction"] < 0.95
    assert 0.85 <= summary["prediction"]["nis_coverage_95"] <= 0.995


def test_learning_is_what_makes_the_difference():
    """The same arm, model frozen before the payload comes: many times the error."""
    rest = {}
    for estimator in ("refit", "frozen"):
        truth, *_ = episode(two_points, **{"dynamics.estimator": estimator, "dynamics.freeze_after": 2.5})
        error = np.linalg.norm(truth["tip"] - two_points(arm()).slots[1].value, axis=1)
        rest[estimator] = rest_error(truth["stamp"], error)
    assert rest["frozen"] > 10.0 * rest["refit"]


def test_two_runs_agree_to_the_last_bit():
    def short(robot):
        return Scenario(0, 1.5, two_points(robot).slots[:1], 0.0, None)

    first, second = (episode(short)[1] for _ in range(2))
    for name in ("q", "u", "nis", "innovation"):
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.slow
def test_an_image_target_is_reached_though_the_camera_pose_is_unknown():
    settings = CameraSettings(noise=0.3)
    pose = CameraPose.look_at([0.9, -1.6, 0.6], [1.1, 0.0, 0.8])

    def scenario(robot):
        p = Kinematics(robot).position(np.array(START) + [0.15, -0.1, 0.2])
        return Scenario(
            0, 6.0, (Slot("features", 0.5, 6.0, project(p[None], pose, settings)[0].ravel(), pose),), 0.0, None
        )

    truth, _, _, made = episode(scenario, camera=Camera(settings, pose), **{"features.points": 1})
    off = np.linalg.norm(truth["features"][-100:] - made.slots[0].value, axis=1) / 2.0
    assert np.median(off) < 0.02  # of the image's width


@pytest.mark.slow
def test_the_smallest_excitation_makes_the_image_jacobian_known_with_a_third_of_the_motion():
    settings = CameraSettings(noise=0.3)
    pose = CameraPose.look_at([0.9, -1.6, 0.6], [1.1, 0.0, 0.8])

    def scenario(robot):
        p = Kinematics(robot).position(np.array(START) + [0.15, -0.1, 0.2])
        value = project(p[None], pose, settings)[0].ravel()
        return Scenario(0, 4.0, (Slot("features", 0.5, 4.0, value, pose),), 0.0, None)

    moved = {}
    for when in ("never", "target"):
        changes = {"features.points": 1, "robot.interface": "velocity", "excitation.when": when}
        truth, _, _, made = episode(scenario, interface="velocity", camera=Camera(settings, pose), **changes)
        early = truth["tip"][round(0.5 * 200) : round(1.0 * 200)]
        moved[when] = np.linalg.norm(early - early[0], axis=1).max()
        off = np.linalg.norm(truth["features"][-100:] - made.slots[0].value, axis=1) / 2.0
        assert np.median(off) < 0.02  # of the image's width
    assert moved["target"] < moved["never"] / 3.0


def test_a_planner_that_fails_is_a_status_and_the_last_command_stands():
    robot = planar_robot(2)
    controller = MpcController(robot, Configuration.from_flat({"planner.horizon": 10}))
    state = Observation(1.0, np.zeros(2), np.zeros(2))
    controller.reset(state)
    first = controller.step(state)
    controller.record(1.0, first.u)
    broken = controller.step(Observation(1.005, np.zeros(2), np.array([np.nan, 0.0])))
    assert broken.status is DecisionStatus.PLANNER_FAILED
    assert np.isfinite(broken.u).all()


def test_a_lowered_gain_reacts_less_and_the_usual_one_comes_back():
    changes = {}
    for gains in ((1.0,), (0.2,), (0.2, 1.0)):
        controller = MpcController(arm(), Configuration.from_flat({"control.rate": 200.0, "planner.horizon": 20}))
        q = np.array(START)
        controller.reset(Observation(0.0, q, np.zeros(3)))
        for share in gains:
            controller.limit_gain(share)
        assert controller.health().gain == gains[-1]
        before = controller.step(Observation(0.0, q, np.zeros(3))).u
        controller.record(0.0, before)
        changes[gains] = controller.step(Observation(0.005, q + 0.05, np.zeros(3))).u - before
    assert np.abs(changes[0.2,]).max() < 0.5 * np.abs(changes[1.0,]).max()
    assert np.array_equal(changes[0.2, 1.0], changes[1.0,])


def test_a_period_that_was_missed_teaches_nothing():
    robot = planar_robot(2)
    controller = MpcController(robot, Configuration.from_flat({"planner.horizon": 10}))
    stamps = (1.0, 1.005, 1.015, 1.02)  # the third comes a tick late
    learned = []
    for k, stamp in enumerate(stamps):
        state = Observation(stamp, np.zeros(2), np.zeros(2))
        if k == 0:
            controller.reset(state)
        decision = controller.step(state)
        controller.record(stamp, decision.u)
        learned.append(decision.nis_dof > 0)
    assert learned == [False, True, False, True]


def test_the_pid_needs_the_effort_interface():
    with pytest.raises(ConfigurationError, match="commands efforts, not velocity"):
        build_controller(planar_robot(2, "velocity"), Configuration.from_flat({"control.controller": "pid"}))


def test_scenarios_are_reachable_and_seeded():
    robot, camera = planar_robot(3), None
    with pytest.raises(ConfigurationError, match="at least 8 s"):
        build_scenario(robot, np.array(START), 0, duration=5.0, camera=camera)
    assert full_duration() == pytest.approx(57.0)


def test_settling_is_the_last_entry_that_stays():
    stamps = np.arange(6.0)
    assert settled(stamps, np.array([9, 1, 9, 1, 1, 1.0]), bound=2.0) == 3.0
    assert settled(stamps, np.array([1, 1, 1, 1, 1, 9.0]), bound=2.0) is None
    assert settled(stamps, np.zeros(6), bound=2.0) == 0.0


@pytest.mark.slow(but=1)
@pytest.mark.parametrize(
    "settings",
    [
        {"planner.execution": "feedback"},
        {"planner.execution": "gaussian", "planner.temperature": 1e-6},
        {"planner.state_limits": True},
        {"planner.kl_bound": 50.0},
        {"planner.discount": 0.98},
        {"control.planner": "lqr"},
        {"control.planner": "mppi", "planner.execution": "feedback"},
        {"control.planner": "cem", "planner.execution": "gaussian", "planner.temperature": 1e-6},
        {"dynamics.prior": "rigid_body"},
        {"dynamics.prior": "rigid_body", "dynamics.estimator": "output_error"},
        {"dynamics.prior": "rigid_body", "dynamics.estimator": "known"},
        {"control.delay": 1.0, "planner.backend": "casadi"},
    ],
)
def test_every_way_to_plan_and_learn_reaches_the_target(settings):
    if settings.get("dynamics.prior") == "rigid_body":
        pytest.importorskip("adam", reason="the rigid-body prior needs adam-robotics")
        settings = {**settings, "prior.rigid_body.armature": (0.05,)}
    truth, control, robot, scenario = episode(
        lambda robot: Scenario(0, 3.0, two_points(robot).slots[:1], 0.0, None), **settings
    )
    off = np.linalg.norm(truth["tip"] - scenario.slots[0].value, axis=1)
    assert rest_error(truth["stamp"], off) < 3.0
    assert (np.abs(control["u"]) <= robot.command_upper).all()


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("planner", ["cem", "mppi", "random_shooting"])
@pytest.mark.parametrize("interface", ["effort", "velocity", "position"])
def test_planners_that_sample_reach_the_target_from_nothing(planner, interface):
    truth, control, robot, scenario = episode(
        lambda robot: Scenario(0, 3.0, two_points(robot).slots[:1], 0.0, None),
        interface=interface,
        **{"control.planner": planner},
    )
    off = np.linalg.norm(truth["tip"] - scenario.slots[0].value, axis=1)
    assert rest_error(truth["stamp"], off) < 5.0
    assert (control["u"] >= robot.command_lower).all() and (control["u"] <= robot.command_upper).all()
