"""No command leaves its limits, whatever is requested; and nothing is changed that need not be."""

import numpy as np
import pytest

from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.safety.state_machine import TABLE, TRIGGERS, Condition, Reason, Request, State, markdown, mermaid
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Decision, DecisionStatus, Observation
from support import ROOT
from support.robots import planar_robot

DT = 0.005
INTERFACES = ("effort", "velocity", "position")


def supervisor(interface="effort", *, ramp_time=0.0, **settings) -> Supervisor:
    return Supervisor(planar_robot(interface=interface), SupervisorSettings(ramp_time=ramp_time, **settings), DT)


def at(q=(0.0, 0.0), qd=(0.0, 0.0)) -> Observation:
    return Observation(1.0, np.array(q, dtype=float), np.array(qd, dtype=float))


def requested(*u, status=DecisionStatus.OK) -> Decision:
    return Decision(1.0, np.array(u, dtype=float), status)


FAILED = DecisionStatus.PLANNER_FAILED


# --- the command limiter ---


@pytest.mark.slow(but=4)
@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("safe_effort", ("arrest", "zero", "damp", "gravity", "hold"))
def test_whatever_happens_the_command_is_finite_and_inside_every_limit(interface, safe_effort):
    if safe_effort == "gravity":
        pytest.importorskip("adam", reason="adam-robotics is not installed")
    rng = np.random.default_rng(0)
    watched = supervisor(
        interface,
        safe_effort=safe_effort,
        ramp_time=2 * DT,
        ramp_time_effort=2 * DT,
        nominal_after=DT,
        max_failed_plans=2,
    )
    robot, previous = watched.robot, np.zeros(2)
    span = robot.command_upper - robot.command_lower
    visited = set()
    for _ in range(3000):
        u = rng.uniform(-30.0, 30.0, 2) * rng.choice((0.0, 1.0, 1e300, np.inf, np.nan), p=(0.2, 0.5, 0.1, 0.1, 0.1))
        state = at(rng.uniform(-2.6, 2.6, 2), rng.uniform(-4.55, 4.55, 2))  # now and then outside, or much too fast
        what = rng.random()
        if what < 0.1:
            watched.request((Request.HOLD, Request.RESUME, Request.CLEAR, Request.E_STOP)[rng.integers(4)], state)
            continue
        if what < 0.95:
            command = watched.filter(
                requested(*u, status=DecisionStatus(rng.integers(0, 4) * (rng.random() < 0.2))), state
            )
        else:
            command = watched.failed(state) if what < 0.98 else watched.stale(rng.uniform(0.05, 0.55))
        visited.add(command.state)
        assert np.isfinite(command.u).all()
        assert (command.u >= robot.command_lower).all() and (command.u <= robot.command_upper).all()
        assert (np.abs(command.u - previous) <= 0.5 * span * (1.0 + 1e-12)).all()  # supervisor.command_rate
        previous = command.u
    assert visited == set(State)


def test_what_is_inside_the_limits_passes_unchanged():
    watched, u = supervisor(), np.array([3.0, -2.0])
    command = watched.filter(requested(*u), at((0.1, -0.2), (1.0, -1.0)))
    assert np.array_equal(command.u, u)
    assert command.state is State.ACTIVE and command.reasons == Reason.NONE


@pytest.mark.parametrize("acceleration", (50.0, 500.0, 1700.0))  # rad/s^2 by a full command; 1700: a bare wrist
@pytest.mark.parametrize("delay", (0, 1))
def test_damping_brings_a_joint_of_any_inertia_to_rest(acceleration, delay):
    watched, speed = supervisor(safe_effort="damp"), np.array([2.0, -2.0])
    applied = [np.zeros(2)] * (delay + 1)
    fastest = []
    for _ in range(round(3.0 / DT)):
        applied = [watched.stop(at(qd=speed)).u, *applied[:-1]]
        speed = speed + DT * acceleration * applied[-1] / watched.robot.effort_limit
        fastest.append(np.abs(speed).max())
    assert max(fastest) <= 2.0 and fastest[-1] < 0.2


def test_changes_of_the_command_are_limited():
    watched = supervisor(command_rate=(0.1,))  # of the range of 40 N m
    commands = [watched.filter(requested(20.0, 0.0), at()) for _ in range(6)]
    assert [command.u[0] for command in commands] == pytest.approx([4.0, 8.0, 12.0, 16.0, 20.0, 20.0])
    assert commands[0].reasons == Reason.RATE and commands[5].reasons == Reason.NONE


def test_effort_guard_brakes_only_what_runs_away():
    watched = supervisor(speed_guard=0.95, guard_effort=0.5)  # velocity limit 3, effort limit 20
    slow = watched.filter(requested(1.0, 1.0), at(qd=(2.69, -2.69)))  # 0.90 of the limit is 2.7
    assert slow.u == pytest.approx([1.0, 1.0])
    half = watched.filter(requested(1.0, 1.0), at(qd=(2.775, -2.775)))  # half way to 2.85: half of 0.5 * 20
    assert half.u == pytest.approx([1.0 - 5.0, 1.0 + 5.0])
    assert half.reasons == Reason.SPEED
    full = watched.filter(requested(1.0, 1.0), at(qd=(2.9, -2.9)))
    assert full.u == pytest.approx([1.0 - 10.0, 1.0 + 10.0])


@pytest.mark.parametrize("distance, expected", ((1.0, 2.85), (0.1, np.sqrt(2 * 7.5 * 0.1)), (0.0, 0.0), (-0.01, 0.0)))
def test_velocity_commands_slow_down_before_a_stop(distance, expected):
    stop = planar_robot().position_upper[0]  # acceleration limit 7.5, velocity limit 3, guard 0.95 of it
    watched = supervisor("velocity", acceleration=1e6, degraded_speed=1.0, command_rate=(1.0,))
    assert watched.filter(requested(3.0, 3.0), at((stop - distance, 0.0))).u == pytest.approx([expected, 2.85])
    assert watched.filter(requested(-3.0, 0.0), at((stop - distance, 0.0))).u[0] == pytest.approx(-2.85)


def test_velocity_commands_accelerate_no_more_than_allowed():
    watched = supervisor("velocity", acceleration=2.0)  # 2 * 7.5 rad/s^2: 0.075 rad/s per tick
    assert [watched.filter(requested(1.0, 0.0), at()).u[0] for _ in range(3)] == pytest.approx([0.075, 0.15, 0.225])


def test_position_commands_move_no_faster_than_the_joints_may():
    watched = supervisor("position", acceleration=1e6)
    watched.reset(at((0.5, 0.0)))
    command = watched.filter(requested(2.0, 0.0), at((0.5, 0.0)))
    assert command.u == pytest.approx([0.5 + 2.85 * DT, 0.0])
    assert command.reasons == Reason.SPEED


def test_position_commands_accelerate_no_more_than_allowed():
    watched = supervisor("position", acceleration=2.0)  # 15 rad/s^2
    steps = np.diff([0.0] + [watched.filter(requested(2.0, 0.0), at()).u[0] for _ in range(3)])
    assert steps / DT == pytest.approx([0.075, 0.15, 0.225])


# --- safe commands ---


@pytest.mark.parametrize(
    "interface, expected", (("effort", [-1.0, 2.0]), ("velocity", [0.0, 0.0]), ("position", [0.3, -0.4]))
)
def test_safe_commands(interface, expected):
    watched = supervisor(interface, safe_effort="damp", damping=(1.0,))
    watched.reset(at((0.3, -0.4)))
    assert watched.stop(at((0.3, -0.4), (1.0, -2.0))).u == pytest.approx(expected)


def test_damping_needs_a_known_velocity():
    watched = supervisor(safe_effort="damp")
    watched.filter(requested(5.0, 5.0), at(qd=(1.0, 1.0)))
    assert watched.stale(0.1).u == pytest.approx([0.0, 0.0])


def test_safe_effort_hold_keeps_the_average_effort_and_stiffens_about_the_pose():
    watched = supervisor(safe_effort="hold", steady_time=0.01, stiffness=(20.0,), damping=(0.8,))
    for _ in range(20):
        watched.filter(requested(8.0, -4.0), at((0.1, 0.2)))  # the average has arrived after 20 ticks of half its time
    assert watched.failed(at((0.1, 0.2))).u == pytest.approx([8.0, -4.0], abs=1e-4)
    moved = watched.failed(at((0.12, 0.2), (0.0, 0.5)))  # 20 * 0.02 and 0.8 * 0.5 against it
    assert moved.u == pytest.approx([8.0 - 0.4, -4.0 - 0.4], abs=1e-4)
    assert watched.stale(0.1).u == pytest.approx([8.0, -4.0], abs=1e-4)


def test_safe_effort_gravity_carries_the_arm():
    pytest.importorskip("adam", reason="adam-robotics is not installed")
    watched = supervisor(safe_effort="gravity", damping=(2.0,), command_rate=(1.0,))
    # two links of 1 kg and 0.5 m, stretched out level: 9.81 (0.25 + 0.75) and 9.81 * 0.25 N m
    carried = watched.failed(at(qd=(0.5, 0.0))).u
    assert carried == pytest.approx([9.81 - 2.0 * 0.5, 9.81 * 0.25])
    assert watched.stale(0.1).u == pytest.approx([9.81, 9.81 * 0.25])  # where it was last seen


# --- the state machine ---


def test_the_table_has_every_state_with_every_trigger():
    assert set(TABLE) == {(state, trigger) for state in State for trigger in TRIGGERS}


def test_an_emergency_stop_works_from_everywhere_and_only_clearing_ends_it():
    assert all(TABLE[state, Request.E_STOP] is State.E_STOP for state in State)
    assert {t for t in TRIGGERS if TABLE[State.E_STOP, t] is not State.E_STOP} == {Request.CLEAR}


def test_a_fault_ends_only_by_clearing_it_and_then_holds():
    assert {t for t in TRIGGERS if TABLE[State.FAULT, t] is not State.FAULT} == {Request.CLEAR, Request.E_STOP}
    assert TABLE[State.FAULT, Request.CLEAR] is State.HOLD and TABLE[State.E_STOP, Request.CLEAR] is State.HOLD


def test_holding_ends_only_when_somebody_resumes():
    leaving = {t for t in TRIGGERS if TABLE[State.HOLD, t] is not State.HOLD}
    assert leaving == {Request.RESUME, Condition.FAULT, Request.E_STOP}


def test_following_begins_only_through_the_ramp_or_after_a_warning():
    into = {
        (state, trigger)
        for (state, trigger), after in TABLE.items()
        if after is State.ACTIVE and state is not State.ACTIVE
    }
    assert into == {(State.RAMP_IN, Condition.RAMPED), (State.DEGRADED, Condition.NOMINAL)}
    assert TABLE[State.DEGRADED, Condition.RECOVERED] is State.RAMP_IN  # the ramp again


def test_a_fault_is_reached_from_every_state_that_can_move():
    assert all(TABLE[state, Condition.FAULT] is State.FAULT for state in State if state is not State.E_STOP)


def test_table_and_diagram_tell_the_same():
    assert markdown().count("\n| **") == len(State)
    edges = {(before, after) for (before, _), after in TABLE.items() if before is not after}
    assert mermaid().count("-->") == len(edges) + 1


def test_the_page_on_safety_shows_both():
    page = (ROOT / "doc" / "safety.md").read_text(encoding="utf-8")
    assert markdown().split("\n\n")[0] in page and mermaid() in page


def states_of(watched, decisions, observation=None) -> list[State]:
    return [watched.filter(decision, observation or at()).state for decision in decisions]


def test_it_begins_following_or_holds_until_resumed():
    assert states_of(supervisor(), [requested(1.0, 1.0)]) == [State.ACTIVE]
    waiting = supervisor("velocity", start="hold")
    assert states_of(waiting, [requested(1.0, 1.0)] * 3) == [State.HOLD] * 3
    assert waiting.filter(requested(1.0, 1.0), at()).u == pytest.approx([0.0, 0.0])
    assert waiting.request(Request.RESUME)
    assert states_of(waiting, [requested(1.0, 1.0)]) == [State.ACTIVE]


def test_an_effort_that_holds_comes_from_the_controller():
    watched = supervisor(start="hold")
    command = watched.filter(requested(8.0, -4.0), at())
    assert command.state is State.HOLD and command.u == pytest.approx([8.0, -4.0])


@pytest.mark.parametrize("interface", ("velocity", "position"))
def test_the_ramp_begins_and_ends_without_a_step(interface):
    watched = supervisor(interface, ramp_time=100 * DT, acceleration=1e6)
    watched.reset(at())
    commands = [watched.filter(requested(0.01, 0.01), at()) for _ in range(110)]
    u = np.array([command.u[0] for command in commands])
    assert [command.state for command in commands] == [State.RAMP_IN] * 99 + [State.ACTIVE] * 11
    assert u[-1] == pytest.approx(0.01)
    # a smooth step's steepest slope is 1.5 over its duration; a ramp from a position also follows itself
    assert np.abs(np.diff(u, prepend=0.0)).max() < 0.01 * (0.02 if interface == "velocity" else 0.06)


def test_failed_plans_are_borne_for_a_while_and_then_are_a_fault():
    watched = supervisor(max_failed_plans=3, safe_effort="zero")
    failed = [watched.filter(requested(1.0, 1.0, status=FAILED), at()) for _ in range(5)]
    assert [command.state for command in failed] == [State.DEGRADED] * 3 + [State.FAULT] * 2
    assert failed[2].u == pytest.approx([1.0, 1.0]) and failed[3].u == pytest.approx([0.0, 0.0])
    assert Reason.PLANNER in failed[3].reasons
    assert states_of(watched, [requested(1.0, 1.0)] * 100) == [State.FAULT] * 100  # nothing heals by itself
    assert watched.request(Request.CLEAR, at()) and watched.state is State.HOLD
    assert watched.request(Request.RESUME) and states_of(watched, [requested(1.0, 1.0)]) == [State.ACTIVE]


def test_requests_that_are_not_finite_and_errors_give_the_safe_command_at_once():
    watched = supervisor(safe_effort="zero", max_failed_plans=2)
    for command, reason in (
        (watched.filter(requested(np.nan, 1.0), at()), Reason.NOT_FINITE),
        (watched.failed(at()), Reason.CONTROLLER_ERROR),
    ):
        assert command.u == pytest.approx([0.0, 0.0]) and command.reasons == reason and command.state is State.DEGRADED
    assert watched.resuming
    assert watched.filter(requested(1.0, 1.0), at()).state is State.ACTIVE and not watched.resuming
    assert [watched.failed(at()).state for _ in range(3)] == [State.DEGRADED] * 2 + [State.FAULT]


def test_a_short_silence_ends_by_itself_through_the_ramp_a_long_one_does_not():
    watched = supervisor("velocity", ramp_time=10 * DT, stale_limit=0.5)
    states_of(watched, [requested(1.0, 1.0)] * 20)
    assert watched.stale(0.06).state is State.DEGRADED and watched.resuming
    assert states_of(watched, [requested(1.0, 1.0)]) == [State.RAMP_IN]
    states_of(watched, [requested(1.0, 1.0)] * 20)
    assert watched.stale(0.51).state is State.FAULT
    assert states_of(watched, [requested(1.0, 1.0)] * 5) == [State.FAULT] * 5


def test_a_warning_slows_down_until_there_was_none_for_a_while():
    watched = supervisor("velocity", degraded_speed=0.5, nominal_after=10 * DT, acceleration=1e6)
    watched.filter(requested(0.0, 0.0), at())
    warned = watched.filter(requested(3.0, 0.0), at(), Reason.FEATURES)
    assert warned.state is State.DEGRADED and Reason.FEATURES in warned.reasons
    assert warned.u[0] == pytest.approx(0.5 * 2.85)
    assert states_of(watched, [requested(3.0, 0.0)] * 10) == [State.DEGRADED] * 9 + [State.ACTIVE]
    assert watched.filter(requested(3.0, 0.0), at()).u[0] == pytest.approx(2.85)


def test_a_warning_while_degraded_begins_the_time_without_one_anew():
    watched = supervisor("velocity", nominal_after=10 * DT)
    watched.filter(requested(0.0, 0.0), at())
    watched.filter(requested(0.0, 0.0), at(), Reason.FEATURES)
    assert states_of(watched, [requested(0.0, 0.0)] * 9) == [State.DEGRADED] * 9
    assert watched.filter(requested(0.0, 0.0), at(), Reason.FEATURES).state is State.DEGRADED
    assert states_of(watched, [requested(0.0, 0.0)] * 10) == [State.DEGRADED] * 9 + [State.ACTIVE]


def test_a_command_that_stays_at_its_limit_is_a_warning():
    watched = supervisor(longest_saturation=10 * DT, command_rate=(1.0,))
    states = states_of(watched, [requested(20.0, 0.0)] * 15)
    assert states == [State.ACTIVE] * 11 + [State.DEGRADED] * 4


def test_a_joint_outside_its_limits_is_a_warning_and_much_too_fast_a_fault():
    watched = supervisor(overspeed=1.5)  # velocity limit 3
    assert watched.filter(requested(0.0, 0.0), at((2.6, 0.0))).state is State.DEGRADED
    assert watched.filter(requested(0.0, 0.0), at(qd=(0.0, -4.49))).state is State.DEGRADED
    assert watched.filter(requested(0.0, 0.0), at(qd=(0.0, -4.51))).state is State.DEGRADED  # one sample alone
    assert watched.filter(requested(0.0, 0.0), at(qd=(0.0, -4.49))).state is State.DEGRADED
    assert watched.filter(requested(0.0, 0.0), at(qd=(0.0, -4.51))).state is State.DEGRADED
    fault = watched.filter(requested(0.0, 0.0), at(qd=(0.0, -4.51)))
    assert fault.state is State.FAULT and Reason.OVERSPEED in fault.reasons
    assert not watched.request(Request.CLEAR, at(qd=(0.0, -4.51)))  # its cause lasts
    assert not watched.request(Request.CLEAR, None)  # nobody knows
    assert watched.request(Request.CLEAR, at()) and watched.state is State.HOLD


@pytest.mark.parametrize(
    "on_inconsistency, at_first, in_the_end",
    (
        ("ignore", State.ACTIVE, State.ACTIVE),
        ("degrade", State.DEGRADED, State.DEGRADED),
        ("hold", State.DEGRADED, State.DEGRADED),
    ),
)
def test_a_model_that_is_not_to_be_trusted(on_inconsistency, at_first, in_the_end):
    watched = supervisor(on_inconsistency=on_inconsistency, safe_effort="zero")
    watched.filter(requested(5.0, 5.0), at())
    assert watched.filter(requested(5.0, 5.0), at(), Reason.MODEL_INCONSISTENT).state is at_first
    lost = [
        watched.filter(requested(5.0, 5.0), at(), Reason.MODEL_INCONSISTENT | Reason.MODEL_LOST) for _ in range(100)
    ]
    assert {command.state for command in lost} == {in_the_end}  # learning may take its time: this is no fault
    assert lost[-1].u == pytest.approx([0.0, 0.0] if on_inconsistency == "hold" else [5.0, 5.0])
    if on_inconsistency == "hold":
        assert states_of(watched, [requested(5.0, 5.0)]) == [State.ACTIVE]  # through the ramp, which takes no time here


def test_requests_are_granted_as_the_table_says():
    watched = supervisor(start="hold")
    assert watched.request(Request.HOLD) and watched.request(Request.RESUME) and watched.state is State.RAMP_IN
    assert watched.request(Request.E_STOP) and watched.state is State.E_STOP and watched.cause == Reason.REQUESTED
    assert not watched.request(Request.RESUME) and not watched.request(Request.HOLD)
    assert watched.request(Request.CLEAR, at()) and watched.state is State.HOLD


def test_in_an_emergency_stop_only_the_safe_command_goes_out():
    watched = supervisor(safe_effort="zero")
    watched.filter(requested(5.0, 5.0), at())
    watched.request(Request.E_STOP)
    assert watched.filter(requested(5.0, 5.0), at()).u == pytest.approx([0.0, 0.0])
