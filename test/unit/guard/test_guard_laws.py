"""The guard's safe commands: braking within the acceleration limit, rest in time, finite and inside the limits."""

import numpy as np
import pytest

from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.guard.laws import make_law
from mbrl_ros.guard.states import JointStates, StateBuffer
from mbrl_ros.robots import load_robot
from mbrl_ros.safety.arrest import Arrest
from mbrl_ros.types import Observation
from support.guards import PERIOD, RATE, joint_state, parameters
from support.robots import planar_robot

HOME = (0.0, -0.5, 0.0, -2.0, 0.0, 1.6, 0.8)
EXTRA = 0.1  # [s] beyond the braking time within which a joint rests


def irregular(rng, steps: int) -> np.ndarray:
    """Times between commands of a guard that does not wake up in time [s]."""
    return PERIOD * rng.uniform(0.5, 4.0, steps) ** rng.integers(0, 2, steps)


@pytest.mark.parametrize("seed", range(20))
def test_a_velocity_ramps_to_zero_within_the_acceleration_limit(seed):
    rng = np.random.default_rng(seed)
    told = parameters(n=4, interface="velocity", acceleration=rng.uniform(0.5, 20.0, 4))
    u = start = rng.uniform(-3.0, 3.0, 4)
    law, time = make_law(told, u, np.zeros(4)), 0.0
    braking = np.abs(start) / told.acceleration
    for elapsed in irregular(rng, 4000):
        after = law.command(elapsed, None)
        assert (np.abs(after - u) <= told.acceleration * elapsed + 1e-12).all()
        assert (after * start >= 0.0).all() and (np.abs(after) <= np.abs(u)).all()
        u, time = after, time + elapsed
        assert not u[time >= braking + 1e-9].any()
    assert law.at_rest and not u.any()


@pytest.mark.slow(but=4)
@pytest.mark.parametrize("seed", range(20))
def test_a_position_brakes_and_stays_where_it_stopped(seed):
    rng = np.random.default_rng(seed)
    told = parameters(n=4, interface="position", acceleration=rng.uniform(0.5, 20.0, 4))
    start, speed = rng.uniform(-2.0, 2.0, 4), rng.uniform(-3.0, 3.0, 4)
    law, u, v = make_law(told, start, speed), start, speed
    braking = np.abs(speed) / told.acceleration
    for k in range(4000):
        after = law.command(PERIOD, None)
        inside = (after > told.lower) & (after < told.upper)
        # the commanded speed changes by no more than the acceleration limit allows, but at a limit of the position
        change = np.abs((after - u) / PERIOD - v)
        assert (change[inside] <= told.acceleration[inside] * PERIOD + 1e-9).all()
        assert (after >= told.lower).all() and (after <= told.upper).all()
        still = (k * PERIOD >= braking + EXTRA) & inside
        np.testing.assert_array_equal(after[still], u[still])
        u, v = after, (after - u) / PERIOD
    stopped = np.clip(start + 0.5 * speed * np.abs(speed) / told.acceleration, told.lower, told.upper)
    np.testing.assert_allclose(u, stopped, atol=3.0 * PERIOD)
    assert law.at_rest


@pytest.mark.parametrize("stateless", (0, 1, 2))
@pytest.mark.parametrize("lag", (0.0, 0.02, 0.05, 0.1))
def test_an_arm_that_lags_behind_the_positions_that_accelerate_it_goes_less_far(lag, stateless):
    """The guard takes over from a motion that has accelerated for 0.13 s with the limit; lag dq/dt = u - q.

    Its first commands may know no state.
    """
    told, a = parameters(n=1, interface="position"), 7.5
    u, v, q, qd, speeds = np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1), []

    def follow(u, q):
        qd = (u - q) / PERIOD if lag == 0.0 else (u - q) * (1.0 - np.exp(-PERIOD / lag)) / PERIOD
        return q + PERIOD * qd, qd

    for _ in range(round(0.13 / PERIOD)):
        v = v + a * PERIOD
        u = u + PERIOD * v
        q, qd = follow(u, q)
    law, begun, before, stamp = make_law(told, u, v), q, qd, 0.0
    for k in range(400):
        stamp += PERIOD
        u = law.command(PERIOD, JointStates(q, qd, stamp, stamp) if k >= stateless else None)
        q, qd = follow(u, q)
        speeds.append(qd[0])
    decelerations = -np.diff(np.array([before[0], *speeds])) / PERIOD
    assert decelerations.max() <= 1.15 * a and abs(qd[0]) < 1e-3
    lead, braking = lag * before[0], 0.5 * before[0] ** 2 / a
    assert q[0] - begun[0] <= lead + braking + 0.015


@pytest.mark.parametrize("sag", (0.0, 0.2))
def test_a_position_that_was_switched_off_and_on_elsewhere_stays_there(sag):
    """A load moves the arm away from its command by `sag`; then no state comes for a while."""
    told, start = parameters(n=2, interface="position"), np.array([0.5, -0.3])
    far = 0.02 * told.velocity

    def after_silence(q, qd=(0.0, 0.0)):
        law = make_law(told, start, np.zeros(2))
        for state in (JointStates(start - sag, np.zeros(2), 1.0, 1.0), *[None] * 50):
            np.testing.assert_array_equal(law.command(PERIOD, state), start)
        return [law.command(PERIOD, JointStates(np.array(q), np.array(qd), 2.0 + k, 2.0 + k)) for k in range(20)]

    for near in (start - sag, start - sag + 0.9 * far):
        np.testing.assert_array_equal(after_silence(near), np.tile(start, (20, 1)))
    np.testing.assert_array_equal(after_silence([1.5, -1.0]), np.tile([1.5, -1.0], (20, 1)))
    moving = after_silence([1.5, -1.0], 0.1 * told.velocity)  # it obeys somebody already
    np.testing.assert_array_equal(moving, np.tile(start, (20, 1)))


def test_a_position_does_not_catch_up_with_a_late_start():
    """20 ms without a command: the joint has stood still, so the first step is that of one period, already slower."""
    told = parameters(n=1, interface="position")
    first = make_law(told, np.zeros(1), np.ones(1)).command(0.02, None)
    assert first[0] == pytest.approx((1.0 - 7.5 * 0.02) * 1.5 * PERIOD)


def plant_step(q, qd, u, inertia, load, elapsed):
    """A double integrator."""
    qdd = np.linalg.solve(inertia, u + load)
    return q + elapsed * qd + 0.5 * elapsed**2 * qdd, qd + elapsed * qdd


@pytest.mark.parametrize("seed", range(10))
def test_an_effort_brings_coupled_joints_to_rest_and_carries_them(seed):
    """With the believed inertia: within braking time and distance and 1.1 times the acceleration limit."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(3, 3))
    inertia = 0.05 * (factor @ factor.T + np.eye(3))
    load = rng.uniform(-5.0, 5.0, 3)
    told = parameters(n=3, inertia=inertia, mean=-load)
    q = start = rng.uniform(-1.0, 1.0, 3)
    qd = speed = rng.uniform(-2.5, 2.5, 3)
    law, time, u = make_law(told, -load, np.zeros(3)), 0.0, -load
    for elapsed in np.full(600, PERIOD):
        before = qd
        u = law.command(elapsed, JointStates(q, qd, time, time))
        assert np.isfinite(u).all() and (np.abs(u) <= told.upper).all()
        q, qd = plant_step(q, qd, u, inertia, load, elapsed)
        assert (np.abs(qd - before) <= 1.1 * told.acceleration * elapsed + 1e-9).all()
        time += elapsed
    assert law.at_rest and np.abs(qd).max() < 1e-3
    np.testing.assert_allclose(q, start + 0.5 * speed * np.abs(speed) / told.acceleration, atol=0.02)
    np.testing.assert_allclose(law.carrying, -load, atol=0.05)


def test_it_is_the_law_of_the_supervisor():
    """The same efforts as safety/arrest.py from the same states, with the matrices that mpc_node would send."""
    robot, settings = planar_robot(2, effort=100.0), SupervisorSettings()
    arrest = Arrest(robot, settings, PERIOD)
    mean = np.array([3.0, -1.0])
    arrest.reset(mean)
    rng = np.random.default_rng(3)
    q, qd = np.array([0.3, -0.4]), np.array([1.5, -2.0])
    arrest._every = 10**9  # one inertia for all: what a guard has
    inertia = arrest.inertia(q)
    c = settings.arrest_rate
    told = parameters(
        n=2,
        mean=mean,
        inertia=inertia,
        damping=c * inertia,
        stiffness=c**2 / 3.0 * inertia,
        integral=c**3 / 27.0 * arrest.integral_inertia(inertia),
        velocity=robot.velocity_limit,
        acceleration=robot.acceleration_limit,
        lower=robot.command_lower,
        upper=robot.command_upper,
        largest_step=robot.command_upper - robot.command_lower,
    )
    law, u = make_law(told, mean, np.zeros(2)), mean
    for k in range(400):
        expected = arrest.command(Observation(k * PERIOD, q, qd))
        u = law.command(PERIOD, JointStates(q, qd, k * PERIOD, k * PERIOD))
        np.testing.assert_allclose(u, np.clip(expected, told.lower, told.upper), rtol=1e-9, atol=1e-9)
        q, qd = plant_step(q, qd, u, inertia, rng.uniform(-1.0, 1.0, 2) - mean, PERIOD)


def test_without_states_an_effort_carries_and_then_does_what_was_told():
    told = parameters(n=2, mean=np.array([3.0, -2.0]), carry_time=0.1001)
    law = make_law(told, np.array([5.0, 5.0]), np.zeros(2))
    efforts = np.array([law.command(PERIOD, None) for _ in range(40)])
    np.testing.assert_array_equal(efforts[:20], np.tile(told.mean, (20, 1)))
    assert not efforts[20:].any() and not law.at_rest
    state = JointStates(np.array([1.0, 1.0]), np.zeros(2), 1.0, 1.0)
    np.testing.assert_allclose(law.command(PERIOD, state), told.mean)  # it begins anew where the arm is
    assert law.at_rest


def test_the_anchor_rule_present_holds_where_it_began():
    """Damping and stiffness about the pose of the beginning: supervisor.safe_effort hold and damp."""
    told = parameters(n=1, anchor="present", stiffness=np.array([[50.0]]), integral=np.zeros((1, 1)))
    law = make_law(told, np.zeros(1), np.zeros(1))
    first = law.command(PERIOD, JointStates(np.array([0.2]), np.array([1.0]), 0.0, 0.0))
    assert first[0] == pytest.approx(-RATE * 0.1)
    later = law.command(PERIOD, JointStates(np.array([0.3]), np.array([0.0]), 0.0, 0.0))
    assert later[0] == pytest.approx(-50.0 * 0.1)


@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
@pytest.mark.parametrize("seed", range(10))
def test_every_command_is_finite_and_within_reach(interface, seed):
    """Whatever the states say and however long a step takes."""
    rng = np.random.default_rng(seed)
    told = parameters(n=3, interface=interface, largest_step=rng.uniform(0.01, 1.0, 3))
    previous = rng.uniform(told.lower, told.upper)
    law = make_law(told, previous, rng.uniform(-100.0, 100.0, 3))
    for k in range(300):
        wild = 10.0 ** rng.uniform(-3.0, 12.0)
        state = JointStates(wild * rng.normal(size=3), wild * rng.normal(size=3), k, k) if rng.random() < 0.7 else None
        u = law.command(10.0 ** rng.uniform(-5.0, 2.0), state)
        assert np.isfinite(u).all() and (u >= told.lower).all() and (u <= told.upper).all()
        assert (np.abs(u - previous) <= told.largest_step + 1e-12).all()
        previous = u


def test_a_thrown_arm_is_seen_and_a_bad_sample_is_not_believed():
    """Its velocity limits are 3 rad/s."""
    states, stamp, q = StateBuffer(lambda message: message), 1.0, 0.0
    states.configure(parameters(n=1))

    def newest(q, qd):
        states.put(joint_state(q, qd, stamp), stamp)
        return states.newest(stamp)

    for qd in np.linspace(0.0, 15.0, 40):  # it is thrown, and goes on at five times its limit
        stamp, q = stamp + PERIOD, q + PERIOD * qd
        seen = newest(q, qd)
    for _ in range(20):
        stamp, q = stamp + PERIOD, q + PERIOD * 15.0
        seen = newest(q, 15.0)
    assert not states.refused and seen.q[0] == pytest.approx(q) and seen.qd[0] == 15.0
    stamp += PERIOD
    assert newest(q + 1.0, 15.0).q[0] == pytest.approx(q) and states.refused["positions leap"] == 1
    stamp, q = stamp + PERIOD, q + 2.0 * PERIOD * 15.0
    assert abs(newest(q, -40.0).qd[0] - 15.0) < 1.0


@pytest.mark.parametrize("side", (-1.0, 1.0))
def test_the_integral_stands_still_at_a_limit(side):
    told = parameters(n=1, lower=-np.ones(1), upper=np.ones(1), largest_step=2.0 * np.ones(1))
    law = make_law(told, np.zeros(1), np.zeros(1))
    law.command(PERIOD, JointStates(np.zeros(1), np.zeros(1), 0.0, 0.0))
    for k in range(2000):
        law.command(PERIOD, JointStates(side * np.ones(1), np.zeros(1), k, k))
    assert abs(law.carrying[0]) == 1.0  # it pushes with all it has, but not more and more
    released = law.command(PERIOD, JointStates(np.zeros(1), np.zeros(1), 0.0, 0.0))
    assert abs(released[0]) < 0.1


def test_the_law_brings_a_simulated_arm_to_rest_like_the_supervisors():
    """A Panda of the package's simulation, stopped in motion by each: as far, and as still."""
    pytest.importorskip("mujoco")
    pytest.importorskip("example_robot_data")
    from mbrl_ros.config.sections.robot import RobotSettings
    from mbrl_ros.config.sections.simulation import PlantSettings
    from mbrl_ros.simulation.plant import Plant

    joints = tuple(f"panda_joint{i}" for i in range(1, 8))
    robot = load_robot(RobotSettings(description="package-data:panda", joints=joints, tip="panda_hand_tcp"))
    settings, ends = SupervisorSettings(), []
    for ours in (False, True):
        plant = Plant(PlantSettings(rate=200.0, armature=(0.01,), initial_position=HOME), robot)
        state, arrest = plant.reset(), Arrest(robot, settings, PERIOD)
        gravity = plant.data.qfrc_bias[plant._dof].copy()
        plant.data.qvel[plant._dof] = [0.8, 0.6, -0.5, 0.7, 0.0, -0.9, 1.0]
        state = plant.step(gravity)
        arrest.reset(gravity)
        inertia, c = arrest.inertia(state.q), settings.arrest_rate
        told = parameters(
            n=7,
            mean=gravity,
            inertia=inertia,
            damping=c * inertia,
            stiffness=c**2 / 3.0 * inertia,
            integral=c**3 / 27.0 * arrest.integral_inertia(inertia),
            velocity=robot.velocity_limit,
            acceleration=robot.acceleration_limit,
            lower=robot.command_lower,
            upper=robot.command_upper,
            largest_step=robot.command_upper - robot.command_lower,
        )
        law = make_law(told, gravity, np.zeros(7))
        for k in range(600):
            u = arrest.command(Observation(k * PERIOD, state.q, state.qd))
            if ours:
                u = law.command(PERIOD, JointStates(state.q, state.qd, k * PERIOD, k * PERIOD))
            state = plant.step(u)
        ends.append(plant.truth)
    assert np.abs(ends[1].q - ends[0].q).max() < 0.02
    assert max(np.abs(end.qd).max() for end in ends) < 0.05
    assert np.linalg.norm(ends[1].tip - ends[0].tip) < 0.01
