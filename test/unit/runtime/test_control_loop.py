"""The control loop with a clock, a controller and outputs of plain Python: what goes out when, in which order."""

import dataclasses
import time
from collections import Counter

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.exceptions import ConfigurationError, DataError
from mbrl_ros.robots import load_robot
from mbrl_ros.runtime.conditions import SystemClock
from mbrl_ros.runtime.control_loop import ControlLoop
from mbrl_ros.runtime.event_log import Event
from mbrl_ros.runtime.feedback_player import FeedbackPlayer
from mbrl_ros.runtime.mailbox import Arrival, Mailbox
from mbrl_ros.runtime.scheduling import Lateness
from mbrl_ros.safety.state_machine import Reason, Request, State
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import FeatureFrame, Observation, Plan, PlanStatus
from support.control import WAIT, Echo, RecordingOutputs
from support.robots import planar_arm, planar_robot

DT = 0.01
DEFAULT = SupervisorSettings()


class StandingClock:
    """Stands at `time` [s] and remembers how long somebody wanted to wait."""

    def __init__(self):
        self.time, self.waits = 0.0, []

    def now(self):
        return self.time

    elapsed = now

    def age(self):
        return 0.0

    def stands(self):
        return False

    def sleep(self, seconds):
        self.waits.append(seconds)


@pytest.fixture
def make_loop():
    loops = []

    def make(*, settings=DEFAULT, interface="effort", robot=None, age=lambda: 0.0, clock=None, outputs=None, **options):
        robot = robot or planar_robot(interface=interface)
        supervisor, clock = Supervisor(robot, settings, DT), clock or SystemClock(age)
        outputs = outputs or RecordingOutputs()
        loop = ControlLoop(Echo(), supervisor, outputs, clock, dt=DT, timeout=0.05, **options)
        loops.append(loop)
        return loop

    yield make
    for loop in loops:
        loop.stop()


def arrival(stamp, value=0.0, effort=None, restarted=False):
    return Arrival(Observation(stamp, np.array([value, 0.0]), np.zeros(2)), 0.0, effort, restarted)


def test_lockstep_answers_every_state_once_in_order_command_first(make_loop):
    loop = make_loop(lockstep=True)
    loop.start()
    for k in range(5):
        loop.mailbox.put(arrival(1.0 + DT * k, 0.1 * k))
    loop.outputs.wait_for("tick", 5)
    assert [entry[0] for entry in loop.outputs.entries] == ["command", "tick"] * 5
    assert [stamp for stamp, _ in loop.outputs.of("command")] == pytest.approx([1.0 + DT * k for k in range(5)])
    assert [u[0] for _, u in loop.outputs.of("command")] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert loop.controller.resets == 1 and loop.statistics.missed == 0
    assert [stamp for stamp, _ in loop.controller.recorded] == [stamp for stamp, _ in loop.outputs.of("command")]


@pytest.mark.parametrize("lockstep", [False, True])
def test_a_command_leaves_the_same_time_after_its_state_every_tick(make_loop, lockstep):
    """However long the state was under way and computing took; but it is never kept back when it is late anyway."""
    clock = StandingClock()
    loop = make_loop(lockstep=lockstep, answer_after=0.3 * DT, clock=clock)
    loop.start()
    for k, (under_way, computed) in enumerate([(0.0, 0.1), (0.1, 0.15), (0.0, 0.3), (0.1, 0.5), (0.2, 0.25)]):
        clock.time = 7.0 + (k + computed) * DT
        loop.mailbox.put(dataclasses.replace(arrival(1.0 + k * DT), received=7.0 + (k + under_way) * DT))
        loop.outputs.wait_for("tick", k + 1)
    assert clock.waits == ([] if lockstep else pytest.approx([0.2 * DT, 0.15 * DT, 0.05 * DT], abs=1e-4))


def test_in_real_time_only_the_newest_waiting_state_counts():
    events = Counter()
    mailbox = Mailbox(DT, lockstep=False, player_period=None, events=events)
    mailbox.open()
    for k in range(5):
        mailbox.put(arrival(1.0 + DT * k, 0.1 * k, restarted=k == 2))
    newest = mailbox.take(lambda: WAIT)
    assert (
        newest.observation.q[0] == pytest.approx(0.4) and newest.restarted
    )  # what an overtaken state said stays known
    assert events["states overtaken"] == 4
    assert mailbox.take(lambda: 0.0) is None


def test_active_again_it_stays_where_the_robot_is_and_keeps_what_it_learned(make_loop):
    loop = make_loop(lockstep=True)
    for k in range(2):
        loop.mailbox.put(arrival(0.5 + k))  # while inactive only the newest state is kept
        loop.mailbox.put(arrival(1.0 + k, 0.3))
        loop.start()
        loop.outputs.wait_for("tick", k + 1)
        loop.stop()
    assert [step.stamp for step in loop.controller.steps] == [1.0, 2.0]
    assert loop.controller.resets == 1 and loop.controller.held == [2.0]
    assert [stamp for stamp, _ in loop.controller.resumed] == [2.0]


def test_a_robot_that_cannot_be_brought_to_rest_is_not_begun_with(make_loop):
    bare = load_robot(RobotSettings(), planar_arm(2).replace("<inertial>", "<!--").replace("</inertial>", "-->"))
    loop = make_loop(robot=bare)
    with pytest.raises(ConfigurationError, match="no usable <inertial>.*supervisor.safe_effort"):
        loop.start()
    loop.mailbox.put(arrival(1.0, 0.3))
    assert not loop.running and loop.outputs.entries == [] and loop.outputs.events == []
    loop = make_loop(robot=bare, settings=SupervisorSettings(safe_effort="damp"))
    loop.start()
    loop.mailbox.put(arrival(1.0, 0.3))
    loop.outputs.wait_for("tick", 1)


def test_what_the_controller_admits_is_what_the_supervisor_and_an_emergency_stop_see(make_loop):
    """The first joint is said to turn at 100 rad/s; the controller does not believe it."""
    loop = make_loop(lockstep=True, settings=SupervisorSettings(safe_effort="damp", damping=(2.0,), allow_sinking=True))
    loop.start()
    believed = np.array([0.5, 0.0])
    step = loop.controller.step
    loop.controller.step = lambda o: dataclasses.replace(step(o), admitted=dataclasses.replace(o, qd=believed))
    loop.mailbox.put(Arrival(Observation(1.0, np.zeros(2), np.array([100.0, 0.0])), 0.0, None, False))
    loop.outputs.wait_for("tick", 1)
    ((tick,),) = loop.outputs.of("tick")
    assert tick.command.state is State.ACTIVE and tick.observation.qd[0] == 100.0  # what was measured is published
    assert loop.request(Request.E_STOP)
    assert loop.outputs.of("command")[-1][1] == pytest.approx([-1.0, 0.0])


def test_nothing_goes_out_before_the_first_state(make_loop):
    loop = make_loop()
    loop.start()
    loop.stop()
    assert loop.outputs.entries == []


def test_the_last_act_is_the_safe_command(make_loop):
    loop = make_loop(lockstep=True, settings=SupervisorSettings(safe_effort="zero"))
    loop.mailbox.put(arrival(1.0, 0.3))
    loop.start()
    loop.outputs.wait_for("tick", 1)
    loop.stop()
    assert loop.outputs.of("command")[-1][1] == pytest.approx([0.0, 0.0])


def test_a_silent_robot_gets_the_safe_command_every_period_once_its_state_is_too_old(make_loop):
    begin = time.perf_counter()
    loop = make_loop(settings=SupervisorSettings(safe_effort="zero"), age=lambda: time.perf_counter() - begin)
    loop.start()
    loop.mailbox.put(arrival(1.0, 0.3))
    loop.outputs.wait_for("tick", 4)  # one answer, then safe commands
    ticks = [tick for (tick,) in loop.outputs.of("tick")]
    assert ticks[0].command.state is State.ACTIVE
    for tick in ticks[1:]:
        assert tick.decision is None and Reason.STALE_STATE in tick.command.reasons
        assert tick.command.u == pytest.approx([0.0, 0.0])
        assert tick.latency > 0.05  # the age: never before the time-out
    assert ticks[1].missed >= 1


@pytest.mark.parametrize("pause", (0.0, 1.0))
def test_a_robot_that_falls_silent_is_noticed_by_a_loop_that_is_late_or_was_paused(make_loop, pause):
    """Misses that come a little late are no pause; after one the robot has its time-out once more, not for ever."""

    class Clock(StandingClock):
        answered = 0.0  # when the state was answered

        def now(self):
            self.time += 0.8 * DT  # so much later whenever it is read
            return self.time

        elapsed = now

        def age(self):
            return self.time - self.answered

    class Outputs(RecordingOutputs):
        def command(self, stamp, u):
            super().command(stamp, u)
            if not clock.answered:
                clock.answered = clock.time

        def tick(self, tick):
            super().tick(tick)
            clock.time += pause  # between the answer and the first miss

    clock = Clock()
    loop = make_loop(clock=clock, outputs=Outputs())
    loop.start()
    loop.mailbox.put(arrival(1.0, 0.3))
    loop.outputs.wait_for("tick", 2)
    (stale,) = loop.outputs.of("tick")[1]
    assert Reason.STALE_STATE in stale.command.reasons
    assert 0.05 < stale.latency < 0.15  # the age, less the pause


@pytest.mark.parametrize("step", (0.03, 0.1, 0.3))
def test_a_silent_robot_gets_the_safe_command_however_coarse_the_time_is(make_loop, step):
    """Time goes on by so much [s] at once: what has passed between two looks is no pause of this process."""
    begin = time.perf_counter()

    def now():
        return step * ((time.perf_counter() - begin) // step)

    loop = make_loop(settings=SupervisorSettings(safe_effort="zero"), clock=SystemClock(now, now))
    loop.start()
    loop.mailbox.put(arrival(1.0, 0.3))
    loop.outputs.wait_for("tick", 4)
    assert all(tick.command.reasons & Reason.STALE_STATE for (tick,) in loop.outputs.of("tick")[1:])


def test_while_time_stands_a_position_is_held_and_a_velocity_brought_to_zero(make_loop):
    class Standing(StandingClock):
        def elapsed(self):
            return time.perf_counter()

        def stands(self):
            return bool(loop.outputs.of("tick"))

    for interface in ("velocity", "position"):
        loop = make_loop(interface=interface, clock=Standing())
        loop.controller.robot = planar_robot(interface=interface)
        loop.start()
        loop.mailbox.put(arrival(1.0, 0.3))
        loop.outputs.wait_for("command", 6)
        first, *others = (u for _, u in loop.outputs.of("command"))
        assert first == pytest.approx([0.3, 0.3] if interface == "position" else [0.0, 0.0], abs=0.3)
        for u in others:
            assert u == pytest.approx(first if interface == "position" else [0.0, 0.0])
        assert ("warning", "simulated time stands still or has not begun: no message on /clock") in loop.outputs.of(
            "log"
        )
        loop.stop()


def test_a_failing_controller_is_survived_and_reported_once(make_loop):
    loop = make_loop(lockstep=True)
    loop.controller.fail = True
    loop.start()
    for k in range(3):
        loop.mailbox.put(arrival(1.0 + DT * k))
    loop.outputs.wait_for("tick", 3)
    assert all(tick.command.reasons == Reason.CONTROLLER_ERROR for (tick,) in loop.outputs.of("tick"))
    assert len(loop.outputs.of("log")) == 1 and "a bug" in loop.outputs.of("log")[0][1]
    loop.controller.fail = False
    loop.mailbox.put(arrival(1.0 + DT * 3, 0.2))
    loop.outputs.wait_for("tick", 4)
    assert loop.outputs.of("tick")[-1][0].command.state is State.ACTIVE


def test_frames_wait_for_the_state_they_belong_to(make_loop):
    loop = make_loop(lockstep=True)
    for stamp in (0.99, 1.0, 1.02):
        loop.mailbox.put_frame(FeatureFrame(stamp, np.zeros(2), np.ones(1)))
    loop.start()
    for k in range(3):
        loop.mailbox.put(arrival(1.0 + DT * k))
    loop.outputs.wait_for("tick", 3)
    assert [[frame.stamp for frame in step.frames] for step in loop.controller.steps] == [[0.99, 1.0], [], [1.02]]


def test_on_a_new_time_line_the_controller_goes_on_with_the_command_in_effect(make_loop):
    loop = make_loop(lockstep=True)
    loop.start()
    loop.mailbox.put(arrival(100.0, 0.3))
    loop.mailbox.put(arrival(5.0, restarted=True))
    loop.outputs.wait_for("tick", 2)
    ((stamp, command),) = loop.controller.resumed
    assert loop.controller.resets == 1 and stamp == 5.0 and command == pytest.approx([0.3, 0.3])


def test_a_new_time_line_is_ramped_into_with_its_cause(make_loop):
    loop = make_loop(lockstep=True, interface="velocity", settings=SupervisorSettings(ramp_time=2 * DT))
    loop.start()
    for k in range(4):
        loop.mailbox.put(arrival(100.0 + DT * k))
    loop.mailbox.put(arrival(5.0, restarted=True))
    loop.outputs.wait_for("tick", 5)
    assert [tick.command.state for (tick,) in loop.outputs.of("tick")][-2:] == [State.ACTIVE, State.RAMP_IN]
    assert loop.supervisor.cause is Reason.CLOCK_JUMP


def test_in_shadow_the_measured_effort_is_what_acted(make_loop):
    loop = make_loop(lockstep=True, shadow=True)
    loop.start()
    loop.mailbox.put(arrival(1.0, 0.1, effort=np.array([7.0, 8.0])))
    loop.mailbox.put(arrival(1.0 + DT, 0.1))
    loop.outputs.wait_for("tick", 2)
    assert loop.controller.recorded[0][1] == pytest.approx([7.0, 8.0])
    assert loop.controller.recorded[1][1] == pytest.approx([0.1, 0.1])


def test_an_emergency_stop_acts_at_once(make_loop):
    loop = make_loop(lockstep=True, settings=SupervisorSettings(safe_effort="zero"))
    loop.mailbox.put(arrival(1.0, 0.3))
    loop.start()
    loop.outputs.wait_for("tick", 1)
    assert loop.request(Request.E_STOP)
    assert loop.outputs.of("command")[-1][1] == pytest.approx([0.0, 0.0])  # without waiting for a state
    loop.mailbox.put(arrival(1.0 + DT, 0.3))
    loop.outputs.wait_for("tick", 2)
    assert loop.outputs.of("command")[-1][1] == pytest.approx([0.0, 0.0])


def test_holding_makes_the_controller_stay(make_loop):
    loop = make_loop(lockstep=True)
    loop.mailbox.put(arrival(1.0, 0.3))
    loop.start()
    loop.outputs.wait_for("tick", 1)
    assert loop.request(Request.HOLD) and loop.controller.held == [1.0]
    assert loop.request(Request.HOLD) and loop.controller.held == [1.0]  # it holds already
    assert loop.request(Request.RESUME)


def test_what_is_done_between_commands_is_an_event_with_its_place_among_them(make_loop):
    loop = make_loop(lockstep=True)
    loop.start()
    for k in range(2):
        loop.mailbox.put(arrival(1.0 + DT * k))
        loop.outputs.wait_for("tick", k + 1)
    loop.request(Request.E_STOP)  # sends a command of its own
    loop.request(Request.HOLD)
    with pytest.raises(ZeroDivisionError):
        loop.between_commands("fail", lambda: 1 / 0)
    loop.mailbox.put(arrival(1.0 + DT * 2))
    loop.outputs.wait_for("tick", 3)
    loop.stop()
    events = loop.outputs.events
    assert [(event.name, event.after) for event in events] == [
        ("activate", 0),
        ("e_stop", 2),
        ("hold", 3),
        ("deactivate", 4),
    ]
    assert [tick.number for (tick,) in loop.outputs.of("tick")] == [1, 2, 4] and loop.commands_sent == 5
    assert [Event.from_json(event.to_json()) for event in events] == events
    assert Event.from_json('{"did": "hold", "after": 3, "targets": 1, "fresh": true}') == Event("hold", 3, 1)
    for text in ("", "[]", "{}", '{"name": "hold", "after": "?", "targets": 0, "fresh": true}'):
        with pytest.raises(DataError, match="not an entry of an event log"):
            Event.from_json(text)


def test_states_between_ticks_are_answered_by_the_player(make_loop):
    """A plan with u_hat = 1, 2, ... and gain -1: what the player says of a state depends on how far along it is."""
    player = FeedbackPlayer(2, DT, validity=5 * DT)
    loop = make_loop(lockstep=True, player=player, player_period=DT / 5)
    loop.controller.plan = Plan(
        np.zeros((4, 4)),
        np.outer([1.0, 2.0, 3.0], [1.0, 1.0]),
        np.broadcast_to(-np.eye(2, 4), (3, 2, 4)),
        np.zeros((3, 2, 2)),
        np.zeros((3, 2)),
        np.zeros((3, 2, 2)),
        0.0,
        PlanStatus.CONVERGED,
        1,
    )
    loop.start()
    for k in range(11):
        loop.mailbox.put(arrival(1.0 + DT / 5 * k, 0.1 * (k % 5 != 0)))
    loop.outputs.wait_for("tick", 3)
    commands = [u[0] for _, u in loop.outputs.of("command")]
    assert commands == pytest.approx([0.0, *[1.0 - 0.1] * 4] * 2 + [0.0])  # ticks echo the state, the player the plan
    stamps, recorded = zip(*loop.controller.recorded, strict=True)
    assert stamps == pytest.approx([1.0, 1.0 + DT])  # each period once, when it is over, with its average
    assert [command[0] for command in recorded] == pytest.approx([0.2 * (0.0 + 4 * 0.9)] * 2)


def test_without_a_valid_plan_states_between_ticks_keep_the_command_in_lockstep(make_loop):
    loop = make_loop(lockstep=True, player=FeedbackPlayer(2, DT, validity=5 * DT), player_period=DT / 2)
    loop.start()
    for k in range(4):
        loop.mailbox.put(arrival(1.0 + DT / 2 * k, 0.1 * k))
    loop.outputs.wait_for("command", 4)
    assert [u[0] for _, u in loop.outputs.of("command")] == pytest.approx([0.0, 0.0, 0.2, 0.2])


def test_a_motion_is_stopped_without_a_change_of_state_also_where_no_state_is_recent(make_loop):
    """It is an event, unless another target has come meanwhile: then nothing is done."""
    ages = [0.0]
    loop = make_loop(age=lambda: ages[0])
    assert loop.stop_motion() and loop.controller.held == []  # no state has come
    loop.start()
    loop.mailbox.put(arrival(1.0))
    loop.outputs.wait_for("tick", 1)
    loop.controller.targets_accepted = 3
    loop.outputs.events.clear()
    assert not loop.stop_motion(2)
    assert loop.outputs.events == [] and loop.controller.held == []
    state = loop.supervisor.state
    assert loop.stop_motion(3) and loop.supervisor.state is state
    ages[0] = 10.0
    assert loop.stop_motion()
    assert loop.controller.held == [1.0, 1.0]
    assert [(event.name, event.fresh) for event in loop.outputs.events] == [
        ("stop_motion", True),
        ("stop_motion", False),
    ]


def test_a_command_that_needed_longer_than_a_period_counts_for_the_next_one():
    """The fastest answer seen is on time; what is a period slower acted a period later."""
    lateness = Lateness(0.005)
    # states arrive 0.1 s after their stamps at best; answers are sent 1 ms after the arrival
    assert lateness.periods(1.000, 1.100, 1.101) == pytest.approx(0.2)
    assert lateness.periods(1.005, 1.105, 1.106) == pytest.approx(0.2, abs=1e-3)
    assert lateness.periods(1.010, 1.110, 1.1162) == pytest.approx(1.24, abs=1e-3)  # computed for 6.2 ms
    assert lateness.periods(1.015, 1.1195, 1.1205) == pytest.approx(
        1.1, abs=1e-3
    )  # arrived 4.5 ms late, 1 ms to answer
    assert lateness.periods(1.020, 1.120, 1.121) == pytest.approx(0.2, abs=2e-3)
