"""Velocities that neither the model nor the positions bear out are replaced; everything else passes."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.mpc import MpcController
from mbrl_ros.dynamics.velocity_gate import FIRST, LONGEST_REFUSAL, VelocityGate
from mbrl_ros.types import Observation
from support.robots import planar_robot

DT = 0.005
STD = 0.02  # [rad/s] of a model's error
NOISE = 1e-4, 0.01  # of a position [rad] and a velocity [rad/s]


class Moving:
    """n joints on smooth curves, measured with noise; the model errs by STD."""

    def __init__(self, n, seed, noise=NOISE):
        self.rng = np.random.default_rng(seed)
        self.n, self.noise, self.k = n, noise, 0
        self.rate, self.phase = self.rng.uniform(1.0, 8.0, n), self.rng.uniform(0.0, 6.0, n)
        self.speed = self.rng.uniform(0.2, 2.0, n)
        self.offset, self.drift = np.zeros(n), np.zeros(n)
        self.x = self.measured()

    def measured(self):
        t = self.k * DT
        a = self.rate * t + self.phase
        q, qd = -self.speed / self.rate * np.cos(a) + self.offset + self.drift * t, self.speed * np.sin(a) + self.drift
        noise = self.rng.standard_normal((2, self.n))
        return np.concatenate([q + self.noise[0] * noise[0], qd + self.noise[1] * noise[1]])

    def tick(self, gate, spike=None):
        """Whether each joint is refused, and the state admitted; a `spike` (n,) is added to the velocity only."""
        self.k += 1
        x, last = self.measured(), self.x
        expected = x[self.n :] + STD * self.rng.standard_normal(self.n)
        if spike is not None:
            x[self.n :] += spike
        error = x[self.n :] - expected
        refused = gate.refused(last, x, error, np.full(self.n, STD))
        x[self.n :] -= np.where(refused, error, 0.0)
        self.x = x
        return refused, x, expected


@pytest.mark.parametrize("seed", range(40))
def test_one_spike_in_one_joint_is_refused_and_replaced(seed):
    rng = np.random.default_rng([seed, 1])
    n = int(rng.integers(1, 8))
    gate, arm = VelocityGate(n, DT, 6.0), Moving(n, seed)
    for _ in range(int(rng.integers(FIRST + 10, 200))):
        arm.tick(gate)
    joint, size = int(rng.integers(n)), float(np.exp(rng.uniform(0.0, np.log(100.0)))) * rng.choice((-1.0, 1.0))
    before = gate.refusals
    refused, x, expected = arm.tick(gate, size * np.eye(n)[joint])
    assert refused.tolist() == (np.arange(n) == joint).tolist(), size
    assert x[n + joint] == pytest.approx(expected[joint], abs=1e-12)
    assert gate.refusals == before + 1
    assert not any(arm.tick(gate)[0].any() for _ in range(20))  # neither the next sample nor a wider gate afterwards


def test_a_second_spike_is_as_small_a_surprise_as_the_first():
    """What is refused does not widen the gate."""
    gate, arm = VelocityGate(2, DT, 6.0), Moving(2, 0)
    for _ in range(100):
        arm.tick(gate)
    for _ in range(10):
        assert arm.tick(gate, np.array([100.0, 0.0]))[0].tolist() == [True, False]
        assert arm.tick(gate, np.array([2.0, 0.0]))[0].tolist() == [True, False]
        for _ in range(5):
            arm.tick(gate)


def test_an_outlier_that_is_believed_widens_the_gate_a_little_only():
    """Positions off by 1 rad that the model accepts count as five standard deviations: sqrt(1 + 24 / 50) = 1.2 times.

    Their square would have made it 1400 times as wide.
    """
    gate, arm = VelocityGate(1, DT, 6.0), Moving(1, 0)
    for _ in range(200):
        arm.tick(gate)
    before = gate._square[0]
    last = arm.x - (1.0, 0.0)
    assert not gate.refused(last, arm.x, np.zeros(1), np.full(1, STD)).any()
    assert np.sqrt(gate._square[0] / before) == pytest.approx(np.sqrt(1.0 + 24.0 / 50.0), rel=1e-3)
    assert arm.tick(gate, np.array([2.0]))[0].all()


@pytest.mark.parametrize("size", (1.0, 3.0, 10.0))
def test_a_blow_passes(size):
    """The velocity jumps and the positions move by it: the trapezoid holds, however little the model expected it."""
    for seed in range(20):
        gate, arm = VelocityGate(2, DT, 6.0), Moving(2, seed)
        for _ in range(100):
            arm.tick(gate)
        arm.k += 1
        last, x = arm.x, arm.measured()
        jump = np.array([size, 0.0])
        x[:2] += 0.5 * DT * jump  # within one period the speed rose evenly
        x[2:] += jump
        assert not gate.refused(last, x, jump, np.full(2, STD)).any()
        gate = VelocityGate(2, DT, 6.0)  # and so it does where it struck at the beginning of the period
        arm = Moving(2, seed)
        for _ in range(100):
            arm.tick(gate)
        arm.k += 1
        last, x = arm.x, arm.measured()
        x[:2] += DT * jump
        x[2:] += jump
        assert not gate.refused(last, x, jump, np.full(2, STD)).any()


def test_a_sensor_that_stays_off_is_believed_after_three_samples():
    gate, arm = VelocityGate(1, DT, 6.0), Moving(1, 0)
    for _ in range(100):
        arm.tick(gate)
    refused = [bool(arm.tick(gate, np.array([5.0]))[0][0]) for _ in range(LONGEST_REFUSAL + 1)]
    assert refused == [True] * LONGEST_REFUSAL + [False] and LONGEST_REFUSAL == 3


def test_nothing_is_refused_before_enough_was_seen():
    for first in range(FIRST + 1):
        gate, arm = VelocityGate(1, DT, 6.0), Moving(1, 0)
        for _ in range(first):
            arm.tick(gate)
        assert not arm.tick(gate, np.array([50.0]))[0].any()
    gate, arm = VelocityGate(1, DT, 6.0), Moving(1, 0)
    for _ in range(FIRST + 1):
        arm.tick(gate)
    assert arm.tick(gate, np.array([50.0]))[0].all()
    gate.reset()
    assert not arm.tick(gate, np.array([50.0]))[0].any()


def test_all_three_conditions_are_needed():
    """Small for the model, small for the positions, or no better with the prediction: believed."""
    n, last = 1, np.zeros(2)

    def fresh():
        gate, rng = VelocityGate(n, DT, 6.0), np.random.default_rng(0)
        for _ in range(60):  # trapezoid residuals of 1e-4
            gate.refused(last, np.array([1e-4 * rng.standard_normal(), 0.0]), np.zeros(1), np.array([STD]))
        return gate

    spike = np.array([0.0, 1.0])  # r = -2.5e-3, 25 standard deviations
    assert fresh().refused(last, spike, np.array([1.0]), np.array([STD])).all()
    assert not fresh().refused(last, spike, np.array([1.0]), np.array([0.2])).any()  # 5 of them: expected enough
    assert not fresh().refused(last, np.array([2.5e-3, 1.0]), np.array([1.0]), np.array([STD])).any()  # it moved
    assert not fresh().refused(last, spike, np.array([-1.0]), np.array([STD])).any()  # the prediction is further off
    assert not fresh().refused(last, spike, np.array([0.4]), np.array([STD])).any()  # it explains 0.4 of r, not half
    assert fresh().refused(last, spike, np.array([0.6]), np.array([STD])).all()


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
def test_the_controller_replaces_what_is_refused_and_tells(interface):
    """A robot at rest, one sample off by 10 rad/s: not seen by the plan, the supervisor or the next period."""
    controller = MpcController(planar_robot(2, interface), Configuration.from_flat({"planner.horizon": 10}))
    rng = np.random.default_rng(0)
    learned = []
    for k in range(60):
        q = 1e-4 * rng.standard_normal(2)
        qd = 0.01 * rng.standard_normal(2) + (10.0 * (k == 50), 0.0)
        observation = Observation(1.0 + DT * k, q, qd)
        if k == 0:
            controller.reset(observation)
        decision = controller.step(observation)
        controller.record(observation.stamp, np.zeros(2))
        learned.append(controller.learner.last[1][2])
        assert decision.admitted.q is observation.q and decision.admitted.qd[0] == learned[-1]
        assert np.abs(decision.admitted.qd).max() < 0.5, k
        if k != 50:
            assert np.array_equal(decision.admitted.qd, qd), k
        assert observation.qd[0] == qd[0]  # what was measured stays what was measured
    assert controller.learner.gate.refusals == 1


def test_the_gate_can_be_switched_off():
    controller = MpcController(planar_robot(2), Configuration.from_flat({"planner.horizon": 10, "dynamics.gate": 0.0}))
    state = Observation(1.0, np.zeros(2), np.zeros(2))
    controller.reset(state)
    assert controller.learner.gate is None and controller.step(state).admitted is state


def test_ten_thousand_ticks_of_a_noisy_panda_refuse_nothing():
    """With the plant's noise and a model that errs by its usual share."""
    pytest.importorskip("mujoco")
    from mbrl_ros.config.sections.simulation import PlantSettings
    from mbrl_ros.simulation.plant import Plant
    from support.packaged_robots import panda

    robot = panda("velocity")
    plant = Plant(
        PlantSettings(rate=200.0, timestep=0.0025, seed=1, initial_position=(0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8)),
        robot,
    )
    gate, n, rng = VelocityGate(robot.n, plant.period, 6.0), robot.n, np.random.default_rng(1)
    measured = plant.reset()
    x, command, refused = None, np.zeros(n), 0
    for k in range(10000):
        if k % 20 == 0:  # steps of the commanded speed, a tenth of a second each, and back towards the first pose
            command = rng.uniform(-1.0, 1.0, n) - (measured.q - (0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8))
        before = plant.truth.qd
        measured = plant.step(command)
        x_next = np.concatenate([measured.q, measured.qd])
        if x is not None:
            error = x_next[n:] - before  # that nothing changes is the worst a model can predict
            refused += gate.refused(x, x_next, error, np.full(n, STD)).any()
        x = x_next
    assert refused == 0 and gate.refusals == 0
