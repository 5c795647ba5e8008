"""The control cycle alone: no thread, no clock; the test says how late a command comes and what acts."""

import numpy as np
import pytest

from mbrl_ros.config.sections.safety import SupervisorSettings
from mbrl_ros.controllers.base import Health
from mbrl_ros.runtime.conditions import SteppedConditions
from mbrl_ros.runtime.control_cycle import ControlCycle
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.runtime.scheduling import Deadline
from mbrl_ros.safety.state_machine import Guard, Reason, Request, State
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.types import Observation
from support.control import Echo, RecordingOutputs
from support.robots import planar_robot

DT = 0.01


def cycle_of(conditions=None, **settings) -> ControlCycle:
    supervisor = Supervisor(planar_robot(), SupervisorSettings(**settings), DT)
    conditions = conditions or SteppedConditions()
    return ControlCycle(Echo(), supervisor, RecordingOutputs(), conditions, dt=DT, timeout=0.05)


def arrival(k: int, value: float = 0.3) -> Arrival:
    return Arrival(Observation(1.0 + DT * k, np.array([value, 0.0]), np.zeros(2)), 0.0)


def test_a_command_that_comes_two_periods_late_is_recorded_for_the_state_two_periods_later():
    conditions = SteppedConditions()
    cycle = cycle_of(conditions)
    conditions.set_lateness(2.4)
    for k in range(3):
        assert cycle.tick(arrival(k)).late == (2.4 if k else 0.0)  # the first command is never late
    assert [stamp for stamp, _ in cycle.controller.recorded] == pytest.approx([1.0, 1.0 + 3 * DT, 1.0 + 4 * DT])
    assert cycle.statistics.events["commands a period late"] == 2


def test_what_acted_instead_of_the_command_is_recorded():
    cycle = cycle_of(SteppedConditions(lambda arrival, u: u + 1.0))
    cycle.tick(arrival(0, 0.3))
    assert cycle.controller.recorded[0][1] == pytest.approx([1.3, 1.3])
    assert cycle.outputs.of("command")[0][1] == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize(
    "health, reason",
    [
        (Health(features_lost=True), Reason.FEATURES),
        (Health(model_inconsistent=True), Reason.MODEL_INCONSISTENT),
        (Health(model_lost=True), Reason.MODEL_LOST),
    ],
)
def test_what_the_controller_knows_to_be_wrong_reaches_the_supervisor(health, reason):
    cycle = cycle_of(on_inconsistency="hold")
    cycle.tick(arrival(0))
    cycle.controller.condition = health
    command = cycle.tick(arrival(1)).command
    assert command.reasons == reason and command.state is State.DEGRADED


def test_commands_that_are_late_for_long_are_a_warning_and_then_hold_the_arm():
    conditions = SteppedConditions()
    cycle = cycle_of(conditions, late_warning=1.2 * DT, late_limit=2.4 * DT, max_failed_plans=1000)
    cycle.tick(arrival(0))
    conditions.set_lateness(4.0)
    reasons = [cycle.tick(arrival(k)).command.reasons for k in range(1, 60)]
    first = [next(k for k, found in enumerate(reasons) if reason in found) for reason in (Reason.LATE, Reason.TOO_LATE)]
    assert 0 < first[0] < first[1]
    assert cycle.controller.lateness[0] >= 2 and cycle.controller.lateness[1] == pytest.approx(0.3)


def test_without_a_recent_state_a_request_does_not_move_the_reference():
    conditions = SteppedConditions()
    cycle = cycle_of(conditions)
    cycle.tick(arrival(0))
    conditions.set_recent(False)
    assert cycle.request(Request.HOLD) and cycle.controller.held == []
    event = cycle.event("hold", why="a test")
    assert (event.after, event.fresh, event.details) == (1, False, {"why": "a test"})


def test_a_missed_tick_keeps_the_last_command_until_the_time_out_and_then_sends_the_safe_one():
    cycle = cycle_of(safe_effort="zero")
    assert cycle.miss(1.0) is None and cycle.outputs.entries == []  # nothing has been answered yet
    cycle.tick(arrival(0))
    assert cycle.miss(0.05) is None and len(cycle.outputs.of("command")) == 1
    tick = cycle.miss(0.051)
    assert tick.decision is None and tick.command.reasons == Reason.STALE_STATE and tick.number == 2
    assert cycle.outputs.of("command")[-1][1] == pytest.approx([0.0, 0.0]) and cycle.statistics.missed == 3


def test_a_cycle_that_forgets_starts_with_a_reset_and_goes_on_counting_where_it_is_told():
    cycle = cycle_of()
    for k in range(2):
        cycle.tick(arrival(k))
    cycle.forget()
    assert not cycle.started and cycle.supervisor.state is State.HOLD
    cycle.continue_after(7)
    assert cycle.tick(arrival(2)).number == 8 and cycle.controller.resets == 2


def test_the_controller_is_told_with_which_command_the_guard_holds_the_arm_as_long_as_it_does():
    cycle, holds = cycle_of(), np.array([0.7, -0.2])
    cycle.tick(arrival(0))
    for k, (guard, command) in enumerate(
        ((Guard.ACTS, None), (Guard.ACTS, holds), (Guard.ACTS, holds), (Guard.FORWARDS, None))
    ):
        cycle.supervisor.override(guard, command)
        cycle.tick(arrival(k + 1))
    found = cycle.controller.carried
    assert [stamp for stamp, _ in found] == pytest.approx([1.0 + 2 * DT, 1.0 + 3 * DT])
    for _, u in (*found, *cycle.controller.resumed[1:3]):
        np.testing.assert_array_equal(u, holds)
    assert len(cycle.controller.resumed) == 4


def test_deadlines_are_skipped_and_never_made_up_for():
    deadline = Deadline(DT)
    deadline.after_tick(10.0)
    assert deadline.time == pytest.approx(10.0 + 1.5 * DT)
    deadline.after_miss(10.0 + 1.5 * DT)
    assert deadline.time == pytest.approx(10.0 + 2.5 * DT)
    deadline.after_miss(10.0 + 20 * DT)  # the thread was asleep
    assert deadline.time == pytest.approx(10.0 + 21 * DT)  # and not at once: two commands would leave in one period
