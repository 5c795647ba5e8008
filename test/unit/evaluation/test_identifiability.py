"""What a recording tells of the commands: its delay, its gain, and what a prior fitted to it may do."""

import numpy as np
import pytest

from mbrl_ros.config.resources import config_file
from mbrl_ros.config.sections.control import ControlSettings
from mbrl_ros.config.settings_file import load_configuration
from mbrl_ros.console.verdict import of_prior
from mbrl_ros.controllers.mpc import MpcController
from mbrl_ros.data import load, store
from mbrl_ros.data.cleaning import cleaned
from mbrl_ros.data.dataset import Dataset
from mbrl_ros.evaluation.identifiability import DIRECTION_ERROR, GAIN_ERROR, aligned, judge_gain, known_model
from mbrl_ros.evaluation.prior_fit import fit_prior
from mbrl_ros.evaluation.scores import anonymous_robot
from mbrl_ros.robots import load_robot
from mbrl_ros.safety.state_machine import State
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Observation
from support.made_recordings import GAIN, made_recording
from support.needs import needs, present
from support.replay_bags import RATE, START, closed_loop, write_bag

if present("mujoco"):
    from mbrl_ros.simulation.plant import Plant, PlantSettings

HOME = (0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8)
TARGETS = ([0.45, 0.2, 0.5], [0.5, -0.2, 0.4])  # [m]


def late(recording, ticks):
    """The same with the commands as they were given: they acted `ticks` later."""
    u = np.roll(recording.u, -ticks, axis=0)
    return cleaned("late", recording.joints, recording.stamps, recording.q, recording.qd, u, u_source="topic u")


@needs("rosbags")
def test_commands_that_name_their_states_belong_to_them_whatever_the_time_of_the_bag(tmp_path):
    """In lockstep a bag's time is the processor's: here 0.6 of the simulated time, and irregular."""
    messages, commands = closed_loop(seconds=1.5)
    rng = np.random.default_rng(0)
    times = np.sort(START + 0.6 * (np.array([m[2] for m in messages]) - START) + rng.uniform(0.0, 0.05, len(messages)))
    bag = write_bag(tmp_path / "bag", [(t, k, time, d) for (t, k, _, d), time in zip(messages, times, strict=True)])
    recording = load(bag)
    assert recording.period == pytest.approx(1.0 / RATE) and len(recording.stamps) == len(commands)
    np.testing.assert_allclose(recording.u, commands, rtol=0.0, atol=1e-6 * np.abs(commands).max())


@pytest.mark.parametrize("ticks", (0, 2))
def test_the_delay_is_found_and_taken_out(ticks):
    made = made_recording(T=1500)
    shifted, found, told = aligned(late(made, ticks))
    assert told and found == ticks
    np.testing.assert_array_equal(shifted.u[: 1400 - ticks], made.u[ticks:1400])
    np.testing.assert_array_equal(shifted.q, made.q[ticks:])


def test_a_delay_that_is_not_told_stays_as_configured():
    made = late(made_recording(T=800), 0)
    noise = np.random.default_rng(1).standard_normal(made.u.shape)
    deaf = cleaned("deaf", made.joints, made.stamps, made.q, made.qd, noise, u_source="topic u")
    assert aligned(deaf)[1:] == (ControlSettings().delay, False)
    assert aligned(deaf, 3.0)[1:] == (3.0, False)


def test_the_posterior_of_the_gain_holds_the_truth_and_says_where_nothing_is_known():
    made = made_recording(T=2000)
    scale = anonymous_robot(made).command_scale
    told = judge_gain(Dataset.of(made), scale)
    truth = np.diag(GAIN) * scale
    assert (np.abs(told.gain - truth) < 4.0 * told.std).all()
    assert (told.errors < 0.1).all() and told.worst < GAIN_ERROR and told.unknown(made.joints) == []
    fed_back = made_recording(T=300, feedback=np.array([3.0, 3.0]))  # u is a function of q, qd and a slow wave
    untold = judge_gain(Dataset.of(fed_back), scale)
    assert untold.worst > GAIN_ERROR and untold.unknown(made.joints) == ["a"]
    assert (np.abs(untold.gain - truth) < 4.0 * untold.std).all()
    assert (untold.spread[4:6] > 3.0 * told.spread[4:6]).all()  # and the prior leaves as much open


@pytest.mark.parametrize(
    ("nmse", "unknown", "worst", "delays", "why"),
    (
        (0.3, [], 0.1, [], ""),
        (1.2, [], 0.1, [], "no better than 'no change'"),
        (float("nan"), [], 0.1, [], "no better than 'no change'"),
        (0.3, ["elbow"], 0.1, [], "the input gain of elbow"),
        (0.3, [], 0.5, [], "where commands go together (error 50 %)"),
        (0.3, [], 0.1, ["run1"], "run1: the delay of the commands"),
    ),
)
def test_the_verdict_says_what_is_not_told(nmse, unknown, worst, delays, why):
    verdict = of_prior(nmse, unknown, worst, 0.2, delays)
    assert verdict.passed == (not why) and why in verdict.why and verdict.code == bool(why)


def run(seconds, **settings):
    """(recording, tip's last distance [m], worst state) of a Panda that learns, in lockstep and one process."""
    c = load_configuration(config_file("panda"), {"features.points": 0, **settings})
    robot = load_robot(c.robot)
    plant = Plant(PlantSettings(rate=200.0, initial_position=HOME, damping=(0.5,)), robot)
    controller, supervisor = MpcController(robot, c), Supervisor(robot, c.supervisor, 1.0 / 200.0)
    state, rows, states = plant.reset(), [], []
    controller.reset(Observation(state.stamp, state.q, state.qd))
    for k in range(round(seconds * 200)):
        if k % 400 == 100:
            controller.set_point_target(TARGETS[k // 400 % 2])
        observation = Observation(state.stamp, state.q, state.qd)
        u = supervisor.filter(controller.step(observation), observation).u
        controller.record(observation.stamp, u)
        rows.append((state.stamp, state.q, state.qd, u))
        states.append(supervisor.state)
        state = plant.step(u)
    stamps, q, qd, u = (np.array(column) for column in zip(*rows, strict=True))
    recording = cleaned("run", robot.joints, stamps, q, qd, u, u_source="topic commands")
    target = TARGETS[(len(rows) - 1) // 400 % 2]
    return recording, float(np.linalg.norm(plant.truth.tip - target)), max(states), robot


@pytest.mark.slow
@needs("mujoco", "example-robot-data")
def test_a_prior_of_a_closed_loop_starts_the_arm_and_one_that_was_told_nothing_too(tmp_path):
    recording, *_, robot = run(4.0, **{"control.exploration_start": 0.1, "control.exploration_end": 0.1})
    lost = np.random.default_rng(0).permutation(len(recording.stamps))
    deaf = cleaned(
        "deaf", recording.joints, recording.stamps, recording.q, recording.qd, recording.u[lost], u_source="topic u"
    )
    for what, told in ((recording, True), (deaf, False)):
        fitted = fit_prior([what], robot, "global_linear")
        assert fitted.delays[what.name] == (1.0, told)
        assert (fitted.gain.unknown(robot.joints) == [] and fitted.gain.worst <= DIRECTION_ERROR) is told
        file = tmp_path / f"{what.name}.npz"
        store.save(file, "global_linear", fitted.data.owner, fitted.arrays)
        _, away, worst, _ = run(1.9, **{"dynamics.prior": "global_linear", "prior.global_linear.file": str(file)})
        assert worst < State.FAULT and away < 0.01
    known, _ = known_model(robot, fitted.data)  # the gain of which nothing is told is that of before
    np.testing.assert_allclose(fitted.arrays["jacobian"][:, 14:].diagonal(), known[:, 14:].diagonal(), rtol=0.2)
