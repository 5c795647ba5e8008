"""How a goal ends: reached, off its path, too late, preempted, taken over; from samples of a target manager's ticks."""

import math

import numpy as np
import pytest

from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.references.segments import Waypoints
from mbrl_ros.references.target_manager import TargetManager
from mbrl_ros.references.trajectory_goal import Tolerances, TrajectoryGoal
from mbrl_ros.references.trajectory_progress import Stage, progress_of
from mbrl_ros.runtime.goal_judge import Code, GoalJudge, Sample
from mbrl_ros.safety.state_machine import Reason, State
from mbrl_ros.types import Observation
from support.robots import planar_robot

DT, BEGIN, SECONDS = 0.01, 100.0, 2.0
ROBOT = planar_robot(2)
END = np.array([0.4, -0.2])


class Run:
    """A reference that follows a goal, and an arm that is beside it by `beside` (2,) [rad]."""

    def __init__(self, *, stamp=0.0, seconds=SECONDS, time=None, settle=5.0, path=math.inf, goal=0.01, speed=0.05):
        self.manager = TargetManager(ROBOT, ReferenceSettings(), DT, horizon=4)
        self.manager.reset(np.zeros(2), BEGIN)
        points = Waypoints.of([seconds], [END], [[0.0, 0.0]])
        tolerances = Tolerances.of(ROBOT, path, math.inf), Tolerances.of(ROBOT, goal, speed)
        self.goal = TrajectoryGoal(points, stamp, *tolerances, time, settle)
        self.manager.set_trajectory(points, stamp)
        self.accepted = self.manager.accepted
        self.judge = GoalJudge(self.goal, ROBOT.joints)
        self.k, self.beside, self.moving = 0, np.zeros(2), np.zeros(2)
        self.state, self.cause = State.ACTIVE, Reason.NONE
        self.sample: Sample | None = None

    @property
    def stamp(self) -> float:
        return BEGIN + DT * self.k

    def progress(self):
        m = self.manager
        return progress_of(self.goal.points, m.target, (m.postponed, m.joins.waiting), m.queue, m.joints)

    def tick(self, seconds: float = DT):
        """Ticks until a verdict, at most for `seconds`."""
        for _ in range(round(seconds / DT)):
            self.k += 1
            self.manager.advance(self.stamp, np.concatenate(self.manager.joints.motion_at(self.stamp)[:2]))
            q, qd, _ = self.manager.joints.motion_at(self.stamp)
            observation = Observation(self.stamp, q + self.beside, qd + self.moving)
            superseded = self.manager.adopted > self.accepted
            self.sample = Sample(observation, self.state, self.cause, self.progress(), superseded)
            verdict = self.judge.judge(self.sample)
            if verdict is not None:
                return verdict
        return None


def test_it_succeeds_at_the_end_of_its_motion_and_not_before():
    run = Run()
    assert run.tick(SECONDS - 2 * DT) is None
    assert run.tick(1.0) == (Code.SUCCESSFUL, "", False)
    assert run.stamp >= run.manager.joints.end and run.stamp < run.manager.joints.end + 2 * DT


@pytest.mark.parametrize(("beside", "moving"), [((0.0, 0.011), (0.0, 0.0)), ((0.0, 0.0), (0.0, -0.06))])
def test_an_arm_beside_its_goal_or_in_motion_has_not_succeeded_until_it_is_there(beside, moving):
    run = Run()
    run.beside, run.moving = np.array(beside), np.array(moving)
    assert run.tick(SECONDS + 4.0) is None
    run.beside, run.moving = np.array([0.009, -0.009]), np.array([0.04, 0.0])
    assert run.tick().code is Code.SUCCESSFUL


def test_an_arm_that_is_not_there_in_time_has_failed_and_the_text_names_the_joint():
    run = Run(settle=1.0)
    run.beside = np.array([0.002, 0.03])
    code, text, stop = run.tick(10.0)
    assert code is Code.GOAL_TOLERANCE_VIOLATED and stop
    assert text.startswith("'joint2': the position differs by 0.03, the tolerance is 0.01")
    assert "after the end of the motion, where 1 s are allowed" in text
    assert run.stamp == pytest.approx(run.manager.joints.end + 1.0, abs=3 * DT)


def test_without_a_limit_of_time_it_waits():
    run = Run(time=math.inf)
    run.beside = np.array([0.03, 0.0])
    assert run.tick(60.0) is None


def test_a_time_tolerance_counts_from_the_end_that_was_asked_for():
    """0.1 s is far too short for the way: the motion is slowed down, and the goal fails while it goes on."""
    run = Run(seconds=0.1, time=0.2)
    code, text, stop = run.tick(10.0)
    assert code is Code.GOAL_TOLERANCE_VIOLATED and stop
    assert run.stamp < run.manager.joints.end and "the motion goes on for" in text
    assert run.stamp == pytest.approx(BEGIN + 0.3, abs=5 * DT)
    assert Run(seconds=0.1).tick(10.0).code is Code.SUCCESSFUL


def test_the_time_of_a_stamped_trajectory_counts_from_its_stamp():
    run = Run(stamp=BEGIN + 1.0, time=0.5)
    run.beside = np.array([0.03, 0.0])
    assert run.tick(10.0).code is Code.GOAL_TOLERANCE_VIOLATED
    assert run.stamp == pytest.approx(BEGIN + 1.0 + SECONDS + 0.5, abs=3 * DT)


def test_off_the_path_it_fails_at_once_but_only_on_the_way():
    run = Run(path=0.02)
    run.beside = np.array([0.0, 0.019])
    assert run.tick(1.0) is None
    run.beside = np.array([-0.021, 0.0])
    code, text, stop = run.tick()
    assert code is Code.PATH_TOLERANCE_VIOLATED and stop
    assert text.startswith("'joint1': the position differs by 0.021, the tolerance is 0.02")
    assert "s after its beginning" in text
    run = Run(path=0.02)
    while run.stamp < run.manager.joints.end - 1.5 * DT or run.k < 10:
        assert run.tick() is None
    run.beside = np.array([0.03, 0.0])
    assert run.tick(1.0) is None  # it may still get there


def held(run, seconds, beside=(0.0, 0.0)):
    """Something keeps the arm where it is, `beside` the path: what the supervisor's hold does in every tick."""
    q = run.manager.joints.at(run.stamp) + np.array(beside)
    for _ in range(round(seconds / DT)):
        run.k += 1
        run.manager.ramp_in(q, np.zeros(2), run.stamp)
        run.manager.advance(run.stamp, np.concatenate((q, np.zeros(2))))
        sample = Sample(Observation(run.stamp, q, np.zeros(2)), State.DEGRADED, Reason.COLLISION, run.progress())
        verdict = run.judge.judge(sample)
        if verdict is not None:
            return verdict
    return None


def test_an_arm_that_was_held_and_is_late_beyond_the_tolerance_has_failed():
    run = Run(time=0.5)
    run.tick(1.0)
    assert held(run, 1.0) is None
    code, text, stop = run.tick(10.0)
    assert code is Code.GOAL_TOLERANCE_VIOLATED and stop
    assert "because the arm was kept from following it" in text
    assert run.stamp == pytest.approx(BEGIN + SECONDS + 0.5, abs=3 * DT)
    run = Run(time=3.0)
    run.tick(1.0)
    held(run, 1.0)
    assert run.tick(10.0).code is Code.SUCCESSFUL
    assert 1.0 < run.stamp - BEGIN - SECONDS < 1.6


def test_an_arm_that_is_held_for_good_fails_in_time_where_its_goal_names_none():
    run = Run(settle=1.0)
    run.tick(1.0)
    assert held(run, 10.0).code is Code.GOAL_TOLERANCE_VIOLATED
    assert run.stamp == pytest.approx(BEGIN + SECONDS + 1.0, abs=3 * DT)


def test_an_arm_that_is_held_beside_its_path_is_off_it():
    run = Run(path=0.02)
    run.tick(1.0)
    assert held(run, 0.5, beside=(0.005, 0.01)) is None
    run = Run(path=0.02)
    run.tick(1.0)
    assert held(run, 0.5, beside=(0.03, 0.06)).code is Code.PATH_TOLERANCE_VIOLATED


def test_a_path_tolerance_does_not_count_before_the_trajectory_begins():
    run = Run(stamp=BEGIN + 1.0, path=0.02)
    run.beside = np.array([0.5, 0.0])
    assert run.tick(0.9) is None
    assert run.progress().stage is Stage.WAITING
    assert run.tick(0.3).code is Code.PATH_TOLERANCE_VIOLATED


@pytest.mark.parametrize("state", [State.HOLD, State.FAULT, State.E_STOP])
def test_it_fails_when_the_supervisor_takes_over_even_at_the_goal(state):
    run = Run()
    run.tick(SECONDS - 2 * DT)
    run.state, run.cause = state, Reason.OVERSPEED
    code, text, stop = run.tick(1.0)
    assert code is Code.INVALID_GOAL and not stop
    assert f"the state is {state.name} (OVERSPEED)" in text
    assert not run.sample.interrupted


def test_another_target_preempts_it_and_the_arm_goes_on_to_that():
    run = Run()
    run.tick(1.0)
    run.manager.set_joint_target(np.array([0.1, 0.1]))
    assert run.tick() == (Code.INVALID_GOAL, "preempted: another target took its place", False)
    assert not run.sample.interrupted


def test_a_target_that_waits_for_later_does_not_end_it():
    run = Run()
    run.tick(0.5)
    run.manager.set_joint_target(np.array([0.1, 0.1]), run.stamp + 30.0)
    assert run.tick(SECONDS).code is Code.SUCCESSFUL


def test_one_that_waits_is_preempted_by_a_target_that_begins_now():
    run = Run(stamp=BEGIN + 5.0)
    assert run.tick(1.0) is None
    run.manager.set_joint_target(np.array([0.1, 0.1]))
    assert run.tick().text == "preempted: another target took its place"


def test_an_equal_trajectory_of_somebody_else_is_another_one():
    run = Run()
    run.tick(0.5)
    points = run.goal.points
    run.manager.set_trajectory(Waypoints.of(points.times, points.Q, points.V))
    assert run.tick().text.startswith("preempted")


def test_an_interruption_ends_it_and_the_arm_is_to_be_stopped():
    """After an interruption the references lead to the trajectory's end in another way."""
    run = Run()
    run.tick(1.0)
    run.manager.resume(run.manager.joints.at(run.stamp), np.zeros(2), run.stamp)
    code, text, stop = run.tick()
    assert code is Code.INVALID_GOAL and stop
    assert "not followed any more: it was interrupted" in text
    assert run.sample.interrupted


def test_a_measurement_that_is_no_number_is_no_success():
    run = Run()
    run.tick(SECONDS - 2 * DT)
    observation = Observation(BEGIN + 50.0, np.array([END[0], math.nan]), np.zeros(2))
    verdict = run.judge.judge(Sample(observation, State.ACTIVE, Reason.NONE, run.progress()))
    assert verdict is not None and verdict.code is Code.GOAL_TOLERANCE_VIOLATED
    assert "'joint2': the position differs by nan" in verdict.text
