"""An arm whose URDF has no masses: its inertia is guessed where that is asked for, tapered, aloud, and in one place."""

import logging
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.dynamics.priors import integrator
from mbrl_ros.exceptions import RobotDescriptionError
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.effective_inertia import LEAST, EffectiveInertia, knows_inertia
from mbrl_ros.robots.guessed_inertials import GuessedInertia
from mbrl_ros.robots.inertia import JointSpaceInertia
from mbrl_ros.safety.arrest import Arrest
from mbrl_ros.simulation.mechanism import bare_mechanism
from mbrl_ros.types import Observation
from support.robots import planar_arm

DT = 0.005
POSE = np.array([0.3, 1.2])
EFFORT = 20.0


def bare(guess=True, joints=2):
    text = planar_arm(joints, effort=EFFORT).replace("<inertial>", "<!--").replace("</inertial>", "-->")
    return load_robot(RobotSettings(guess_inertials=guess), text)


def test_the_guess_is_that_of_the_simulated_arm():
    """One guess in one place: what the plant gets is what the controller takes."""
    robot = bare()
    simulated = ElementTree.tostring(bare_mechanism(robot.urdf, robot), encoding="unicode")
    guess, plant = GuessedInertia(robot), JointSpaceInertia(replace(robot, urdf=simulated))
    np.testing.assert_allclose(guess(POSE), plant(POSE), rtol=1e-12)
    assert np.linalg.eigvalsh(guess(POSE))[0] > 0.0


def test_an_arm_twice_as_long_has_thirty_two_times_the_inertia():
    """Mass grows with the cube and the arm's square with it."""
    text = bare().urdf
    twice = bare().urdf.replace('xyz="0.5 0 0"', 'xyz="1.0 0 0"')
    assert twice != text
    one, two = (GuessedInertia(replace(bare(), urdf=urdf)) for urdf in (text, twice))
    np.testing.assert_allclose(two(POSE) / one(POSE), 32.0, rtol=1e-3)


def test_nothing_is_guessed_unless_it_is_asked_for_or_where_it_is_known(caplog):
    assert not knows_inertia(bare(guess=False))
    with pytest.raises(RobotDescriptionError, match="moves no mass"):
        EffectiveInertia(bare(guess=False))
    known = load_robot(RobotSettings(), planar_arm(2, effort=EFFORT))
    with caplog.at_level(logging.WARNING):
        told = EffectiveInertia(replace(known, guess_inertials=True))
    assert not told.guessed and not caplog.text
    np.testing.assert_array_equal(told(POSE), EffectiveInertia(known)(POSE))
    np.testing.assert_array_equal(told.most, EffectiveInertia(known).most)


def test_a_wrong_inertial_is_refused_and_not_overwritten():
    wrong = planar_arm(2, effort=EFFORT)
    for key in ("ixx", "iyy", "izz"):
        wrong = wrong.replace(f'{key}="', f'{key}="-9')
    robot = load_robot(RobotSettings(guess_inertials=True), wrong)
    assert not knows_inertia(robot)


def test_the_guess_is_aloud(caplog):
    robot = bare()
    with caplog.at_level(logging.WARNING):
        assert knows_inertia(robot)
        EffectiveInertia(robot)
    assert caplog.text.count("['joint1', 'joint2'] move: each gets a guessed one") == 1


def test_an_inertia_larger_than_guessed_is_learned_up_to_the_guess_itself():
    inertia = EffectiveInertia(bare())
    truth = inertia(POSE) + np.diag([0.4, 0.02])
    for _ in range(100):
        inertia.learn(POSE, np.linalg.inv(truth))
    np.testing.assert_allclose(inertia.rotor_inertia, [0.2, 0.01], rtol=1e-3)
    for _ in range(200):
        inertia.learn(POSE, np.linalg.inv(inertia(POSE) + 100.0 * np.eye(2)))
    np.testing.assert_allclose(inertia.rotor_inertia, inertia.most, rtol=1e-6)
    assert (inertia.most >= EFFORT / LEAST).all() and (inertia.most >= GuessedInertia(bare()).largest).all()


def test_the_prior_of_efforts_is_built_of_the_guess():
    robot = bare()
    prior = integrator.build(integrator.Settings(), robot, DT)
    prior.move_to(POSE)
    gain = DT * np.linalg.inv(EffectiveInertia(robot)(POSE))
    np.testing.assert_allclose(prior.jacobian[:, 4:], gain, rtol=1e-9)


@pytest.mark.parametrize("ratio", (0.4, 1.0, 3.0, 8.0))
def test_the_safe_effort_stops_an_arm_of_other_inertia_than_guessed(ratio):
    """M = r M_s is stable for r < 9; the law is discrete and a period late, which bounds r from below."""
    robot = bare(joints=1)
    arrest = Arrest(robot, SupervisorSettings(), DT)
    assert arrest.ready
    inertia = ratio * float(arrest.inertia(np.zeros(1))[0, 0])
    q, qd, late = 0.0, 0.5, 0.0
    for k in range(round(6.0 / DT)):
        u = float(np.clip(arrest.command(Observation(k * DT, np.array([q]), np.array([qd])))[0], -EFFORT, EFFORT))
        qd += DT * late / inertia
        q, late = q + DT * qd, u
    assert abs(qd) < 0.02 and abs(q) < 0.5
