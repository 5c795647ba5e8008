"""Safe commands keep within the acceleration limit, and their gains within what the arm's inertia bears."""

import numpy as np
import pytest

from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.robots.gravity import GravityEffort
from mbrl_ros.robots.inertia import JointSpaceInertia
from mbrl_ros.safety.state_machine import Reason, Request, State
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Decision, DecisionStatus, Observation
from support.robots import planar_robot

DT, LIMIT = 0.01, 7.5  # [s]; [rad/s^2] robot.acceleration_limit
STILL = Observation(1.0, np.zeros(2), np.zeros(2))


def moving(interface):
    """A supervisor whose commands move both joints at 1.5 and -1 rad/s, and the speeds of its commands."""
    watched, speeds = Supervisor(planar_robot(interface=interface), SupervisorSettings(ramp_time=0.0), DT), []
    watched.reset(STILL)
    for k in range(60):
        speed = min(1.0, k / 30) * np.array([1.5, -1.0])
        u = speed if interface == "velocity" else watched.limiter.previous + DT * speed
        speeds.append(speed_of(watched, lambda u=u: watched.filter(Decision(1.0, u, DecisionStatus.OK), STILL)))
    return watched, speeds


def speed_of(watched, command):
    before = watched.limiter.previous.copy()
    u = command().u
    return u if watched.robot.interface == "velocity" else (u - before) / DT


@pytest.mark.parametrize("interface", ["velocity", "position"])
@pytest.mark.parametrize("cause", ["stale", "e_stop", "failed"])
def test_the_safe_command_brakes_within_the_acceleration_limit(interface, cause):
    watched, speeds = moving(interface)
    if cause == "e_stop":
        watched.request(Request.E_STOP, STILL)
    command = {
        "stale": lambda: watched.stale(0.1),
        "e_stop": lambda: watched.stop(STILL, Reason.REQUESTED),
        "failed": lambda: watched.failed(STILL),
    }[cause]
    speeds += [speed_of(watched, command) for _ in range(40)]
    assert speeds[59] == pytest.approx([1.5, -1.0], abs=0.01)
    assert np.abs(np.diff(speeds[58:], axis=0)).max() <= LIMIT * DT * 1.001
    assert speeds[-1] == pytest.approx([0.0, 0.0], abs=1e-9)


@pytest.mark.parametrize("interface", ["velocity", "position"])
def test_the_last_command_of_all_is_that_of_an_arm_at_rest(interface):
    watched, _ = moving(interface)
    assert speed_of(watched, lambda: watched.stop(STILL, Reason.STOPPING)) == pytest.approx([0.0, 0.0])


def test_a_warning_slows_down_within_the_acceleration_limit():
    watched, speeds = moving("velocity")
    for _ in range(60):
        decision = Decision(1.0, np.array([2.8, -2.8]), DecisionStatus.OK)
        speeds.append(speed_of(watched, lambda d=decision: watched.filter(d, STILL)))
    assert watched.state is State.ACTIVE
    fast = len(speeds)
    for _ in range(60):
        decision = Decision(1.0, np.array([2.8, -2.8]), DecisionStatus.OK)
        speeds.append(speed_of(watched, lambda d=decision: watched.filter(d, STILL, Reason.FEATURES)))
    assert np.abs(np.diff(speeds[fast - 1 :], axis=0)).max() <= LIMIT * DT * 1.001
    assert speeds[-1][0] == pytest.approx(0.6 * 2.85)


@pytest.mark.slow(but=8)
@pytest.mark.parametrize("safe_effort", ["damp", "hold"])
@pytest.mark.parametrize("mass", [1.0, 0.01, 1e-4])
@pytest.mark.parametrize("delay", [0, 1, 2])
def test_damping_and_stiffness_never_shake_an_arm_however_light(safe_effort, mass, delay):
    settings = SupervisorSettings(safe_effort=safe_effort, command_rate=(1.0,), damping=(1e6,), stiffness=(1e7,))
    robot = planar_robot(mass=mass)
    watched, inertia = Supervisor(robot, settings, DT), JointSpaceInertia(robot)
    q, qd, pending, fastest = np.array([0.2, 0.4]), np.array([1.0, -1.0]), [np.zeros(2)] * (delay + 1), 0.0
    watched.reset(Observation(1.0, q, qd))
    for _ in range(1000):
        pending = [watched.stop(Observation(1.0, q, qd), Reason.REQUESTED).u, *pending[:-1]]
        qd = qd + DT * np.linalg.solve(inertia(q), pending[-1])
        q = q + DT * qd
        fastest = max(fastest, np.abs(qd).max())
    assert fastest <= robot.velocity_limit.max() and np.abs(qd).max() < 0.02


def test_gravity_of_two_level_links():
    gravity = GravityEffort(planar_robot())
    assert gravity(np.zeros(2)) == pytest.approx([9.81 * (0.25 + 0.75), 9.81 * 0.25])
    assert gravity(np.array([np.pi / 2, 0.0])) == pytest.approx([0.0, 0.0], abs=1e-12)


def test_damping_under_which_the_arm_would_sink_is_refused_unless_it_is_permitted():
    robot = planar_robot()
    unready = Supervisor(robot, SupervisorSettings(safe_effort="damp"), DT).unready
    assert "would sink at" in unready and "supervisor.allow_sinking: true" in unready
    assert Supervisor(robot, SupervisorSettings(safe_effort="damp", allow_sinking=True), DT).unready == ""
    for interface in ("velocity", "position"):
        assert Supervisor(planar_robot(interface=interface), SupervisorSettings(safe_effort="damp"), DT).unready == ""


@pytest.mark.parametrize("name", ["damping", "stiffness"])
@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e9])
def test_gains_that_are_not_finite_are_refused(name, value):
    with pytest.raises(ConfigurationError, match=name):
        SupervisorSettings.from_mapping({name: [value]})


@pytest.mark.parametrize("interface", ["effort", "velocity", "position"])
def test_a_reset_at_a_state_that_is_not_finite_poisons_nothing(interface):
    watched = Supervisor(planar_robot(interface=interface), SupervisorSettings(), DT)
    watched.reset(Observation(1.0, np.array([np.nan, 0.2]), np.full(2, np.nan)))
    for _ in range(3):
        assert np.isfinite(watched.filter(Decision(1.0, np.zeros(2), DecisionStatus.OK), STILL).u).all()
    assert np.isfinite(watched.stale(0.1).u).all()


@pytest.mark.parametrize("lag", (0.0, 0.02, 0.05, 0.1))
@pytest.mark.parametrize("cause", ["hold", "failed"])
@pytest.mark.parametrize("steady", (False, True), ids=("accelerating", "steady"))
def test_an_arm_that_lags_behind_its_positions_goes_less_far(steady, cause, lag):
    """It is stopped after it has accelerated for 0.13 s with the limit, or some time later; lag dq/dt = u - q."""
    watched = Supervisor(planar_robot(interface="position"), SupervisorSettings(ramp_time=0.0), DT)
    watched.reset(STILL)
    speed, q, speeds = 0.0, np.zeros(2), [np.zeros(2)]

    def answered(command):
        nonlocal q
        u = command(Observation(1.0, q, speeds[-1])).u
        speeds.append((u - q) / DT if lag == 0.0 else (u - q) * (1.0 - np.exp(-DT / lag)) / DT)
        q = q + DT * speeds[-1]

    for k in range(100 if steady else 13):
        speed += LIMIT * DT * (k < 13)
        answered(
            lambda seen: watched.filter(Decision(1.0, watched.limiter.previous + DT * speed, DecisionStatus.OK), seen)
        )
    begun, before, ticks = q, speeds[-1], len(speeds)
    if cause == "hold":
        watched.request(Request.HOLD, STILL)
    for _ in range(200):
        decision = Decision(1.0, watched.limiter.previous, DecisionStatus.OK)
        answered(watched.failed if cause == "failed" else lambda seen: watched.filter(decision, seen))
    assert (
        -np.diff(np.array(speeds[ticks - 1 :]), axis=0).min() / DT <= 1.15 * LIMIT and np.abs(speeds[-1]).max() < 1e-3
    )
    lead, braking = lag * before, 0.5 * before**2 / LIMIT
    assert (q - begun <= braking + (0.01 + 0.75 * lead if steady else 0.015 + lead)).all()
