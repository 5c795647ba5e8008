"""Closed loops in which single samples of the joint states are wrong: the arm hardly moves, and there is no FAULT."""

from types import SimpleNamespace as Fields

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.messages.input_gate import InputGate
from mbrl_ros.messages.readers import JointStateReader
from mbrl_ros.runtime.conditions import SteppedConditions
from mbrl_ros.runtime.control_cycle import ControlCycle
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.safety.state_machine import State
from mbrl_ros.safety.supervisor import Supervisor
from support.needs import needs, present
from support.packaged_robots import ARMS, packaged, settings_of

if present("mujoco"):
    from mbrl_ros.simulation.plant import Plant

pytestmark = needs("mujoco")

RATE, EVERY, BEGIN = 200.0, 12, 120  # [Hz]; a bad sample every so many ticks from this tick on
LATER = 200  # ... once the model has learned for a second: some of these states are refused, and a tick is missed
LARGEST = 3e-3  # [m]: how far one bad sample may move the tip
SIZES = {"position": (0.003, 0.01, 0.05, 0.5, 2.0), "velocity": (0.3, 1.0, 3.0, 5.0, 15.0)}  # [rad], [rad/s]


class Commands:
    """Outputs that keep the last command."""

    def __init__(self, n):
        self.u, self.errors = np.zeros(n), []

    def command(self, stamp, u):
        self.u = np.array(u)

    def tick(self, tick):
        pass

    event = tick

    def log(self, level, text):
        self.errors += [text] if level == "error" else []


def run(interface, bad, seconds, *, seed=0, goal=None):
    """Return tip (T, 3) [m], states, and the gate of the Panda; `bad` {tick: function of q, qd that changes them}."""
    robot, given = packaged("panda", interface), settings_of("panda", interface).to_mapping()
    configuration = Configuration.from_flat(
        {**{f"robot.{key}": value for key, value in given.items()}, "control.rate": RATE, "planner.horizon": 20}
    )
    plant = Plant(
        PlantSettings(rate=RATE, initial_noise=0.0, armature=(0.1,), initial_position=ARMS["panda"][3], seed=seed),
        robot,
    )
    controller, outputs = build_controller(robot, configuration), Commands(robot.n)
    supervisor = Supervisor(robot, configuration.supervisor, 1.0 / RATE)
    conditions = SteppedConditions()
    cycle = ControlCycle(controller, supervisor, outputs, conditions, dt=1.0 / RATE, timeout=0.05)
    reader = JointStateReader(robot, InputGate("joint_states", timeout=0.05, clock="stamps"))
    measured, tip, states = plant.reset(), [], []
    if goal is not None:
        controller.set_joint_target(np.array(goal), 0.5)
    for k in range(round(seconds * RATE)):
        q, qd, stamp = np.array(measured.q), np.array(measured.qd), measured.stamp
        if k in bad:
            bad[k](q, qd)
        header = Fields(stamp=Fields(sec=int(stamp), nanosec=round(1e9 * (stamp % 1.0))))
        reading = reader.read(Fields(header=header, name=list(robot.joints), position=q, velocity=qd, effort=()), 0.0)
        if reading is not None:
            cycle.tick(Arrival(reading.observation, stamp, None, reading.restarted))
        tip.append(plant.truth.tip)
        states.append(supervisor.state)
        measured = plant.step(outputs.u)
    assert outputs.errors == []
    return np.array(tip), states, reader.gate


def wrong(kind, joint, size):
    def change(q, qd):
        (q if kind == "position" else qd)[joint] += size

    return change


def any_size(rng):
    """A deviation of any size: half of them of the size of motions, half of any other; some are no number."""
    exponent = rng.uniform(-3.0, 1.0) if rng.random() < 0.5 else rng.uniform(-3.0, 12.0)
    return float("nan") if rng.random() < 0.05 else rng.choice((-1.0, 1.0)) * 10.0**exponent


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
@pytest.mark.parametrize("seed", range(3))
def test_one_bad_sample_of_position_velocity_or_both_of_any_size_does_so_neither(interface, seed):
    rng, bad = np.random.default_rng(seed), {}
    for k in range(50):
        joint, kinds = int(rng.integers(7)), (("position",), ("velocity",), ("position", "velocity"))[k % 3]
        changes = [wrong(kind, joint, any_size(rng)) for kind in kinds]
        bad[LATER + k * EVERY] = lambda q, qd, changes=changes: [change(q, qd) for change in changes]
    seconds, goal = (LATER + 52 * EVERY) / RATE, None if seed else (0.6, -0.3, 0.3, -1.7, 0.2, 1.8, 0.4)
    tip, states, gate = run(interface, bad, seconds, goal=goal, seed=seed)
    good, _, _ = run(interface, {}, seconds, goal=goal, seed=seed)
    assert np.linalg.norm(tip - good, axis=1).max() < LARGEST
    assert State.FAULT not in states and gate.rejected["leap"] + gate.rejected["second publisher"] == 0
    assert gate.restarts == 0 and sum(gate.rejected.values()) < len(bad)  # of the good ones none


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
@pytest.mark.parametrize("goal", (None, (0.6, -0.3, 0.3, -1.7, 0.2, 1.8, 0.4)), ids=("at rest", "in motion"))
def test_one_bad_sample_of_any_joint_and_size_moves_the_arm_by_at_most_3_mm(interface, goal):
    rng = np.random.default_rng(7)
    cases = [(kind, joint, size) for kind, sizes in SIZES.items() for size in sizes for joint in range(7)]
    rng.shuffle(cases)
    bad = {
        BEGIN + k * EVERY: wrong(kind, int(joint), float(size) * rng.choice((-1.0, 1.0)))
        for k, (kind, joint, size) in enumerate(cases)
    }
    seconds = (BEGIN + (len(cases) + 2) * EVERY) / RATE
    tip, states, gate = run(interface, bad, seconds, goal=goal)
    good, _, _ = run(interface, {}, seconds, goal=goal)
    assert np.linalg.norm(tip - good, axis=1).max() < LARGEST
    assert State.FAULT not in states
    assert gate.corrected["position against velocity"] >= 28  # those of 0.01 rad and more
    assert gate.corrected["velocity against positions"] >= 21  # those of 3 rad/s and more


@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
def test_one_missing_position_in_the_first_second_hardly_moves_the_arm(interface):
    """In motion, 0.6 s after the start, when one refused state of an arm moved by efforts costs 3 mm."""
    goal = (0.6, -0.3, 0.3, -1.7, 0.2, 1.8, 0.4)
    bad = {BEGIN: wrong("position", 1, float("nan"))}
    tip, _, gate = run(interface, bad, 1.2, goal=goal)
    good, _, _ = run(interface, {}, 1.2, goal=goal)
    assert np.linalg.norm(tip - good, axis=1).max() < 0.5e-3
    assert gate.corrected["position against velocity"] == 1 and not gate.rejected
