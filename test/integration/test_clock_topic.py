"""mpc_node with use_sim_time: /clock slow, fast, paused, set back, lost and late; stamps that leap in mid-motion."""

import time

import numpy as np
import pytest

from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.references.segments import Waypoints
from support.needs import needs, present
from support.simulated_arm import ACCELERATION, AWAY, GIVE_UP, SILENT, SimulatedArm, simulated_arm

if present("rclpy"):
    from mbrl_ros.nodes.status import read_status

pytestmark = needs("rclpy")
LATE = 1e3 * SupervisorSettings().late_warning  # [ms] from which on the node says that it is late


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A running node, and what an undisturbed motion needs: (arm, (speed, acceleration))."""
    with simulated_arm(tmp_path_factory.mktemp("arm")) as arm:
        arm.begin()
        arm.settle()
        begin = moving(arm, 0.5)
        arm.run(3.5)
        assert at(arm, AWAY) and arm.interruptions == []
        yield arm, arm.highest(begin)


@pytest.fixture
def arm(running) -> SimulatedArm:
    running[0].settle()
    return running[0]


@pytest.fixture
def most(running) -> tuple[float, float]:
    """The largest speed and acceleration of a motion that may be disturbed."""
    speed, acceleration = running[1]
    return 1.05 * speed, 1.2 * max(acceleration, ACCELERATION)


def moving(arm: SimulatedArm, seconds: float, **how) -> int:
    """Let the arm move towards AWAY for some seconds; return the period in which it began."""
    begin = len(arm.speeds)
    arm.target(AWAY)
    arm.run(seconds, **how)
    return begin


def at(arm: SimulatedArm, q) -> bool:
    return bool(np.abs(arm.q - q).max() < 0.02)


def within(arm: SimulatedArm, begin: int, most: tuple[float, float]) -> bool:
    speed, acceleration = arm.highest(begin)
    print(f"speed {speed:.3f} of {most[0]:.3f}, acceleration {acceleration:.2f} of {most[1]:.2f}")
    return speed <= most[0] and acceleration <= most[1]


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("clock", [-10, 1, 10], ids=["10 Hz", "100 Hz", "1 kHz"])
def test_at_every_rate_of_the_clock_each_state_is_answered_and_no_tick_is_missed(arm, most, clock):
    arm.peer.heard["/mpc_node/status"].clear()
    begin = moving(arm, 4.0, clock=clock)
    assert within(arm, begin, most) and at(arm, AWAY)
    assert arm.answered == arm.sent == 400 and arm.interruptions == []
    assert not any("STALE" in told or "CLOCK" in told or "LATE" in told for told in arm.states_told), arm.states_told
    missed = [read_status(message)["missed"] for message in arm.peer.heard["/mpc_node/status"]]
    assert len(missed) > 300 and missed[-1] == missed[0]


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("leap", [0.4, 5.0])
def test_a_leap_ahead_in_mid_motion_begins_anew_where_the_robot_is(arm, most, leap):
    begin = moving(arm, 0.5)
    arm.time += leap
    arm.run(4.0)
    assert within(arm, begin, most) and at(arm, AWAY)
    assert arm.interruptions == ["CLOCK_JUMP"] and arm.state == "ACTIVE"


def test_a_reset_begins_anew_where_the_robot_is(arm, most):
    moving(arm, 0.5)
    arm.time, arm.q, arm.qd = 0.0, np.array([0.1, 0.1]), np.zeros(2)
    before = arm.answered
    for _ in range(100):  # how many states the node needs until it believes them is not judged here
        arm.run(0.01, patience=GIVE_UP)
        if arm.answered >= before + 5:
            break
    begin, taken_up = len(arm.speeds), arm.answered
    arm.run(4.0)
    assert arm.answered == taken_up + 400 and arm.state == "ACTIVE"
    assert arm.interruptions == ["CLOCK_JUMP"]
    assert within(arm, begin + 20, most) and at(arm, AWAY)  # the command was that of the motion, and the arm at rest


@pytest.mark.slow
@pytest.mark.realtime  # without states a period lasts as long as by the wall clock
def test_after_a_reset_without_states_the_arm_brakes_and_waits_for_clear(arm, most):
    moving(arm, 0.5)
    speed = np.abs(arm.qd).max()
    begin, arm.time = len(arm.speeds), 0.0
    for _ in range(100):
        arm.run(0.1, states=False)
        if arm.state == "FAULT":
            break
    assert np.abs(arm.qd).max() < 0.01 < 1.0 < speed
    assert within(arm, begin, most)
    arm.peer.until(lambda: "/clock was set back, and no joint state has come since" in arm.node.output, "the line")
    arm.run(0.5, patience=GIVE_UP)
    assert arm.state == "FAULT" and np.abs(arm.commands[-1]).max() == 0.0


@pytest.mark.slow
def test_while_the_clock_stands_the_safe_command_goes_out_and_then_the_motion_goes_on(arm, most):
    begin = moving(arm, 0.5)
    arm.wait(SILENT)
    assert np.abs(arm.command).max() == 0.0
    arm.peer.until(lambda: "simulated time stands still" in arm.node.output, "the line")
    arm.run(5.0)
    assert arm.highest(begin)[0] <= most[0] and at(arm, AWAY) and arm.state == "ACTIVE"
    assert not any(told.startswith("4") for told in arm.states_told)


@pytest.mark.slow(but=1)
@pytest.mark.realtime  # the arm waits in motion: on a busy machine for longer than the node without a state
@pytest.mark.parametrize("clock", [1, 10], ids=["100 Hz", "1 kHz"])
def test_where_the_clock_ends_and_states_go_on_their_stamps_are_the_time(arm, most, clock):
    begin = moving(arm, 0.5, clock=clock)
    arm.run(0.5, clock=0)
    end = time.monotonic() + SILENT  # of the wall clock: the node has surely found that /clock is silent
    while "no message on /clock: time goes on" not in arm.node.output and time.monotonic() < end:
        arm.run(0.1, clock=0)
        arm.wait(0.1)
    arm.run(3.0, clock=0)
    arm.peer.until(lambda: "no message on /clock: time goes on" in arm.node.output, "the line")
    assert within(arm, begin, most) and at(arm, AWAY)
    arm.run(1.0, clock=clock)
    assert at(arm, AWAY) and arm.state == "ACTIVE"
    assert not any(told.startswith("4") for told in arm.states_told)
    arm.time += 5.0  # with the clock it is a leap, which the clock is there to tell
    arm.run(0.5)
    assert arm.interruptions[-1:] == ["CLOCK_JUMP"] and arm.state == "ACTIVE"


@pytest.mark.slow
def test_an_arm_moved_by_efforts_is_held_where_the_clock_ends_in_motion(tmp_path):
    with simulated_arm(tmp_path, "effort") as arm:
        arm.begin()
        moving(arm, 0.5)
        arm.run(4.0, clock=0)
        assert at(arm, AWAY) and arm.state == "ACTIVE"
        arm.run(1.0, clock=0)
        assert at(arm, AWAY) and np.abs(arm.qd).max() < 0.02
        arm.run(1.0)
        assert at(arm, AWAY) and arm.state == "ACTIVE"


@pytest.mark.slow
def test_no_clock_at_all_is_a_line_in_the_log_and_in_the_diagnostics(tmp_path):
    with simulated_arm(tmp_path) as arm:
        for _ in range(5):
            arm.run(0.02, clock=0, patience=GIVE_UP)
            arm.wait(0.2)
        arm.peer.until(lambda: "no message on /clock" in arm.node.output, "the line")
        arm.peer.until(lambda: int(arm.diagnosis("joint_states").get("rejected: no clock", 0)) > 0, "the diagnostics")
        assert arm.peer.heard["/commands"] == []
        arm.begin()
        assert arm.diagnosis("joint_states")["clock"] == "ros"
        arm.peer.until(lambda: "/clock is back" in arm.node.output, "the line")
        begin = moving(arm, 4.0)
        assert at(arm, AWAY) and arm.answered >= 400 and begin


@pytest.mark.slow(but=1)
@pytest.mark.realtime
@pytest.mark.parametrize("interface", ["velocity", "effort"])
def test_simulated_time_may_count_from_1970(tmp_path, interface):
    with simulated_arm(tmp_path, interface, begin=1.7e9) as arm:
        arm.begin()
        moving(arm, 5.0)
        assert at(arm, AWAY) and arm.state == "ACTIVE" and arm.interruptions == []
        values = arm.diagnosis("control loop")
        assert float(values["age of the acting command beyond the delay [ms]"]) < LATE


@pytest.mark.slow
def test_a_recorded_run_with_leaps_and_a_pause_replays_to_the_last_bit(tmp_path):
    from mbrl_ros.replay import ReplayOptions, replay

    bag = tmp_path / "bag"
    with simulated_arm(tmp_path, recorded=bag) as arm:
        arm.begin()
        moving(arm, 0.5)
        arm.time += 5.0
        arm.run(0.5, clock=-10)
        arm.run(0.3, clock=0)
        arm.run(0.3, clock=0, states=False)
        arm.wait(SILENT)
        arm.run(0.5, clock=10)
        arm.time = 20.0
        arm.run(0.4, patience=GIVE_UP)
        arm.run(2.0)
        assert arm.interruptions[:1] == ["CLOCK_JUMP"] and arm.state == "ACTIVE"
        arm.end_in_order()
    made = [replay(ReplayOptions(bag)).summary for _ in range(2)]
    assert made[0]["commands_sha256"] == made[1]["commands_sha256"]
    difference = made[0]["difference"]
    assert difference["identical"] == difference["compared"] >= 370


@pytest.mark.slow
def test_a_recorded_run_with_trajectories_of_500_points_replays_to_the_last_bit(tmp_path):
    """Their motions are made in another thread: when they begin depends on the machine, and is an event."""
    from mbrl_ros.replay import ReplayOptions, replay

    bag = tmp_path / "bag"
    with simulated_arm(tmp_path, recorded=bag) as arm:
        arm.begin()
        for sign in (1.0, -1.0):
            times = np.linspace(0.5, 4.0, 500)
            share = np.clip(times / 4.0, 0.0, 1.0)[:, None]
            way = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
            speed = 30.0 * share**2 * (1.0 - share) ** 2 / 4.0
            arm.trajectory(Waypoints.of(times, arm.q + sign * way * (0.8, -0.5), sign * speed * (0.8, -0.5)))
            goal = arm.q + sign * np.array([0.8, -0.5])
            arm.run(3.0 if sign > 0.0 else 8.0)  # the second one is joined in motion
        assert at(arm, goal), (arm.q, goal, arm.node.output)
        assert [event["name"] for event in arm.events].count("trajectory") == 2
        arm.end_in_order()
    made = [replay(ReplayOptions(bag)).summary for _ in range(2)]
    assert made[0]["commands_sha256"] == made[1]["commands_sha256"]
    difference = made[0]["difference"]
    assert difference["identical"] == difference["compared"] >= 1000
