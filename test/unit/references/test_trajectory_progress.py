"""How far the references are with a trajectory: waiting, tracked or dropped, and a reference that stays as it was."""

import numpy as np
import pytest

from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.references.segments import Waypoints
from mbrl_ros.references.target_manager import TargetManager
from mbrl_ros.references.trajectory_progress import Progress, Stage, progress_of
from support.robots import planar_robot

DT, BEGIN = 0.01, 10.0
POINTS = Waypoints.of([2.0], [[0.4, -0.2]], [[0.0, 0.0]])


class Run:
    """Ticks of a target manager, with a state where the reference is; `work` waits for another thread."""

    def __init__(self, *, prepared: bool = False):
        self.manager, self.stamp, self.work = TargetManager(planar_robot(2), ReferenceSettings(), DT), BEGIN, []
        self.manager.reset(np.zeros(2), BEGIN)
        if prepared:
            self.manager.joins.prepare_in(lambda task: self.work.append(task) or True)

    def ticks(self, count: int = 1) -> Stage:
        for _ in range(count):
            self.stamp += DT
            q, qd, _ = self.manager.joints.motion_at(self.stamp)
            self.manager.advance(self.stamp, np.concatenate((q, qd)))
        return self.progress().stage

    def progress(self, points: Waypoints = POINTS) -> Progress:
        m = self.manager
        return progress_of(points, m.target, (m.postponed, m.joins.waiting), m.queue, m.joints)


def test_it_waits_for_its_time_then_it_is_tracked_and_rests_at_its_end():
    run = Run()
    run.manager.set_trajectory(POINTS, BEGIN + 1.0)
    assert run.ticks(50) is Stage.WAITING
    assert run.ticks(51) is Stage.TRACKED
    assert run.ticks(400) is Stage.TRACKED
    assert run.progress().reference.at(run.stamp) == pytest.approx([0.4, -0.2])


def test_it_waits_until_its_motion_is_made():
    run = Run(prepared=True)
    run.manager.set_trajectory(POINTS)
    assert run.ticks(5) is Stage.WAITING
    while run.work:
        run.work.pop(0)()
    assert run.ticks(5) is Stage.TRACKED


def test_one_that_can_only_begin_from_rest_waits_for_that():
    """In motion towards the stop at 2.5 rad, and back within 3 s: it would swing beyond the stop."""
    run = Run()
    run.manager.set_joint_target(np.array([2.4, -2.4]))
    while run.manager.joints.at(run.stamp)[0] < 2.0:
        run.ticks()
    points = Waypoints.of([3.0], [run.manager.joints.at(run.stamp)], [[0.0, 0.0]])
    run.manager.set_trajectory(points)
    stages = []
    for _ in range(600):
        run.ticks()
        stages.append(run.progress(points).stage)
    assert run.manager.take_notes()[0] == "trajectory: the arm rests before it begins"
    begins = stages.index(Stage.TRACKED)
    assert begins > 0 and set(stages[:begins]) == {Stage.WAITING} and set(stages[begins:]) == {Stage.TRACKED}


@pytest.mark.parametrize("stop", (False, True))
def test_another_target_or_a_stop_drops_it(stop):
    run = Run()
    run.manager.set_trajectory(POINTS)
    assert run.ticks(20) is Stage.TRACKED
    if stop:
        run.manager.hold(*run.manager.joints.motion_at(run.stamp)[:2], run.stamp)
    else:
        run.manager.set_joint_target(np.array([0.1, 0.1]))
    assert run.ticks() is Stage.DROPPED


def test_one_that_waits_is_dropped_with_the_queue():
    run = Run()
    run.manager.set_trajectory(POINTS, BEGIN + 1.0)
    run.ticks()
    run.manager.set_joint_target(np.array([0.1, 0.1]))
    assert run.ticks() is Stage.DROPPED


@pytest.mark.parametrize("stamp", (0.0, BEGIN + 30.0))
def test_what_came_since_the_last_tick_may_have_taken_its_place_or_not(stamp):
    run = Run()
    run.manager.set_trajectory(POINTS, BEGIN + 1.0)
    run.ticks()
    run.manager.set_joint_target(np.array([0.1, 0.1]), stamp)
    assert run.progress().stage is Stage.WAITING
    assert run.ticks() is (Stage.WAITING if stamp else Stage.DROPPED)


def test_the_reference_of_one_moment_is_not_changed_by_later_motions():
    run = Run()
    run.manager.set_trajectory(POINTS)
    run.ticks(20)
    reference = run.progress().reference
    times = np.linspace(run.stamp, run.stamp + 3.0, 40)
    before, end = [reference.at(t) for t in times], reference.end
    run.manager.set_joint_target(np.array([-0.5, 0.5]))
    run.ticks(100)
    assert reference.end == end
    assert np.array_equal([reference.at(t) for t in times], before)
