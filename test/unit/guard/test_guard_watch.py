"""What mpc_node concludes from its guard: who commands the arm, when it begins again, and that the guard is lost."""

import time

import numpy as np
import pytest

from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.guard.messages import GuardStatus, Mode, Time
from mbrl_ros.nodes.guard_watch import LOST_TIME, SILENT_TIME, START_TIME, GuardWatch
from mbrl_ros.runtime.conditions import SystemClock
from mbrl_ros.runtime.control_loop import ControlLoop
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.safety.safe_command import SafeCommand
from mbrl_ros.safety.state_machine import Guard, Reason, Request, State
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Decision, DecisionStatus, Observation
from support.control import Echo, RecordingOutputs
from support.robots import planar_robot

DT = 0.005
U = np.array([0.5, -0.5])


def status_of(mode, epoch=7, at_rest=True, lasted=0.0, u=None) -> GuardStatus:
    return GuardStatus(mode.name, "", "/mpc_node", int(mode), epoch, at_rest, lasted, 0, 0, 0, 0, u)


class Rig:
    """A GuardWatch, what it does, and the time."""

    def __init__(self, measure=Time.WALL):
        self.did, self.now = [], 100.0
        self.watch = GuardWatch(
            DT,
            0.5,
            np.array([2.0, 2.0]),
            override=lambda guard, command: self.did.append((guard, None if command is None else command.tolist())),
            request=self.did.append,
            time=measure,
        )
        self.watch.begin()

    def tell(self, mode, epoch=7, *, at_rest=True, lasted=0.0, u=U):
        """A status of the guard; return what follows from it."""
        before = len(self.did)
        self.watch.take_status(status_of(mode, epoch, at_rest, lasted, u), self.now)
        return self.did[before:]

    def tick(self, count=1, heard=True, label=None):
        """Own ticks, each with a command of the guard; return whether it was lost.

        Commands past the guard come as well. `label`: of the guard's commands.
        """
        lost = False
        for _ in range(count):
            self.now += DT
            self.watch.before_tick(self.now)
            past = self.watch.past_guard
            if past:
                self.watch.heard(self.now, "1.0")
                assert self.watch.past_guard
            if heard:
                self.watch.heard(self.now, label or ("1.0 past guard" if past else "1.0"))
            lost |= self.watch.after_tick(self.now)
        return lost

    def forwarding(self, heard=True):
        self.tell(Mode.WAITING, u=None)
        self.tick(heard=heard)
        self.tell(Mode.FORWARDING)
        self.did.clear()
        return self


def test_nothing_is_ours_before_the_guard_is_known():
    rig = Rig()
    assert rig.did == [(Guard.ACTS, None)] and rig.watch.epoch == -1
    rig.tick()
    assert rig.tell(Mode.WAITING, u=None) == [] and rig.watch.epoch == 7 and rig.watch.overridden
    assert rig.tell(Mode.FORWARDING) == [(Guard.FORWARDS, None)] and not rig.watch.overridden
    assert rig.tell(Mode.FORWARDING) == []  # told once


@pytest.mark.parametrize("known", (True, False), ids=("before it begins", "before the first tick"))
def test_behind_a_guard_that_waits_mpc_node_begins_as_without_one(known):
    """The start is no intervention."""
    rig = Rig()
    rig.did.clear()
    if known:
        rig.watch.begin(status_of(Mode.WAITING))
        assert rig.did == [(Guard.FORWARDS, None)]
    else:
        assert rig.tell(Mode.WAITING, u=None) == [(Guard.FORWARDS, None)]
    rig.did.clear()
    assert not rig.watch.overridden and rig.watch.epoch == 7
    assert rig.tell(Mode.WAITING, u=None) == []
    rig.tick(3, heard=False)
    assert rig.tell(Mode.WAITING, u=None) == [] and rig.tell(Mode.FORWARDING) == []
    assert not rig.tick(100) and rig.did == [] and not rig.watch.overridden
    assert rig.tell(Mode.ACTING, 8, at_rest=False, lasted=0.6) == [(Guard.ACTS, None)]
    rig.tell(Mode.ACTING, 8, lasted=0.7)
    assert rig.tell(Mode.FORWARDING, 8) == [(Guard.ACTED_TOO_LONG, None)]


def test_a_guard_that_goes_on_holding_the_arm_is_followed_again_and_again():
    """Own commands may have left its command meanwhile, and it hands over only to near ones."""
    rig = Rig().forwarding()
    told = [rig.tell(Mode.ACTING, 8, lasted=0.05 * k) for k in range(61)]
    assert told[0] == [(Guard.ACTS, None), (Guard.ACTS, U.tolist())]
    again = [k for k, did in enumerate(told[1:], 1) if did]
    assert all(told[k] == [(Guard.ACTS, U.tolist())] for k in again)
    assert again[0] == 21 and again[1] in (41, 42)  # once a second


def test_a_guard_that_goes_on_waiting_has_forwarded_nothing_and_commands_the_arm():
    rig = Rig()
    rig.watch.begin(status_of(Mode.WAITING))
    rig.did.clear()
    began = rig.now
    while not rig.did:
        rig.tick(heard=False)
        rig.tell(Mode.WAITING, u=None)
    assert rig.did == [(Guard.ACTS, None)] and START_TIME < rig.now - began <= START_TIME + 1.5 * DT
    assert rig.tell(Mode.WAITING, u=None) == [] and rig.watch.overridden
    assert rig.tell(Mode.FORWARDING) == [(Guard.FORWARDS, None)] and not rig.watch.overridden


@pytest.mark.parametrize("mode", (Mode.HOLD, Mode.E_STOP, Mode.ACTING))
def test_a_guard_that_stops_the_arm_before_it_has_forwarded_commands_it(mode):
    rig = Rig()
    rig.watch.begin(status_of(Mode.WAITING))
    rig.did.clear()
    assert rig.tell(mode, u=None) == [(Guard.ACTS, None)] and rig.watch.overridden


def test_an_intervention_is_acknowledged_once_the_arm_rests_and_its_command_is_taken_over():
    rig = Rig().forwarding()
    assert rig.tell(Mode.ACTING, 8, at_rest=False, lasted=0.1) == [(Guard.ACTS, None)]
    assert rig.watch.epoch == 7
    assert rig.tell(Mode.ACTING, 8, lasted=0.2) == [(Guard.ACTS, U.tolist())] and rig.watch.epoch == 8
    assert rig.tell(Mode.ACTING, 8, lasted=0.3) == []
    assert rig.tell(Mode.ACTING, 8, lasted=0.4, u=U + 0.1) == [(Guard.ACTS, (U + 0.1).tolist())]  # a new load
    assert rig.tell(Mode.FORWARDING, 8) == [(Guard.FORWARDS, None)]


def test_forwarding_of_an_unknown_intervention_is_not_ours():
    rig = Rig()
    assert rig.tell(Mode.FORWARDING, 9) == [] and rig.watch.overridden


def test_a_long_intervention_ends_in_fault_but_not_one_that_was_asked_for_or_was_there_before():
    rig = Rig()
    rig.tell(Mode.ACTING, 7, lasted=100.0)
    assert rig.tell(Mode.FORWARDING, 7)[-1] == (Guard.FORWARDS, None)  # a new mpc_node has not missed anything
    rig.tell(Mode.ACTING, 8, lasted=0.6)
    assert rig.tell(Mode.FORWARDING, 8) == [(Guard.ACTED_TOO_LONG, None)]
    assert Request.HOLD in rig.tell(Mode.HOLD, 9, lasted=0.1)
    rig.tell(Mode.HOLD, 9, lasted=5.0)
    assert rig.tell(Mode.FORWARDING, 9) == [(Guard.FORWARDS, None)]


@pytest.mark.parametrize("mode, request_", ((Mode.HOLD, Request.HOLD), (Mode.E_STOP, Request.E_STOP)))
def test_what_was_asked_of_the_guard_is_asked_here_once(mode, request_):
    rig = Rig().forwarding()
    assert rig.tell(mode, 8).count(request_) == 1 and request_ not in rig.tell(mode, 8)


def test_a_guard_that_is_silent_while_commands_go_on_is_lost():
    rig = Rig().forwarding()
    assert not rig.tick(100)
    began = rig.now
    while not rig.tick(heard=False):
        assert rig.now - began < 1.0
    assert LOST_TIME <= rig.now - began <= LOST_TIME + 2.0 * DT
    assert rig.did == [(Guard.SILENT, None), (Guard.LOST, None)] and rig.watch.past_guard and rig.watch.lost
    assert not rig.tick(100, heard=False) and len(rig.did) == 2
    # a guard that is started again takes over without a pause
    assert rig.tell(Mode.WAITING, 20, u=None) == [] and rig.watch.epoch == 20 and rig.watch.past_guard
    assert rig.tell(Mode.FORWARDING, 20) == [] and rig.watch.past_guard  # none of its commands has come yet
    assert not rig.tick(100) and rig.did[2:] == [(Guard.FORWARDS, None)] and not rig.watch.past_guard


def test_a_guard_that_is_only_late_is_not_lost():
    rig = Rig().forwarding()
    for _ in range(20):
        assert not rig.tick(round(0.9 * LOST_TIME / DT), heard=False)
        assert rig.watch.past_guard and not rig.watch.lost
        rig.tick(1)
        assert not rig.watch.past_guard
    assert rig.did == [(Guard.SILENT, None), (Guard.FORWARDS, None)] * 20


@pytest.mark.parametrize("period", (0.002, 0.005, 0.01, 0.02))
def test_a_silent_guard_is_passed_before_the_next_command(period):
    """Its last command acts for max(3 periods, 20 ms) at most; the answers come after 0.3 periods."""
    did = []
    watch = GuardWatch(period, 0.5, np.ones(2), override=lambda guard, u: did.append(guard), request=did.append)
    watch.begin()
    for mode in (Mode.WAITING, Mode.FORWARDING):
        status = GuardStatus(
            mode.name, "", "", int(mode), 7, True, 0.0, 0, 0, 0, 0, None if mode is Mode.WAITING else U
        )
        watch.take_status(status, 50.0)
    did.clear()
    k, answer = 0, 0.3 * period
    for k in range(50):
        assert not watch.before_tick(50.0 + k * period)
        watch.after_tick(50.0 + k * period + answer)
        watch.heard(50.0 + k * period + answer, "1.0")
    last, now = 50.0 + k * period + answer, 50.0 + k * period
    while not watch.before_tick(now := now + period):
        watch.after_tick(now + answer)
        assert now - last < 0.1
    left = now + answer  # the braking command
    assert max(2.0 * period, SILENT_TIME) < left - last <= max(3.0 * period, 0.02) + 1e-9
    assert did == [Guard.SILENT]


def test_a_guard_that_is_late_by_less_than_a_period_does_not_disturb():
    rig, rng = Rig().forwarding(), np.random.default_rng(3)
    for _ in range(2000):
        rig.now += DT
        assert not rig.watch.before_tick(rig.now)
        rig.watch.after_tick(rig.now)
        if rng.random() < 0.5:  # at most every other command is missed, or comes late
            rig.watch.heard(rig.now + rng.uniform(0.0, 0.9) * DT)
        else:
            rig.now += DT
            assert not rig.watch.before_tick(rig.now)
            rig.watch.after_tick(rig.now)
            rig.watch.heard(rig.now)
    assert rig.did == []


def test_a_silent_guard_that_commands_the_arm_itself_does_so_alone():
    rig = Rig().forwarding()
    rig.tick(5, heard=False)
    assert rig.watch.past_guard
    rig.tick(1, label="guard")
    assert not rig.watch.past_guard and rig.watch.overridden
    assert rig.did == [(Guard.SILENT, None), (Guard.ACTS, None)]
    assert rig.tell(Mode.ACTING, 8, lasted=0.2) == [(Guard.ACTS, U.tolist())] and rig.watch.epoch == 8
    assert rig.tell(Mode.FORWARDING, 8) == [(Guard.FORWARDS, None)]


def test_a_status_of_a_silent_guard_does_not_end_the_silence_before_its_commands_come():
    rig = Rig().forwarding()
    rig.tick(5, heard=False)
    assert rig.tell(Mode.FORWARDING) == [(Guard.SILENT, None)][1:] and rig.watch.past_guard
    rig.tick(1)
    assert not rig.watch.past_guard


def test_a_guard_none_of_whose_commands_has_come_is_not_silent_but_lost():
    """DDS may connect mpc_node with the guard's commands a moment after the guard forwards them."""
    rig = Rig().forwarding(heard=False)
    assert not rig.tick(15, heard=False) and rig.did == []
    assert rig.tick(15, heard=False) and rig.did == [(Guard.LOST, None)]


@pytest.mark.parametrize("measure", (Time.SIMULATED, Time.LOCKSTEP))
def test_no_guard_is_silent_in_another_time_than_the_clocks(measure):
    rig = Rig(measure).forwarding()
    rig.tick(15, heard=False)
    assert rig.did == [] and not rig.watch.past_guard


def test_time_in_which_mpc_node_is_not_run_does_not_count():
    """A busy machine lets it run for a tick now and then: the guard has had no more of the processor than that."""
    rig = Rig().forwarding()
    rig.tick(10)
    ticks = round(LOST_TIME / DT) - 2  # the one in which a command was heard counts
    for _ in range(ticks):
        rig.now += 0.05
        assert not rig.watch.after_tick(rig.now)
    assert rig.tick(1, heard=False)  # a guard that is silent for as long as mpc_node runs is lost all the same


def test_a_guard_that_was_taken_for_lost_but_holds_the_arm_commands_it_alone():
    rig = Rig().forwarding()
    rig.tick(100, heard=False)
    assert rig.watch.past_guard
    rig.did.clear()
    assert rig.tell(Mode.ACTING, 8, at_rest=False, lasted=0.2) == [(Guard.ACTS, None)]
    assert not rig.watch.past_guard and rig.watch.overridden and rig.watch.epoch == 7
    assert rig.tell(Mode.ACTING, 8, lasted=0.3) == [(Guard.ACTS, U.tolist())] and rig.watch.epoch == 8
    assert rig.tell(Mode.FORWARDING, 8) == [(Guard.FORWARDS, None)]


def test_a_guard_whose_last_status_comes_after_it_was_lost_is_lost_once_more():
    rig = Rig().forwarding()
    rig.tick(100, heard=False)
    rig.tell(Mode.ACTING, 8, at_rest=False)
    assert rig.tick(100, heard=False) and rig.watch.past_guard and rig.did[-1] == (Guard.LOST, None)


def test_own_silence_is_not_the_guards():
    """A process that was stopped for a second has heard nothing, and sent nothing either."""
    rig = Rig().forwarding()
    rig.tick(10)
    rig.now += 1.0
    assert not rig.tick(1, heard=False) and not rig.tick(100)


def test_a_guard_that_has_sent_nothing_yet_cannot_be_lost():
    rig = Rig()
    rig.tell(Mode.WAITING, u=None)
    assert not rig.tick(1000, heard=False)


# --- the supervisor ---------------------------------------------------------------------------------------------------


def supervisor(interface, **settings):
    return Supervisor(planar_robot(2, interface), SupervisorSettings(**settings), DT)


def at(q, qd=(0.0, 0.0)):
    return Observation(0.0, np.array(q, dtype=float), np.array(qd, dtype=float))


def decided(u):
    return Decision(0.0, np.array(u, dtype=float), DecisionStatus.OK)


@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
def test_while_the_guard_acts_the_safe_command_continues_the_guards(interface):
    watched, held = supervisor(interface), np.array([0.4, -0.3])
    pose = held if interface == "position" else (0.1, 0.2)
    watched.reset(at(pose))
    for _ in range(100):
        watched.filter(decided(held), at(pose))
    assert watched.state is State.ACTIVE
    watched.override(Guard.ACTS)
    assert watched.state is State.DEGRADED and watched.resuming
    rest = {"effort": np.array([1.5, -0.5]), "velocity": np.zeros(2), "position": held}[interface]
    assert watched.held_by_guard is None
    watched.override(Guard.ACTS, rest)
    np.testing.assert_array_equal(watched.held_by_guard, rest)
    for _ in range(10):
        command = watched.filter(decided(held + 0.1), at(pose))
        assert command.reasons & Reason.GUARD and command.state is State.DEGRADED
        np.testing.assert_allclose(command.u, rest, atol=1e-9)
    watched.override(Guard.FORWARDS)
    assert watched.held_by_guard is None
    assert not watched.filter(decided(held), at(pose)).reasons & Reason.GUARD
    assert watched.state in (State.RAMP_IN, State.ACTIVE) and not watched.resuming


@pytest.mark.parametrize("guard, clears", ((Guard.LOST, False), (Guard.ACTED_TOO_LONG, True)))
def test_a_lost_guard_is_a_fault_that_lasts_until_it_is_back(guard, clears):
    watched = supervisor("velocity")
    watched.filter(decided([0.0, 0.0]), at([0.0, 0.0]))
    watched.override(guard)
    assert watched.state is State.FAULT and watched.cause is Reason.GUARD
    assert watched.request(Request.CLEAR, at([0.0, 0.0])) is clears
    watched.override(Guard.FORWARDS)
    assert watched.request(Request.CLEAR, at([0.0, 0.0]))


def test_the_guard_is_still_known_after_a_reset():
    """The first tick resets the supervisor, and the guard may have been acting before."""
    watched = supervisor("velocity")
    watched.override(Guard.ACTS)
    watched.reset(at([0.0, 0.0]))
    assert watched.filter(decided([1.0, 1.0]), at([0.0, 0.0])).reasons & Reason.GUARD


@pytest.mark.parametrize("safe_effort", ("arrest", "zero", "damp", "hold"))
def test_the_matrices_are_those_of_the_safe_effort(safe_effort):
    """u = mean - D qd - K (q - q_r), near the pose where it began; the bounds of the gains depend on the pose."""
    settings = SupervisorSettings(safe_effort=safe_effort)
    safe, q = SafeCommand(planar_robot(2), settings, DT), np.array([0.3, -0.4])
    safe.reset(np.array([2.0, -1.0]))
    safe.applied(np.array([2.0, -1.0]), Observation(0.0, q, np.zeros(2)), 1.0, True)
    safe.command(at(q))
    law = safe.linear_effort(q)
    way, speed = np.array([0.02, -0.01]), np.array([0.1, -0.2])
    expected = safe.command(at(q + way, speed))
    np.testing.assert_allclose(law.mean - law.damping @ speed - law.stiffness @ way, expected, rtol=2e-3, atol=1e-9)
    assert law.brakes is (safe_effort == "arrest")


@pytest.mark.parametrize("keep_alive", (True, False))
def test_while_a_state_is_late_the_last_command_is_repeated_for_the_guard(keep_alive):
    """The states are recent enough to act on, but none comes."""
    loop = ControlLoop(
        Echo(),
        supervisor("effort"),
        RecordingOutputs(),
        SystemClock(lambda: 0.0),
        dt=DT,
        timeout=0.05,
        keep_alive=keep_alive,
    )
    loop.start()
    try:
        loop.mailbox.put(Arrival(at([0.1, 0.2]), 0.0))
        loop.outputs.wait_for("command", 4 if keep_alive else 1)
        loop.outputs.wait_for("tick", 1)
        end = time.monotonic() + 60.0
        while loop.statistics.missed < 4 and time.monotonic() < end:
            time.sleep(DT)
        commands = [(stamp, u.tolist()) for stamp, u in loop.outputs.of("command")]
        assert loop.statistics.missed >= 4 and (len(commands) > 3) == keep_alive
        assert all(command == commands[0] for command in commands)
        assert loop.commands_sent == 1  # a repeated command is not a new one
    finally:
        loop.stop()
