"""Which command goes out: mpc_node's, unchanged, or the safe one, and how the arm is handed over without a step."""

import numpy as np
import pytest

from mbrl_ros.guard.guard import Guard
from mbrl_ros.guard.messages import Mode
from mbrl_ros.guard.settings import GuardSettings
from support.guards import ANGLE, PERIOD, Side, forwarding, joint_state, moving, parameters

INTERFACES = ("effort", "velocity", "position")


def play(side: Side, seconds: float, inertia: float = 0.1) -> None:
    """The arm obeys the guard, mpc_node is silent: a double integrator, or drives that follow."""
    q, qd = np.array(side.guard.states.newest(side.now).q), np.array(side.guard.states.newest(side.now).qd)
    end = side.now + seconds
    while side.now < end:
        side.wait(side.now + PERIOD)
        u = side.out[-1][1]
        if side.told.interface == "effort":
            qd = qd + PERIOD * u / inertia
            q = q + PERIOD * qd
        elif side.told.interface == "velocity":
            q, qd = q + PERIOD * u, u
        else:
            q, qd = u, (u - q) / PERIOD
        side.state(q, qd)


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_guard_begins_only_where_it_is_connected_with_the_robot_as_mpc_node_is(interface):
    side, connected = Side(parameters(2, interface, readers=2)), 1
    side.guard.handover.readers = lambda: connected
    u = np.full(2, ANGLE if interface == "position" else 0.0)
    side.state(np.full(2, ANGLE), np.zeros(2))
    for _ in range(50):
        assert not side.send(u)
        side.wait(side.now + PERIOD)
    status = side.guard.status(side.now)
    assert status.state is Mode.WAITING.value and "connected with 1 of 2 readers" in status.cause
    connected = 2
    assert side.send(u) and side.guard.status(side.now).cause == "commands of /mpc_node"
    connected = 1  # a reader that ends later is no reason to stop
    side.wait(side.now + PERIOD)
    assert side.send(u)


@pytest.mark.parametrize("interface", INTERFACES)
def test_good_commands_go_out_unchanged_and_bad_ones_do_not(interface):
    side = forwarding(interface)
    rng, bad = np.random.default_rng(0), 0
    wrong = (np.array([np.nan, 0.0]), np.array([0.0, np.inf]), np.array([1e9, 0.0]), np.zeros(3), np.zeros(0))
    for k in range(200):
        u = rng.uniform(-1.0, 1.0, 2)
        assert side.send(u) and side.guard.mode is Mode.FORWARDING
        np.testing.assert_array_equal(side.out[-1][1], u)
        if k % 3 == 0:
            assert not side.send(wrong[k % len(wrong)])
            bad += 1
        side.wait(side.now + PERIOD)
    assert sum(side.guard.refused.values()) == bad == side.guard.status(side.now).refused
    assert not len(side.commands(own=True))


def test_a_command_out_of_reach_of_the_last_one_is_refused():
    side = Side(parameters(1, "velocity", largest_step=np.array([0.1])))
    side.begin(np.zeros(1))
    assert side.send(0.1) and not side.send(0.25) and side.send(0.2)


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("rate", (50.0, 100.0, 200.0, 500.0))
def test_the_safe_command_comes_in_time_and_then_every_period(interface, rate):
    side = Side(parameters(2, interface, period=1.0 / rate))
    for _ in range(30):
        side.send(np.zeros(2))
        side.wait(side.now + 1.0 / rate)
    assert side.guard.mode is Mode.FORWARDING
    last = side.out[-1][0]
    side.wait(last + 1.0)
    times = np.array([at for at, _, own in side.out if own])
    assert 2.0 / rate < times[0] - last <= max(3.0 / rate, 0.02)
    np.testing.assert_allclose(np.diff(times), 1.0 / rate, rtol=0.05)
    assert side.guard.mode is Mode.ACTING and "no command" in side.guard.cause


def test_commands_without_a_heartbeat_are_not_enough():
    side = forwarding("velocity")
    for _ in range(100):
        side.guard.take_command([0.0, 0.0], f"{side.now}", side.now)
        side.wait(side.now + PERIOD)
    assert side.guard.mode is Mode.ACTING and "heartbeat" in side.guard.cause


def test_bad_commands_count_as_missing():
    side = forwarding("velocity")
    for _ in range(20):
        side.send(np.array([np.nan, 0.0]))
        side.wait(side.now + PERIOD)
    assert side.guard.mode is Mode.ACTING


@pytest.mark.parametrize("interface", INTERFACES)
def test_an_arm_in_motion_rests_in_time_and_near(interface):
    side = moving(interface)
    start, speed = side.guard.states.newest(side.now).q, 1.0
    play(side, 0.02 + speed / 7.5 + 0.1)
    state = side.guard.states.newest(side.now)
    assert np.abs(state.qd).max() < (0.1 if interface == "effort" else 1e-9)
    # braking distance, and 20 ms until the guard acts
    assert np.abs(state.q - start).max() <= speed**2 / 15.0 + 0.02 * speed + 0.03
    play(side, 1.0)
    assert np.abs(side.guard.states.newest(side.now).qd).max() < 1e-3 and side.guard.at_rest


@pytest.mark.parametrize("interface", INTERFACES)
def test_handover_needs_rest_knowledge_and_good_commands_in_a_row(interface):
    side = moving(interface)
    side.knows = False
    play(side, 1.0)
    held = side.guard.carrying

    def offer(u, count, every=PERIOD):
        for _ in range(count):
            side.state(side.guard.states.newest(side.now).q, np.zeros(2))
            if side.send(u):
                return True
            side.wait(side.now + every)
        return False

    assert not offer(held, 50)  # it does not know of the intervention
    side.knows = True
    assert not offer(held + 0.9 * side.told.largest_step, 50)  # a step
    assert not offer(held, 50, every=5.0 * PERIOD)  # too seldom
    before = len(side.commands(own=False))
    assert offer(held, 12) and side.guard.mode is Mode.FORWARDING
    assert len(side.commands(own=False)) == before + 1
    last_two = [u for _, u, _ in side.out[-2:]]
    np.testing.assert_allclose(last_two[1], last_two[0], atol=0.5 if interface == "effort" else 1e-3)


def test_no_handover_while_the_arm_still_brakes():
    side = moving("velocity", speed=2.0)
    side.wait(side.now + 0.03)
    assert side.guard.mode is Mode.ACTING and not side.guard.at_rest
    while not side.guard.at_rest:
        assert not side.send(side.out[-1][1])
        side.wait(side.now + PERIOD)
    assert side.guard.mode is Mode.ACTING


def test_an_emergency_stop_needs_clear_and_resume():
    side = moving("velocity")
    guard = side.guard
    assert guard.request("e_stop", side.now)[0] and guard.mode is Mode.E_STOP
    side.wait(side.now + PERIOD)
    assert side.out[-1][2] and (side.out[-1][1] < 1.0).all()
    for name in ("resume", "hold"):
        granted, text = guard.request(name, side.now)
        assert not granted and "~/clear" in text
    for _ in range(100):
        assert not side.send(np.zeros(2))
        side.wait(side.now + PERIOD)
    assert not side.out[-1][1].any()
    assert guard.request("clear", side.now)[0] and guard.mode is Mode.HOLD
    for _ in range(50):
        assert not side.send(np.zeros(2))
        side.wait(side.now + PERIOD)
    assert guard.request("resume", side.now)[0]
    side.begin(np.zeros(2))
    assert guard.mode is Mode.FORWARDING


@pytest.mark.parametrize("name", ("e_stop", "hold"))
def test_before_the_first_command_nothing_goes_out_but_nothing_gets_through_either(name):
    side = Side(parameters(2, "velocity"))
    assert side.guard.request(name, side.now)[0]
    for _ in range(100):
        assert not side.send(np.zeros(2))
        side.wait(side.now + PERIOD)
    assert side.out == []
    if name == "e_stop":
        side.guard.request("clear", side.now)
    side.guard.request("resume", side.now)
    side.begin(np.zeros(2))
    assert side.guard.mode is Mode.FORWARDING


def test_a_repeated_command_keeps_the_speed_of_the_others():
    """mpc_node repeats its last command while a state is late: the arm still moves, and must not stop at once."""
    side = moving("position")
    label = side.guard._last_label
    side.send(side.out[-1][1], label=label)
    side.wait(side.now + 0.03)
    first = side.commands(own=True)[0] - side.commands(own=False)[-1]
    assert (first > 0.7 * PERIOD).all()


def test_parameters_of_a_second_node_or_another_robot_are_refused():
    side = forwarding("velocity")
    assert "two nodes" in side.beat(source="/other")
    assert side.beat() == ""
    side.k -= 1
    assert "repeated" in side.beat()
    side.now += 10.0
    assert "another robot" in side.beat(joints=("joint2", "joint1"))


def test_an_mpc_node_that_was_started_again_is_interrupted():
    side = moving("velocity")
    side.k = 0
    assert side.beat() == "" and side.guard.mode is Mode.ACTING and "started again" in side.guard.cause


def test_its_own_end_brings_the_arm_to_rest():
    side = moving("velocity")
    side.guard.end(side.now)
    assert not side.guard.at_rest
    side.wait(side.now + 0.3)
    assert side.guard.at_rest and not side.guard.carrying.any()


def test_without_states_an_effort_is_carried_and_not_handed_over():
    side = moving("effort")
    side.told = parameters(2, "effort", mean=np.full(2, 2.0))
    for _ in range(15):  # longer than the states' time-out
        side.send(np.full(2, 3.0))
        side.wait(side.now + PERIOD)
    side.wait(side.now + 1.0)
    np.testing.assert_array_equal(side.commands(own=True), np.full((len(side.commands(own=True)), 2), 2.0))
    for _ in range(30):
        assert not side.send(np.full(2, 2.0))
        side.wait(side.now + PERIOD)


# --- joint states -----------------------------------------------------------------------------------------------------


def newest(*messages, told=None, apart=PERIOD):
    """(q, qd) or None of the newest state, and the reasons of refusals, after messages that come a period apart."""
    guard, now = Guard(GuardSettings(), lambda message: message), 0.0
    guard.take_parameters(told or parameters(2), 0.0)
    for message in messages:
        now += apart
        guard.states.put(message, now)
        guard.states.newest(now)
    state = guard.states.newest(now)
    return (None if state is None else (state.q.tolist(), state.qd.tolist())), dict(guard.states.refused)


def test_joints_are_found_by_name_and_others_left_alone():
    message = joint_state([3.0, 2.0, 1.0], [0.3, 0.2, 0.1], 1.0, names=["gripper", "joint2", "joint1"])
    assert newest(message) == (([1.0, 2.0], [0.1, 0.2]), {})


@pytest.mark.parametrize(
    "second, reason",
    (
        (joint_state([0.1, 0.1], [0.0, 0.0], 1.0), "not newer"),
        (joint_state([0.1, 0.1], [0.0, 0.0], 0.9), "not newer"),
        (joint_state([np.nan, 0.1], [0.0, 0.0], 1.005), "not finite"),
        (joint_state([0.1], [0.0], 1.005), "joints missing"),
        (joint_state([1.1, 0.1], [0.0, 0.0], 1.005), "positions leap"),
        (joint_state([0.1, 0.1], [0.0, 0.0], 1.005, names=["joint1", "joint2", "joint3"]), "positions missing"),
        (object(), "unreadable"),
    ),
)
def test_a_bad_state_leaves_the_good_one(second, reason):
    state, refused = newest(joint_state([0.1, 0.1], [0.0, 0.0], 1.0), second)
    assert state == ([0.1, 0.1], [0.0, 0.0]) and refused == {reason: 1}


def test_after_the_time_out_a_new_time_line_is_taken():
    state, refused = newest(
        joint_state([0.1, 0.1], [0.0, 0.0], 100.0), joint_state([2.0, 2.0], [0.0, 0.0], 1.0), apart=0.06
    )
    assert state == ([2.0, 2.0], [0.0, 0.0]) and refused == {}


def test_old_states_are_none():
    guard = Guard(GuardSettings(), lambda message: message)
    guard.take_parameters(parameters(2), 0.0)
    guard.states.put(joint_state([0.1, 0.1], [0.0, 0.0], 1.0), 0.0)
    assert guard.states.newest(0.049) is not None and guard.states.newest(0.051) is None


@pytest.mark.parametrize("given", (None, [50.0, 1.0]))
def test_a_velocity_that_is_missing_or_impossible_is_the_slope_of_the_positions(given):
    messages = [
        joint_state([0.1 + 0.01 * k, 0.2 + 0.005 * k], given if k == 5 else [2.0, 1.0], 1.0 + PERIOD * k)
        for k in range(6)
    ]
    (_, qd), refused = newest(*messages)
    np.testing.assert_allclose(qd, [2.0, 1.0], rtol=1e-6)
    assert refused == {}


def test_a_continuous_joint_that_wraps_does_not_leap():
    told = parameters(1, position_lower=np.array([-np.inf]), position_upper=np.array([np.inf]))
    messages = [
        joint_state([(3.13 + 0.01 * k + np.pi) % (2.0 * np.pi) - np.pi], [2.0], 1.0 + PERIOD * k) for k in range(5)
    ]
    (q, _), refused = newest(*messages, told=told)
    assert q == pytest.approx([3.17]) and refused == {}


# --- joints that come in several messages -----------------------------------------------------------------------------


def part(joint: int, q: float, qd: float | None, stamp: float):
    """The state of one joint alone."""
    return joint_state([q], None if qd is None else [qd], stamp, names=[f"joint{joint}"])


def test_joints_of_several_messages_are_put_together():
    """Each with its own age: the older one is continued with its velocity."""
    state, _ = newest(part(1, 0.1, 2.0, 1.0), part(2, 0.2, 1.0, 1.002), apart=0.001)
    np.testing.assert_allclose(state, ([0.1 + 0.002 * 2.0, 0.2], [2.0, 1.0]))


def test_a_state_of_parts_waits_for_every_joint_again():
    messages = [part(1, 0.1, 0.0, 1.0), part(2, 0.2, 0.0, 1.0), part(1, 0.11, 0.0, 1.005), part(1, 0.12, 0.0, 1.01)]
    assert newest(*messages, apart=0.002)[0] == ([0.1, 0.2], [0.0, 0.0])
    assert newest(*messages, part(2, 0.21, 0.0, 1.01), apart=0.002)[0] == ([0.12, 0.21], [0.0, 0.0])


def test_a_joint_that_stays_away_is_counted_and_its_state_not_used():
    messages = [part(1, 0.1, 0.0, 1.0), part(2, 0.2, 0.0, 1.0)]
    silent = [part(1, 0.1, 0.0, 1.0 + PERIOD * (k - 0.5)) for k in range(1, 30)]
    state, refused = newest(*messages, *silent)
    # the first message of all, and those after the time-out of 50 ms
    assert state is None and refused == {"joints missing": 1 + 19}


def test_a_velocity_that_a_part_lacks_is_the_slope_of_the_positions():
    messages = [
        message
        for k in range(6)
        for message in (part(1, 0.1 + 0.01 * k, None, 1.0 + PERIOD * k), part(2, 0.2, 0.5, 1.0 + PERIOD * k))
    ]
    (_, qd), refused = newest(*messages, apart=0.5 * PERIOD)
    np.testing.assert_allclose(qd, [2.0, 0.5], rtol=1e-6)
    assert refused == {"joints missing": 1}


def test_a_repeated_part_and_one_of_an_earlier_time_are_no_news():
    begin = [part(1, 0.1, 0.0, 1.0), part(2, 0.2, 0.0, 1.0)]
    state, refused = newest(*begin, part(1, 0.3, 0.0, 1.0), apart=0.001)
    assert state == ([0.1, 0.2], [0.0, 0.0]) and refused["not newer"] == 1
    state, refused = newest(*begin, part(1, 0.3, 0.0, 0.5), part(2, 0.3, 0.0, 0.5), apart=0.001)
    assert state == ([0.1, 0.2], [0.0, 0.0]) and refused["not newer"] == 1
    state, _ = newest(*begin, part(1, 0.3, 0.0, 0.5), part(2, 0.3, 0.0, 0.5), apart=0.06)
    assert state == ([0.3, 0.3], [0.0, 0.0])  # the robot's clock begins anew


@pytest.mark.parametrize("split", (False, True))
def test_an_effort_brakes_and_holds_an_arm_whose_joints_come_in_several_messages(split):
    """As it does where one message holds every joint: nothing goes out open loop."""
    side = Side(parameters(2), missing_time=0.015)
    side.begin(np.zeros(2))
    q, qd, last = np.array([0.3, -0.2]), np.array([1.0, -0.5]), np.zeros(2)
    speeds = []
    for _ in range(100):
        side.now += 1e-4
        for k in range(2) if split else (None,):
            stamp = side.now + (0.0 if k is None else 5e-4 * k)
            message = joint_state(q, qd, stamp) if k is None else part(k + 1, q[k], qd[k], stamp)
            side.guard.states.put(message, side.now)
        side.wait(side.now + PERIOD)
        if side.out:
            last = side.out[-1][1]
        qd = qd + PERIOD * last / 0.1
        q = q + PERIOD * qd
        speeds.append(np.abs(qd).max())
    assert side.guard.mode is Mode.ACTING and speeds[0] > 0.9
    assert max(speeds[-20:]) < 0.02 and side.guard.at_rest
    assert dict(side.guard.states.refused) in ({}, {"joints missing": 1})
