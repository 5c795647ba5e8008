"""What an effort works against: the links' inertia and what data tell of the rotors; and the prior made of it."""

import numpy as np
import pytest

from mbrl_ros.config.sections.dynamics import DynamicsSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.dynamics import build_dynamics
from mbrl_ros.dynamics.priors import integrator
from mbrl_ros.exceptions import ConfigurationError, RobotDescriptionError
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.effective_inertia import LEAST, ROTOR_RATE, ROTOR_SHARE, EffectiveInertia, inverse_gain
from mbrl_ros.robots.inertia import JointSpaceInertia
from support.robots import planar_arm

DT = 0.005
POSE = np.array([0.3, 1.2])


def robot(rotors=(), effort=20.0, bare=False):
    text = planar_arm(2, effort=effort)
    if bare:
        text = text.replace("<inertial>", "<!--").replace("</inertial>", "-->")
    return load_robot(RobotSettings(rotor_inertia=rotors), text)


def links(q=POSE):
    """M(q) of two rods of 1 kg and 0.5 m, from the textbook: a + 2 b cos q2 and c + b cos q2."""
    third, b = 1.0 * 0.5**2 / 3.0, 0.5 * 1.0 * 0.5 * 0.5 * np.cos(q[1])
    return np.array([[2.0 * third + 0.25 + 2.0 * b, third + b], [third + b, third]])


def test_links_and_rotors_add():
    np.testing.assert_allclose(EffectiveInertia(robot())(POSE), links(), rtol=1e-9)
    np.testing.assert_allclose(EffectiveInertia(robot((0.02, 0.01)))(POSE), links() + np.diag([0.02, 0.01]), rtol=1e-9)


def test_what_is_learned_of_the_rotors_is_half_and_slow():
    inertia = EffectiveInertia(robot(effort=100.0))
    for k in range(1, 60):
        inertia.learn(POSE, np.linalg.inv(links() + np.diag([0.1, 0.05])))
        share = ROTOR_SHARE * (1.0 - (1.0 - ROTOR_RATE) ** k)
        np.testing.assert_allclose(inertia.rotor_inertia, share * np.array([0.1, 0.05]), rtol=1e-6)
    np.testing.assert_allclose(inertia(POSE), links() + np.diag(inertia.rotor_inertia), rtol=1e-9)


@pytest.mark.parametrize("learned, bound", ((10.0, 20.0 / LEAST), (-0.5, 0.01)))
def test_rotors_stay_between_what_is_sure_and_what_a_motor_can_move(learned, bound):
    """20 N m over 500 rad/s^2 above, the setting below, however absurd the fit."""
    inertia = EffectiveInertia(robot((0.01,)))
    for _ in range(200):
        inertia.learn(POSE, np.linalg.inv(links() + np.diag([learned, learned])))
        assert (inertia.rotor_inertia >= 0.01).all() and (inertia.rotor_inertia <= 20.0 / LEAST).all()
    np.testing.assert_allclose(inertia.rotor_inertia, bound, rtol=1e-6)
    inertia.reset()
    np.testing.assert_array_equal(inertia.rotor_inertia, 0.01)


def test_given_rotors_count_in_full_even_beyond_the_bound():
    inertia = EffectiveInertia(robot((0.3,)))
    for _ in range(50):
        inertia.learn(POSE, np.linalg.inv(links() + 0.3 * np.eye(2)))
    np.testing.assert_allclose(inertia.rotor_inertia, 0.3, rtol=1e-9)


@pytest.mark.parametrize("gain", (np.zeros((2, 2)), np.full((2, 2), np.nan), np.array([[1.0, np.inf], [0.0, 1.0]])))
def test_a_gain_without_an_inverse_teaches_nothing(gain):
    inertia = EffectiveInertia(robot((0.01,)))
    inertia.learn(POSE, gain)
    assert inverse_gain(gain) is None and np.array_equal(inertia.rotor_inertia, [0.01, 0.01])


def test_the_inverse_gain_is_made_symmetric():
    inverse = inverse_gain(np.linalg.inv(np.array([[2.0, 0.5], [0.1, 1.0]])))
    np.testing.assert_allclose(inverse, [[2.0, 0.3], [0.3, 1.0]], rtol=1e-12)


# --- the prior --------------------------------------------------------------------------------------------------------


def prior(of, **settings):
    return integrator.build(integrator.Settings(**settings), of, DT)


def test_the_prior_is_the_inverse_inertia_at_the_pose_it_was_moved_to():
    made = prior(robot((0.02,)))
    change = made.move_to(POSE)
    gain = DT * np.linalg.inv(links() + 0.02 * np.eye(2))
    np.testing.assert_allclose(made.jacobian, np.hstack([np.zeros((2, 4)), gain]), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(change, gain - DT * np.linalg.inv(links(np.zeros(2)) + 0.02 * np.eye(2)), rtol=1e-9)
    np.testing.assert_allclose(made.spread[4:6], 0.15 * gain.diagonal() * 20.0, rtol=1e-9)
    np.testing.assert_allclose(made.mean(np.ones(4), np.array([1.0, -2.0])), gain @ [1.0, -2.0], rtol=1e-9)
    np.testing.assert_allclose(made.move_to(POSE), np.zeros((2, 2)), atol=1e-15)


def test_the_prior_learns_rotors_when_told_and_forgets_them_when_reset():
    made = prior(robot(effort=100.0))
    for _ in range(100):
        made.learn_gain(POSE, DT * np.linalg.inv(links() + 0.1 * np.eye(2)))
    made.move_to(POSE)
    np.testing.assert_allclose(made.jacobian[:, 4:], DT * np.linalg.inv(links() + 0.05 * np.eye(2)), rtol=1e-4)
    made.reset()
    made.move_to(POSE)
    np.testing.assert_allclose(made.jacobian[:, 4:], DT * np.linalg.inv(links()), rtol=1e-9)


def test_a_model_learns_rotors_only_when_the_time_of_the_commands_is_known():
    made = {reliable: build_dynamics(robot(effort=100.0), DT, DynamicsSettings(), {}) for reliable in (False, True)}
    for reliable, dynamics in made.items():
        dynamics.reset(POSE)
        dynamics.fit(np.concatenate([POSE, np.zeros(2)]), np.zeros(2))
        dynamics._input_gain = DT * np.linalg.inv(links() + 0.1 * np.eye(2))  # as if fitted
        dynamics.move_prior(POSE, reliable)
    np.testing.assert_allclose(made[False].prior.jacobian[:, 4:], DT * np.linalg.inv(links()), rtol=1e-9)
    # the first step of a tenth towards the half of 0.1
    np.testing.assert_allclose(
        made[True].prior.jacobian[:, 4:], DT * np.linalg.inv(links() + 0.005 * np.eye(2)), rtol=1e-9
    )


def test_without_inertials_the_strength_is_demanded_and_nothing_is_guessed():
    bare = robot(bare=True)
    with pytest.raises(RobotDescriptionError, match="moves no mass"):
        EffectiveInertia(bare)
    with pytest.raises(ConfigurationError, match="set prior.integrator.strength") as refused:
        prior(bare)
    assert "inertial" in str(refused.value) and "better too large" in str(refused.value)
    for of in (bare, robot()):  # and where it is given it is what counts
        made = prior(of, strength=(400.0, 800.0))
        np.testing.assert_allclose(made.jacobian[:, 4:], DT * np.diag([400.0, 800.0]) / 20.0, rtol=1e-12)
        np.testing.assert_allclose(made.spread[4:6], 0.15 * DT * np.array([400.0, 800.0]), rtol=1e-12)
        assert made.move_to(POSE) is None


@pytest.mark.parametrize("interface", ("velocity", "position"))
def test_servos_need_no_inertials(interface):
    text = planar_arm(2).replace("<inertial>", "<!--").replace("</inertial>", "-->")
    made = prior(load_robot(RobotSettings(interface=interface), text))
    assert made.move_to(POSE) is None and (made.jacobian[:, 4:].diagonal() > 0.0).all()


def test_the_textbook_is_the_packages_own():
    np.testing.assert_allclose(JointSpaceInertia(robot())(POSE), links(), rtol=1e-9)
