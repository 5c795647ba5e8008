"""What makes the simulated plant hard to control: lag, jitter, late commands, bad velocities, other masses."""

import math

import numpy as np
import pytest

from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.exceptions import ConfigurationError, JointNameError
from mbrl_ros.simulation.delivery import Delivery
from support.needs import needs, present
from support.robots import planar_robot

if present("mujoco"):
    from mbrl_ros.simulation.plant import Plant

pytestmark = needs("mujoco")


EXACT = {
    "position_noise": 0.0,
    "velocity_noise": 0.0,
    "initial_noise": 0.0,
    "damping": (0.0,),
    "frictionloss": (0.0,),
    "gravity": (0.0, 0.0, 0.0),
}


def plant_of(n=1, interface="effort", **settings):
    return Plant(PlantSettings(**settings), planar_robot(n, interface))


def acted(ticks=400, substeps=5, seed=7, **settings):
    """For every physics step, which command acts and which one's number it holds."""
    delivery = Delivery(PlantSettings(**settings), substeps)
    delivery.reset(np.array([-1.0]), seed)
    numbers, late = [], []
    for k in range(ticks):
        late.append(delivery.late)
        delivery.give(np.array([float(k)]))
        for i in range(substeps):
            command = delivery.at(k * substeps + i)
            assert command[0] == delivery.acting
            numbers.append(delivery.acting)
    return np.array(numbers), np.array(late)


# --- when commands act ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay, first", [(0.0, 0), (1.0, 5), (2.4, 12)])
def test_every_command_acts_for_one_period_after_a_constant_delay(delay, first):
    numbers, late = acted(ticks=20, command_delay=delay)
    np.testing.assert_array_equal(numbers, [(step - first) // 5 if step >= first else -1 for step in range(100)])
    assert not late.any()


def test_jitter_adds_whole_ticks_and_no_command_overtakes_a_newer_one():
    numbers, _ = acted(command_delay=1.0, command_jitter=2)
    assert (np.diff(numbers) >= 0).all()
    per_tick = numbers.reshape(-1, 5)
    assert (per_tick == per_tick[:, :1]).all()  # changes fall on ticks
    age = (np.arange(400) - per_tick[:, 0])[10:]
    # The newest of k-1 with 0, k-2 with at most 1, k-3 with any draw has come:
    # P(1) = 1/3, P(2) = 2/3 2/3, P(3) = 2/3 1/3.
    counts = np.bincount(age, minlength=4)
    assert counts.sum() == counts[1:4].sum()
    # A share's standard deviation over 390 ticks is 0.025.
    np.testing.assert_allclose(counts[1:4] / age.size, [1 / 3, 4 / 9, 2 / 9], atol=0.08)


def test_a_late_command_leaves_the_last_one_standing_and_the_newest_wins():
    numbers, late = acted(command_delay=1.0, late_share=0.3, late_ticks=4)
    arrives = np.arange(400) + 1 + late
    expected = [max((k for k in range(tick) if arrives[k] <= tick), default=-1) for tick in range(400)]
    np.testing.assert_array_equal(numbers.reshape(-1, 5)[:, 0], expected)
    assert set(late) == {0, 1, 2, 3, 4}
    assert np.mean(late > 0) == pytest.approx(0.3, abs=0.07)  # three standard deviations
    again, same = acted(command_delay=1.0, late_share=0.3, late_ticks=4)
    np.testing.assert_array_equal(numbers, again)
    assert (acted(seed=8, late_share=0.3)[1] != acted(seed=7, late_share=0.3)[1]).any()


def test_more_late_commands_leave_the_late_ones_late():
    few, many = acted(late_share=0.1)[1], acted(late_share=0.5)[1]
    np.testing.assert_array_equal(many[few > 0], few[few > 0])


def test_the_plant_tells_which_command_acted_and_repeats_after_a_reset():
    plant = plant_of(**EXACT, command_delay=1.0, late_share=0.5, late_ticks=3)

    def run():
        plant.reset()
        late, seen = [], []
        for k in range(60):
            late.append(plant.delivery.late)
            effort = plant.step(np.array([0.01 * (k + 1)])).effort[0]
            seen.append((effort, plant.delivery.acting))
            assert effort == pytest.approx(0.01 * (plant.delivery.acting + 1))
        return late, seen

    first = run()
    assert first == run()
    assert any(first[0]) and not all(first[0])


def test_jitter_lateness_and_spikes_leave_the_sensor_noise_as_it_is():
    noisy = [
        plant_of(seed=3, gravity=(0.0, 0.0, 0.0), frictionloss=(5.0,), **changes)
        for changes in (
            {},
            {"command_jitter": 2, "late_share": 0.5},
            {"motor_lag": (0.01,)},
            {"velocity_spikes": ("0.01", "joint1", "7")},
        )
    ]
    rows = [np.array([np.r_[m.q, m.qd] for m in [plant.step(np.zeros(1)) for _ in range(20)]]) for plant in noisy]
    for other in rows[1:3]:
        np.testing.assert_array_equal(other, rows[0])
    np.testing.assert_allclose(rows[3] - rows[0], [[0.0, 7.0 * (i == 1)] for i in range(20)], atol=1e-12)


# --- motors -----------------------------------------------------------------------------------------------------------


def test_a_lagging_motor_follows_a_step_exponentially_after_the_delay():
    plant = plant_of(2, **EXACT, command_delay=1.0, motor_lag=(0.01, 0.0))
    efforts = np.array([plant.step(np.array([2.0, 1.0])).effort for _ in range(6)])
    # The measured effort is that of the period's last physics step: 5 steps of 1 ms per tick since the command acts.
    steps = np.array([0, 5, 10, 15, 20, 25])
    np.testing.assert_allclose(efforts[:, 0], 2.0 * (1.0 - np.exp(-steps * 0.001 / 0.01)), rtol=1e-12)
    np.testing.assert_array_equal(efforts[:, 1], [0.0, 1.0, 1.0, 1.0, 1.0, 1.0])


def test_a_lag_and_a_delay_may_appear_later_and_a_reset_ends_them():
    plant = plant_of(**EXACT, command_delay=0.0)
    for _ in range(2):
        assert plant.step(np.array([1.0])).effort[0] == 1.0
        plant.set_motor_lag((0.005,))  # one time constant is one tick
        assert plant.step(np.array([3.0])).effort[0] == pytest.approx(3.0 - 2.0 * math.exp(-1.0))  # from what it gave
        plant.set_motor_lag((0.0,))
        plant.delivery.set_delay(2.0)
        efforts = [plant.step(np.array([u])).effort[0] for u in (5.0, 6.0, 7.0)]
        assert efforts == [3.0, 3.0, 5.0]
        plant.reset()


def test_a_weakened_or_clipped_motor_lags_too():
    plant = plant_of(**EXACT, command_delay=0.0, motor_lag=(0.005,))
    plant.scale_motor("joint1", 0.5)
    assert plant.step(np.array([100.0])).effort[0] == pytest.approx(0.5 * 20.0 * (1.0 - math.exp(-1.0)))


@pytest.mark.parametrize("interface", ["velocity", "position"])
def test_a_drive_with_a_lagging_motor_carries_its_arm_and_still_follows(interface):
    settings = {**EXACT, "gravity": (0.0, 0.0, -9.81), "motor_lag": (0.01,)}
    plant = plant_of(2, interface, **settings)
    start = plant.truth.q
    rest = np.zeros(2) if interface == "velocity" else start
    for _ in range(40):
        measured = plant.step(rest)
    np.testing.assert_allclose(measured.q, start, atol=1e-6)
    go = np.array([0.4, -0.2]) if interface == "velocity" else start + [0.1, -0.1]
    quick = plant_of(2, interface, **{**settings, "motor_lag": (0.0,)})
    for i in range(200):
        measured, other = plant.step(go), quick.step(go)
        if i == 3:
            assert np.abs(measured.qd[0]) < np.abs(other.qd[0])
    if interface == "velocity":
        np.testing.assert_allclose(measured.qd, go, atol=0.02)
    else:
        np.testing.assert_allclose(measured.q, go, atol=1e-3)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_masses_scale_with_their_inertia_and_the_payload_does_not(factor):
    plant = plant_of(
        **{**EXACT, "gravity": (0.0, 0.0, -9.81)},
        command_delay=0.0,
        armature=(0.1,),
        mass_factor=factor,
        initial_position=(0.0,),
    )
    # A rod of 1 kg and 0.5 m with I = m l^2 / 12 about its middle: m l^2 / 3 about its end; weight m g l / 2.
    weight = 9.81 * 0.25 * factor
    measured = plant.step(np.array([weight + 1.0]))
    assert measured.qd[0] == pytest.approx(0.005 / (0.1 + factor * 0.25 / 3), rel=1e-3)
    plant.set_payload(2.0)
    plant.reset()
    plant.set_payload(2.0)
    measured = plant.step(np.array([weight + 9.81 * 2.0 * 0.5]))
    assert abs(measured.qd[0]) < 1e-6


def test_drives_give_no_more_than_their_true_limit_whatever_the_description_says():
    plant = plant_of(**EXACT, command_delay=0.0, effort_limit_factor=0.25)
    limit = plant.robot.effort_limit[0]
    assert plant.step(np.array([0.9 * limit])).effort[0] == pytest.approx(0.25 * limit)
    assert plant.clipped == 0  # the command itself was inside the described limits
    assert plant.step(np.array([-0.1 * limit])).effort[0] == pytest.approx(-0.1 * limit)


# --- velocities -------------------------------------------------------------------------------------------------------


def test_differentiated_velocities_are_low_passed_differences_of_the_measured_positions():
    plant = plant_of(2, differentiated_velocity=True, velocity_cutoff=20.0, position_noise=1e-3)
    measured = [plant.reset()] + [plant.step(np.array([1.0, -0.5])) for _ in range(30)]
    np.testing.assert_array_equal(measured[0].qd, np.zeros(2))
    follow, v = 1.0 - math.exp(-2.0 * math.pi * 20.0 * 0.005), None
    for last, now in zip(measured, measured[1:], strict=False):
        slope = (now.q - last.q) / 0.005
        v = slope if v is None else v + follow * (slope - v)
        np.testing.assert_allclose(now.qd, v, rtol=1e-9, atol=1e-12)
    plain = plant_of(2, position_noise=1e-3)
    np.testing.assert_array_equal(measured[0].q, plain.reset().q)  # the noise of the positions stays
    np.testing.assert_array_equal(plant.reset().qd, np.zeros(2))


def test_spikes_hit_one_sample_of_one_joint():
    spikes = ("0.05", "joint2", "10", "0.1", "joint1", "-3.5", "0.1", "joint2", "1e2")
    plain, spiky = plant_of(2, **EXACT), plant_of(2, **EXACT, velocity_spikes=spikes)
    off = np.array([spiky.step(np.zeros(2)).qd - plain.step(np.zeros(2)).qd for _ in range(30)])
    expected = np.zeros((30, 2))
    expected[9, 1], expected[19] = 10.0, [-3.5, 100.0]  # row i is the sample stamped 5 ms (i + 1)
    np.testing.assert_allclose(off, expected, atol=1e-12)
    np.testing.assert_array_equal(spiky.truth.qd, plain.truth.qd)


@pytest.mark.parametrize(
    "settings, error, message",
    [
        ({"velocity_spikes": ("0.1", "joint1")}, ConfigurationError, "a time .*, a joint and a size"),
        ({"velocity_spikes": ("soon", "joint1", "3")}, ConfigurationError, "a time .*, a joint and a size"),
        ({"velocity_spikes": ("0.1", "joint1", "nan")}, ConfigurationError, "a time .*, a joint and a size"),
        ({"velocity_spikes": ("0.1", "joint9", "3")}, JointNameError, "missing .'joint9'"),
        ({"motor_lag": (0.01, 0.01, 0.01)}, ConfigurationError, "motor_lag.*1 or 2"),
        ({"late_share": 1.5}, ConfigurationError, r"must lie in \[0, 1\]"),
        ({"late_ticks": 0}, ConfigurationError, "must lie in"),
    ],
)
def test_unsuitable_conditions_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        plant_of(2, **settings)
