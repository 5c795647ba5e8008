"""Excitation on purpose: certainty is reached by a small motion, within limits, announced, and then it ends."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.controllers.excitation import QUIET_TIME, ROOM_SHARE, Excitation
from mbrl_ros.controllers.model_learner import ModelLearner
from mbrl_ros.controllers.mpc import MpcController
from mbrl_ros.controllers.policy_teacher import teacher_configuration
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.types import Observation
from support.needs import needs, present
from support.robots import planar_robot

if present("mujoco"):
    import mujoco

    from mbrl_ros.bench.robots.loop import Loop
    from mbrl_ros.simulation.plant import Plant

RATE, HOME = 200.0, (0.3, 0.6, -0.5)
INTERFACES = ("effort", "velocity", "position")


class Run:
    """A planar arm that holds its posture: remarks with their time [s], and how many joints were excited at a tick."""

    def __init__(self, interface="effort", seed=0, *, plant=(), **settings):
        self.robot = planar_robot(3, interface, effort=100.0)
        flat = {"control.rate": RATE, "control.seed": seed, "planner.horizon": 15, "robot.interface": interface}
        configuration = Configuration.from_flat({**flat, **settings})
        self.controller = MpcController(self.robot, configuration)
        changes = {"rate": RATE, "seed": seed, "initial_noise": 0.0, "initial_position": HOME, **dict(plant)}
        self.plant = Plant(PlantSettings(**changes), self.robot)
        self.loop = Loop(self.plant, self.controller, configuration)
        self.remarks, self.excited, self.commands = [], [], []
        self._step = self.controller.step
        self.controller.step = self.step  # what the loop calls

    def step(self, observation):
        decision = self._step(observation)
        self.remarks += [(observation.stamp, remark) for remark in decision.remarks]
        self.excited.append(decision.excited)
        self.commands.append(decision.u)
        return decision

    def until(self, end):
        self.loop.until(end)
        return self

    def when(self, word):
        return [stamp for stamp, remark in self.remarks if word in remark]

    def deviation(self, begin):
        """How far the tip was from where it should be from `begin` [s] on [m]."""
        tip = np.array([row.tip for row in self.loop.rows])[round(begin * RATE) :]
        return np.linalg.norm(tip - Kinematics(self.robot).position(np.array(HOME)), axis=1).max()


@pytest.mark.slow(but=1)
@needs("mujoco")
@pytest.mark.parametrize("seed", (0, 1))
@pytest.mark.parametrize("interface", INTERFACES)
def test_gain_and_delay_become_certain_by_a_motion_of_millimetres_and_then_it_ends(interface, seed):
    # positions are felt least: of an arm of 1.5 m they need more than the default
    deviation = 0.006 if interface == "position" else 0.003
    run = Run(interface, seed, **{"excitation.when": "always", "excitation.deviation": deviation}).until(
        {"effort": 4.5, "velocity": 1.5, "position": 3.5}[interface]
    )
    assert run.when("begins") and len(run.when("certain")) == 1
    (certain,) = run.when("certain")
    assert certain <= {"effort": 4.0, "velocity": 1.0, "position": 3.0}[interface]
    faded = round((certain + 0.2) * RATE)
    assert max(run.excited[:faded]) == 3 and not any(run.excited[faded:])
    # what is planned for, and what the arm deviates without it
    assert run.deviation(0.5) <= deviation + 0.001
    assert run.loop.outputs.outside == 0 and run.loop.lost_at is None
    assert run.controller.delay.std <= 0.006 and abs(run.controller.delay.in_use - 1.0) <= 0.4


def product(plant, v):
    """M v of a plant of which every degree of freedom is a joint of the robot."""
    result = np.empty_like(v)
    mujoco.mj_mulM(plant.model, plant.data, result, v)
    return result


@needs("mujoco")
@pytest.mark.parametrize("seed", (1, 2))
def test_the_gain_that_is_certain_is_right(seed):
    """Rotors of 0.1 kg m^2, of which the URDF knows nothing, make the gain that is believed up to twice as large."""
    plant = {"armature": (0.1,), "frictionloss": (0.1,)}
    run, other = (Run("effort", seed, plant=plant, **{"excitation.when": when}) for when in ("always", "never"))
    while not run.when("certain") and run.loop.t < 3.0:
        run.loop.tick()
    other.until(run.loop.t)
    M = np.array([product(run.plant, unit) for unit in np.eye(3)])
    right = np.linalg.inv(M).diagonal() / RATE
    assert run.controller.dynamics.input_gain.diagonal() == pytest.approx(right, rel=0.15)
    assert other.controller.dynamics.input_gain.diagonal()[-1] > 1.5 * right[-1]


@needs("mujoco")
def test_without_it_nothing_changes_and_nothing_is_said():
    plain, never = Run(seed=3), Run(seed=3, **{"excitation.frequency": 3.0, "excitation.gain": 0.01})
    for run in (plain, never):
        run.until(0.5)
    assert np.array_equal(plain.commands, never.commands)
    assert not never.remarks and not any(never.excited)


@needs("mujoco")
def test_it_repeats_to_the_last_bit():
    runs = [Run(seed=4, **{"excitation.when": "always"}).until(0.8) for _ in range(2)]
    assert np.array_equal(runs[0].commands, runs[1].commands) and any(runs[0].excited)


@needs("mujoco")
def test_with_target_it_waits_until_somebody_sends_one_and_ends_with_a_hold():
    run = Run("velocity", 5, **{"excitation.when": "target", "excitation.gain": 0.02, "excitation.longest": 60.0})
    run.until(0.8)
    assert not any(run.excited) and not run.remarks
    run.controller.set_joint_target(np.array(HOME), run.loop.t)
    run.until(1.3)
    assert run.excited[-1] == 3
    run.controller.hold(Observation(run.loop.t, run.plant.truth.q, np.zeros(3)))
    run.until(1.6)
    assert run.excited[-1] == 0 and run.when("paused")


@needs("mujoco")
def test_what_cannot_be_known_within_the_limits_is_given_up_by_name():
    run = Run(seed=6, **{"excitation.when": "always", "excitation.gain": 0.005, "excitation.longest": 0.5}).until(1.8)
    assert run.when("gives up on joint1 and joint2 and joint3")
    assert run.excited[-1] == 0 and run.deviation(0.5) <= 0.003


def test_a_teacher_whose_commands_need_not_be_applied_does_not_excite():
    configuration = Configuration.from_flat({"excitation.when": "always", "control.seed": 5})
    taught = teacher_configuration(configuration)
    assert taught.excitation.when == "never" and taught.control == configuration.control


class Asked:
    """Excitation of an arm of which little is known and much noise is seen, so that every amplitude is at its bound."""

    def __init__(self, interface, q=HOME, **settings):
        self.robot, self.q = planar_robot(3, interface, effort=100.0), np.array(q)
        flat = {"control.rate": RATE, "robot.interface": interface, "dynamics.noise": 1.0, "excitation.longest": 60.0}
        configuration = Configuration.from_flat({**flat, **settings})
        self.learner = ModelLearner(self.robot, configuration)
        self.learner.reset(Observation(0.0, self.q, np.zeros(3)))
        self.learner.dynamics.fit(np.concatenate((self.q, np.zeros(3))), np.zeros(3))
        kinematics = Kinematics(self.robot)
        self.excitation, self.t = Excitation(self.robot, configuration.excitation, 1.0 / RATE, kinematics), 0.0

    def sample(self, seconds, *, away=0.0, allowed=True):
        """Return the samples (T, n) while joint 1 is `away` [rad] from its reference."""
        samples = []
        for _ in range(round(seconds * RATE)):
            self.t += 1.0 / RATE
            q = self.q + [away, 0.0, 0.0]
            samples.append(self.excitation.sample(self.t, q, self.q, self.learner, allowed=allowed))
        return np.array(samples)

    def motion(self, samples):
        """Return the amplitude of each joint's motion (n,) that the model expects of `samples`."""
        gain, omega = self.learner.dynamics.input_gain.diagonal(), self.excitation._omega
        scale = {"effort": RATE * gain / omega**2, "velocity": 1.0 / omega, "position": np.ones(3)}
        return np.abs(samples).max(axis=0) * scale[self.robot.interface]


@pytest.mark.parametrize("interface", INTERFACES)
def test_it_is_never_planned_beyond_any_limit(interface):
    asked = Asked(interface)
    samples, robot, omega = asked.sample(4.0), asked.robot, asked.excitation._omega
    motion = asked.motion(samples)
    J = Kinematics(robot).jacobian(asked.q)
    assert 0.0 < np.linalg.norm(J, axis=0) @ motion <= 0.003 * 1.001
    assert (motion * omega <= 0.05 * robot.velocity_limit).all()
    assert (motion * omega**2 <= 0.9 * robot.acceleration_limit).all()
    assert (np.abs(samples) <= 0.1 * robot.command_scale).all()


@pytest.mark.parametrize("interface", INTERFACES)
def test_near_a_stop_a_joint_keeps_away_from_it(interface):
    asked = Asked(interface, (2.47, 0.6, -0.5))
    room = asked.robot.position_upper[0] - asked.q[0]
    motion = asked.motion(asked.sample(2.0))
    assert motion[0] <= ROOM_SHARE * room + 1e-12 and motion[1] > 0.0


def test_it_stops_where_the_arm_is_not_where_it_should_be_and_goes_on_with_less():
    asked = Asked("position")
    before = np.abs(asked.sample(1.0)).max()
    assert not asked.sample(QUIET_TIME, away=0.01)[round(0.2 * RATE) :].any()
    assert not asked.sample(0.5 * QUIET_TIME).any()
    after = np.abs(asked.sample(QUIET_TIME + 0.1)).max()
    assert 0.0 < after < before
    words = " ".join(asked.excitation.take_remarks())
    assert "paused" in words and "begins" in words


def test_it_does_nothing_where_the_arm_may_not_be_moved():
    asked = Asked("effort")
    assert not asked.sample(1.0, allowed=False).any() and not asked.excitation.take_remarks()
    assert asked.sample(0.5).any()
    faded = asked.sample(1.0, allowed=False)[round(0.2 * RATE) :]
    assert not faded.any()


def test_an_interruption_ends_it_at_once_and_what_was_certain_stays():
    asked = Asked("effort")
    asked.sample(0.5)
    asked.excitation.certain[0] = True
    asked.excitation.interrupt(asked.t + 100.0)
    assert not asked.excitation.excited.any() and asked.excitation.certain[0]
    asked.excitation.reset(asked.t)
    assert not asked.excitation.certain.any()
