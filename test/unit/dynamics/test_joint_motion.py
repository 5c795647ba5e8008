"""Which joints dry friction holds, and what their motion tells of the rotors."""

import math

import numpy as np
import pytest

from mbrl_ros.config.sections.dynamics import DynamicsSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.dynamics import build_dynamics, joint_motion
from mbrl_ros.dynamics.joint_motion import CompiledMotion, JointMotion, make_motion
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.effective_inertia import ROTOR_SHARE
from mbrl_ros.types import Transition
from support.robots import planar_arm

DT, NOISE = 0.005, 0.015  # [s], [rad/s] of the change of a velocity in one tick
LINKS = np.array([[0.02, 0.004], [0.004, 0.01]])  # [kg m^2]
FRICTION, WEIGHT = 0.5, 0.2  # [N m]


class Joints:
    """Two joints with rotors, dry friction and a constant weight, whose motors follow with a lag [s]."""

    def __init__(self, rotors, friction=FRICTION, lag=0.0, seed=3):
        self.inertia, self.friction, self.lag = LINKS + np.diag(rotors), friction, lag
        self.qd, self.u, self.measured, self.stamp = np.zeros(2), np.full(2, WEIGHT), np.zeros(2), 0.0
        self.random = np.random.default_rng(seed)

    def step(self, u):
        """Apply u (2,) for a tick; return stamp, velocities before and after, u."""
        stamp, before = self.stamp, self.measured
        for _ in range(4):
            h = DT / 4
            self.u = u + math.exp(-h / self.lag) * (self.u - u) if self.lag else u
            free = self.qd + h * np.linalg.solve(self.inertia, self.u - WEIGHT)
            # friction takes from each joint what it can: the inertia is nearly diagonal
            most = h * self.friction / self.inertia.diagonal()
            self.qd = np.sign(free) * np.maximum(np.abs(free) - most, 0.0)
        self.measured = self.qd + NOISE / math.sqrt(2.0) * self.random.standard_normal(2)
        self.stamp += DT
        return stamp, before, self.measured, u


def efforts(seconds, amplitude=1.5, until=0.3):
    """Yield efforts that rise slowly from the weight, then accelerate and brake the joints."""
    for k in range(round(seconds / DT)):
        t = k * DT
        rise = min(t / until, 1.0) * (FRICTION + 0.05)
        swing = amplitude * math.sin(2.0 * math.pi * 1.5 * (t - until)) if t > until else 0.0
        yield np.array([1.0, 0.9]) * (rise + swing) + WEIGHT


def moved(joints, motion, commands, gain=None):
    gain = DT * np.linalg.inv(LINKS) if gain is None else gain
    for u in commands:
        motion.add(*joints.step(u), gain, LINKS)
    return motion


def test_compiled_is_the_same():
    if joint_motion.library() is None:
        pytest.skip("nothing compiles here")
    plain, compiled = JointMotion(2, DT, NOISE), make_motion(2, DT, NOISE)
    assert isinstance(compiled, CompiledMotion)
    for motion in (plain, compiled):
        moved(Joints((0.1, 0.05)), motion, efforts(0.8))
        late = Joints((0.1, 0.05), seed=4)
        late.stamp = 2.0  # after a gap
        moved(late, motion, efforts(0.4))
    for name, values in plain._kept.items():
        if name != "work":
            np.testing.assert_allclose(compiled._kept[name], values, rtol=1e-9, atol=1e-12, err_msg=name)
    assert plain.shown.all()


@pytest.mark.parametrize("lag", (0.0, 0.02))
def test_motion_shows_the_rotors_and_no_more_than_they_are(lag):
    rotors = np.array([0.1, 0.05])
    motion = moved(Joints(rotors, lag=lag), make_motion(2, DT, NOISE), efforts(1.0))
    assert motion.shown.all()
    assert (motion.rotor_inertia > 0.7 * rotors).all() and (motion.rotor_inertia < 1.1 * rotors).all()


def test_what_friction_takes_is_no_inertia():
    """The effort that breaks a joint away is several times what accelerates it."""
    motion = moved(Joints((0.0, 0.0)), make_motion(2, DT, NOISE), efforts(1.0, amplitude=0.3))
    assert motion.known.all()
    assert (motion.rotor_inertia < 0.15 * LINKS.diagonal()).all()


def test_a_joint_that_does_not_answer_is_held_until_it_moves():
    joints, motion = Joints((0.1, 0.1)), make_motion(2, DT, NOISE)
    moved(joints, motion, (np.full(2, WEIGHT) for _ in range(60)))
    assert not motion.held.any()  # nothing was asked of it
    moved(joints, motion, efforts(0.2))
    assert motion.held.all() and not motion.shown.any()
    moved(joints, motion, (np.array([2.0, 0.4]) for _ in range(20)))
    np.testing.assert_array_equal(motion.held, (False, True))
    assert motion.ever_held.all()
    np.testing.assert_array_equal(motion.rotor_inertia[1], 0.0)


def test_a_joint_without_friction_is_never_held():
    motion = moved(Joints((0.02, 0.02), friction=0.0), make_motion(2, DT, NOISE), efforts(0.6, amplitude=0.2))
    assert not motion.ever_held.any()
    np.testing.assert_array_equal(motion.rotor_inertia, 0.0)


def dynamics_of(rotors, friction):
    """Let the dynamics of a light arm in the plane learn from joints with `rotors` and `friction`; return them."""
    dynamics = build_dynamics(
        load_robot(RobotSettings(), planar_arm(2, length=0.2, mass=0.05, effort=100.0)), DT, DynamicsSettings(), {}
    )
    q = np.array([0.3, 1.2])
    dynamics.reset(q)
    joints = Joints(rotors, friction)
    joints.inertia = dynamics.prior.links + np.diag(rotors)
    for k, u in enumerate(efforts(0.8)):
        dynamics.fit(np.concatenate([q, joints.measured]), u)
        stamp, before, after, u = joints.step(u)
        dynamics.update(Transition(stamp, np.concatenate([q, before]), u, np.concatenate([q, after])))
        if k % 10 == 9:
            dynamics.move_prior(q)
    return dynamics


def test_the_prior_learns_the_rotors_of_joints_that_friction_held():
    rotors, dynamics = np.array([0.1, 0.05]), dynamics_of((0.1, 0.05), FRICTION)
    learned, links = dynamics.prior.rotors, dynamics.prior.links
    assert (learned > 0.7 * ROTOR_SHARE * rotors).all() and (learned < 1.1 * ROTOR_SHARE * rotors).all()
    gain = DT * np.linalg.inv(links + np.diag(learned))
    np.testing.assert_allclose(dynamics.prior_gain(np.zeros(4)), gain, rtol=1e-9)
    dynamics.reset(np.array([0.3, 1.2]))
    assert dynamics.prior.rotors is None and not dynamics.motion.known.any()


def test_without_friction_the_prior_stays_what_it_is():
    dynamics = dynamics_of((0.0, 0.0), 0.0)
    assert dynamics.prior.rotors is None and dynamics.motion.known.all()
    np.testing.assert_allclose(dynamics.prior_gain(np.zeros(4)), DT * np.linalg.inv(dynamics.prior.links), rtol=1e-9)
