"""No command leaves its limits, whatever is wished for; and nothing is changed that need not be."""

import numpy as np
import pytest
from robots_for_tests import planar_robot

from mbrl_ros.settings import SupervisorSettings
from mbrl_ros.supervisor import Reason, State, Supervisor
from mbrl_ros.types import Decision, DecisionStatus, Observation

DT = 0.005
INTERFACES = ("effort", "velocity", "position")


def supervisor(interface="effort", **settings) -> Supervisor:
    return Supervisor(planar_robot(interface=interface), SupervisorSettings(**settings), DT)


def at(q=(0.0, 0.0), qd=(0.0, 0.0)) -> Observation:
    return Observation(1.0, np.array(q, dtype=float), np.array(qd, dtype=float))


def wish(*u, status=DecisionStatus.OK) -> Decision:
    return Decision(1.0, np.array(u, dtype=float), status)


@pytest.mark.parametrize("interface", INTERFACES)
def test_any_wish_becomes_a_finite_command_inside_every_limit(interface):
    rng = np.random.default_rng(0)
    watched = supervisor(interface)
    robot, previous = watched.robot, None
    span = robot.command_upper - robot.command_lower
    for _ in range(20_000):
        u = rng.choice((0.0, 1.0, -1.0, 1e300, -1e300, np.inf, -np.inf, np.nan, 5.0), 2) * rng.uniform(0.0, 30.0, 2)
        state = at(rng.uniform(-4.0, 4.0, 2), rng.uniform(-9.0, 9.0, 2))
        status = DecisionStatus(rng.integers(0, 4))
        command = watched.filter(wish(*u, status=status), state) if rng.random() < 0.9 else watched.safe(None, Reason.STALE_STATE)
        assert np.isfinite(command.u).all()
        assert (command.u >= robot.command_lower).all() and (command.u <= robot.command_upper).all()
        if previous is not None:
            assert (np.abs(command.u - previous) <= 0.5 * span * (1.0 + 1e-12)).all()  # supervisor.command_rate
        previous = command.u


def test_what_is_inside_the_envelope_passes_unchanged():
    watched, u = supervisor(), np.array([3.0, -2.0])
    command = watched.filter(wish(*u), at((0.1, -0.2), (1.0, -1.0)))
    assert np.array_equal(command.u, u)
    assert command.state is State.ACTIVE and command.reasons == Reason.NONE


def test_changes_of_the_command_are_limited():
    watched = supervisor(command_rate=0.1)  # of the range of 40 N m
    commands = [watched.filter(wish(20.0, 0.0), at()) for _ in range(6)]
    assert [command.u[0] for command in commands] == pytest.approx([4.0, 8.0, 12.0, 16.0, 20.0, 20.0])
    assert commands[0].reasons == Reason.RATE and commands[5].reasons == Reason.NONE


def test_effort_guard_brakes_only_what_runs_away():
    watched = supervisor(speed_guard=0.95, guard_effort=0.5)  # velocity limit 3, effort limit 20
    slow = watched.filter(wish(1.0, 1.0), at(qd=(2.69, -2.69)))  # 0.90 of the limit is 2.7
    assert slow.u == pytest.approx([1.0, 1.0])
    half = watched.filter(wish(1.0, 1.0), at(qd=(2.775, -2.775)))  # half way to 2.85: half of 0.5 * 20
    assert half.u == pytest.approx([1.0 - 5.0, 1.0 + 5.0])
    assert half.reasons == Reason.SPEED
    full = watched.filter(wish(1.0, 1.0), at(qd=(2.9, -2.9)))
    assert full.u == pytest.approx([1.0 - 10.0, 1.0 + 10.0])


@pytest.mark.parametrize("distance, expected", ((1.0, 2.85), (0.1, np.sqrt(2 * 7.5 * 0.1)), (0.0, 0.0), (-0.1, 0.0)))
def test_velocity_commands_slow_down_before_a_stop(distance, expected):
    watched = supervisor("velocity", command_rate=1.0)  # acceleration limit 7.5
    stop = watched.robot.position_upper[0]
    assert watched.filter(wish(3.0, 3.0), at((stop - distance, 0.0))).u == pytest.approx([expected, 2.85])
    assert watched.filter(wish(-3.0, 0.0), at((stop - distance, 0.0))).u[0] == pytest.approx(-2.85)


def test_position_commands_move_no_faster_than_the_joints_may():
    watched = supervisor("position")
    watched.reset(at((0.5, 0.0)))
    command = watched.filter(wish(2.0, 0.0), at((0.5, 0.0)))
    assert command.u == pytest.approx([0.5 + 2.85 * DT, 0.0])
    assert command.reasons == Reason.SPEED


@pytest.mark.parametrize("interface, expected", (("effort", [-2.0, 4.0]), ("velocity", [0.0, 0.0]), ("position", [0.3, -0.4])))
def test_safe_commands(interface, expected):
    watched = supervisor(interface, damping=(2.0,))
    watched.reset(at((0.3, -0.4)))
    command = watched.safe(at((0.3, -0.4), (1.0, -2.0)), Reason.STOPPING)
    assert command.u == pytest.approx(expected)
    assert command.state is State.FAULT


def test_damping_needs_a_known_velocity():
    watched = supervisor()
    watched.filter(wish(5.0, 5.0), at(qd=(1.0, 1.0)))
    assert watched.safe(None, Reason.STALE_STATE).u == pytest.approx([0.0, 0.0])


def test_failed_plans_are_borne_for_a_while():
    watched = supervisor(max_failed_plans=3, safe_effort="zero")
    failed = [watched.filter(wish(1.0, 1.0, status=DecisionStatus.PLANNER_FAILED), at()) for _ in range(5)]
    assert [command.state for command in failed] == [State.ACTIVE] * 3 + [State.FAULT] * 2
    assert failed[3].reasons == Reason.PLANNER
    assert watched.filter(wish(1.0, 1.0), at()).state is State.ACTIVE


def test_an_infinite_wish_gives_the_safe_command():
    command = supervisor(safe_effort="zero").filter(wish(np.nan, 1.0), at())
    assert command.u == pytest.approx([0.0, 0.0]) and command.reasons == Reason.NOT_FINITE
