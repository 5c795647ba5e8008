"""A trajectory waits for an arm that is kept from following it, and goes on along its path, no faster than asked."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.collision.obstacles import Plane
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.controllers.effort_tracking import EffortTracking
from mbrl_ros.references.rejoined_path import RejoinedPath, rejoined
from mbrl_ros.references.segments import Waypoints
from mbrl_ros.references.target_manager import TargetManager
from mbrl_ros.references.tracking import motion_through
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.effective_inertia import EffectiveInertia
from mbrl_ros.runtime.conditions import SteppedConditions
from mbrl_ros.runtime.control_cycle import ControlCycle
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.safety.factory import make_supervisor
from mbrl_ros.safety.state_machine import Reason, State
from mbrl_ros.types import Observation
from support.control import RecordingOutputs
from support.robots import planar_arm, planar_robot

DT, SUBSTEPS, CLEARANCE = 0.01, 2, 0.02
FOLLOWED = 0.6  # of the way to its command by which an arm moved by positions comes in a period
FLOOR = Plane("floor", np.array([0.0, 0.0, 1.0]), -0.4)
START = np.array([0.3, 0.4, 0.4])
POINTS = Waypoints.of([0.8, 1.6, 2.4], [[-0.1, 0.5, 0.1], [-0.5, 0.1, -0.2], [-0.9, -0.3, -0.2]])
SETTINGS = {
    "robot.description": planar_arm(3, effort=60.0),
    "control.rate": 1.0 / DT,
    "control.delay": 0.0,
    "collision.rule": "stop",
    "collision.clearance": CLEARANCE,
    "collision.capsules": [f"link{i} 0 0 0  0.5 0 0  0.05" for i in (1, 2, 3)],
}


class ComputedTorque(EffortTracking):
    """Tracks the reference with the arm's own inertia: its errors are those of the reference."""

    def __init__(self, robot, configuration):
        super().__init__(robot, configuration, "computed torque")
        self.inertia = EffectiveInertia(robot)

    def reset(self, observation):
        self.target_manager.reset(observation.q, observation.stamp)

    def record(self, stamp, command):
        pass

    def effort(self, observation, q, qd, qdd):
        wanted = qdd + 20.0 * (qd - observation.qd) + 100.0 * (q - observation.q)
        return self.inertia(observation.q) @ wanted


class Follower(ComputedTorque):
    """Commands the velocity or position that follows the reference."""

    def __init__(self, robot, configuration):
        super().__init__(dataclasses.replace(robot, interface="effort"), configuration)
        self.robot = self.target_manager.robot = robot

    def effort(self, observation, q, qd, qdd):
        if self.robot.interface == "position":
            return observation.q + (q + DT * qd - observation.q) / FOLLOWED
        return qd + 0.5 * DT * qdd + 20.0 * (q - observation.q)


class Run:
    """An arm without gravity or friction tracks POINTS, or goes to the last; `floor` [s]: when FLOOR is there."""

    def __init__(self, floor, seconds, interface="effort", goal=False, **settings):
        configuration = Configuration.from_flat({**SETTINGS, "robot.interface": interface, **settings})
        robot = load_robot(configuration.robot)
        controller = (ComputedTorque if interface == "effort" else Follower)(robot, configuration)
        supervisor = make_supervisor(robot, configuration)
        conditions = SteppedConditions()
        cycle = ControlCycle(controller, supervisor, RecordingOutputs(), conditions, dt=DT, timeout=0.05)
        q, qd, self.path, rows, reasons = START, np.zeros(3), None, [], Reason.NONE
        for k in range(-10, round(seconds / DT)):
            t = 5.0 + k * DT
            if k == 0:
                controller.set_joint_target(POINTS.Q[-1]) if goal else controller.set_trajectory(POINTS)
            if k in (round(floor[0] / DT), round(floor[1] / DT)):
                supervisor.collisions.set_obstacles([FLOOR] if k * DT < floor[1] - 0.5 * DT else [])
            command = cycle.tick(Arrival(Observation(t, q, qd), 0.0)).command
            if k == 0:
                self.path = controller.target_manager.joints.frozen()
            rows.append((q, qd, q - controller.joint_reference(t)))
            reasons |= command.reasons
            if interface != "effort":
                moved = DT * command.u if interface == "velocity" else FOLLOWED * (command.u - q)
                q, qd = q + moved, moved / DT
                continue
            for _ in range(SUBSTEPS):
                qd = qd + DT / SUBSTEPS * np.linalg.solve(controller.inertia(q), command.u)
                q = q + DT / SUBSTEPS * qd
        self.state, self.reasons = command.state, reasons
        self.q, self.qd, self.away = (np.array(column) for column in zip(*rows, strict=True))
        asked = [self.path.motion_at(s) for s in np.arange(self.path.begin, self.path.end, 0.01)]
        self.asked, self.fastest = np.array([q for q, *_ in asked]), np.abs([qd for _, qd, _ in asked]).max(axis=0)

    @property
    def beside(self):
        """The largest distance from the path [rad]."""
        return max(np.abs(self.asked - q).max(axis=1).min() for q in self.q)


def test_an_arm_that_the_rule_held_goes_on_along_its_path_no_faster_than_asked():
    run = Run((0.5, 1.7), 4.0)
    assert run.reasons & Reason.COLLISION
    assert (np.abs(run.qd).max(axis=0) <= 1.05 * run.fastest).all()
    assert np.abs(run.away).max() < 0.02  # the reference stays where the arm is
    assert run.beside < 0.02
    assert run.q[-1] == pytest.approx(POINTS.Q[-1], abs=1e-3)
    late = np.flatnonzero(np.abs(run.q - POINTS.Q[-1]).max(axis=1) > 0.02)[-1] * DT
    assert late > 2.7  # it has waited
    assert run.state is State.ACTIVE


@pytest.mark.parametrize("goal", [False, True])
@pytest.mark.parametrize("interface", ["velocity", "position"])
def test_an_arm_that_the_rule_slowed_down_is_waited_for(interface, goal):
    run = Run((0.5, 1.7), 4.5, interface, goal)
    assert run.reasons & Reason.COLLISION
    assert (np.abs(run.qd).max(axis=0) <= 1.05 * run.fastest).all()
    assert np.abs(run.away).max() < 0.03
    assert run.q[-1] == pytest.approx(POINTS.Q[-1], abs=1e-3)
    assert run.state is State.ACTIVE


def test_before_an_obstacle_that_stays_it_waits_and_the_goal_is_not_reached():
    run = Run((0.5, 9.0), 3.2)
    assert np.abs(run.qd[-50:]).max() < 0.05
    assert np.abs(run.away).max() < 0.02
    assert run.beside < 0.02
    assert run.q[-1] != pytest.approx(POINTS.Q[-1], abs=0.3)


def moving_manager(**settings):
    manager = TargetManager(planar_robot(3), ReferenceSettings(**settings), DT)
    manager.reset(START, 5.0)
    manager.set_trajectory(POINTS)
    manager.advance(5.0, np.concatenate((START, np.zeros(3))))
    return manager


def test_an_earlier_recording_whose_trajectories_did_not_wait_is_repeated_as_it_was():
    manager, times = moving_manager(wait_for_arm=False), np.linspace(6.0, 8.0, 50)
    before = manager.joints.over(times)
    manager.ramp_in(np.zeros(3), np.zeros(3), 6.0)
    assert np.array_equal(manager.joints.over(times), before)


def test_a_stop_before_a_trajectory_that_waits_for_it_is_no_path():
    """Its target is the trajectory already, its motion is not."""
    manager = moving_manager()
    manager.joints.stop(5.5)
    before = manager.joints.over(np.array([5.5, 5.6]))
    manager.ramp_in(np.zeros(3), np.zeros(3), 5.5)
    assert np.array_equal(manager.joints.over(np.array([5.5, 5.6])), before)


@pytest.mark.parametrize("first", ("trajectory", "joints"))
def test_a_trajectory_that_comes_while_the_arm_is_held_begins_from_where_it_is(first):
    """Its motion is made for the state of the reference some ticks later: that must not change in every tick."""
    manager, rng = moving_manager(), np.random.default_rng(0)
    if first == "joints":
        manager.set_joint_target(POINTS.Q[-1])
        manager.advance(5.01, np.concatenate((START, np.zeros(3))))
    manager.joins.prepare_in(lambda task: task() is None)
    manager.set_trajectory(Waypoints.of([2.0], [START]))
    for k in range(2, 20):
        q = POINTS.Q[0] + rng.uniform(-1e-4, 1e-4, 3)
        manager.ramp_in(q, np.zeros(3), 5.0 + k * DT)
        manager.advance(5.0 + k * DT, np.concatenate((q, np.zeros(3))))
    assert manager.joins.waiting is None
    assert manager.joints.goal == pytest.approx(START, abs=1e-9)


VELOCITY, ACCELERATION = np.full(3, 1.5), np.full(3, 3.75)


def motion(points=POINTS, start=START):
    return motion_through((start, np.zeros(3), np.zeros(3)), points, VELOCITY, ACCELERATION, late=False)


@pytest.mark.parametrize("time", (0.0, 1.17, 2.39))
def test_it_begins_at_the_arm_joins_the_path_and_is_within_the_limits(time):
    M, rng = motion(), np.random.default_rng(round(100 * time))
    q, qd, _ = M.at_time(time)
    q, qd = q + rng.uniform(-0.05, 0.05, 3), rng.uniform(0.0, 1.0) * qd
    path = rejoined(M, time, q, qd, VELOCITY, ACCELERATION)
    assert path.at_time(0.0)[:2] == (pytest.approx(q, abs=1e-9), pytest.approx(qd, abs=1e-9))
    assert path.at_time(path.duration)[0] == pytest.approx(POINTS.Q[-1], abs=1e-9)
    assert path.at_time(path.duration)[1] == pytest.approx(np.zeros(3), abs=1e-6)
    t = np.linspace(0.0, path.duration, 401)
    y, v, a = (path.at_times(t, order) for order in range(3))
    assert np.gradient(y, t, axis=0)[1:-1] == pytest.approx(v[1:-1], abs=1e-2)
    assert np.abs(v).max() <= 1.01 * VELOCITY[0]
    assert np.abs(a).max() <= 1.5 * ACCELERATION[0]
    s = np.array([path.path_time(each) for each in t])
    assert (np.diff(s) >= 0.0).all() and np.diff(s).max() <= 1.001 * (t[1] - t[0])
    beside = y - np.array([path.on_path(each)[0] for each in t])
    assert (np.abs(beside) <= np.abs(beside[0]) + 0.05).all()


def test_on_a_path_that_comes_back_the_same_way_no_part_is_passed_twice():
    there_and_back = Waypoints.of([1.0, 2.0], [START + 0.5, START], np.zeros((2, 3)))
    M = motion(there_and_back)
    path, begins = rejoined(M, 1.2, M.at_time(1.15)[0], np.zeros(3), VELOCITY, ACCELERATION), []
    for _ in range(50):  # held, with noise
        begins.append(path.begin)
        q = M.at_time(1.15)[0] + 1e-4 * np.cos(37.0 * len(begins))
        path = rejoined(path, DT, q, np.zeros(3), VELOCITY, ACCELERATION)
    assert begins[0] == pytest.approx(1.15, abs=1e-3)
    assert (np.diff(begins) >= 0.0).all() and begins[-1] < 1.16


def test_an_arm_ahead_of_its_reference_is_where_it_is_on_the_path():
    M = motion()
    path = rejoined(M, 1.0, M.at_time(1.06)[0], M.at_time(1.06)[1], VELOCITY, ACCELERATION)
    assert isinstance(path, RejoinedPath) and path.begin == pytest.approx(1.06, abs=1e-6)
    assert path.duration == pytest.approx(M.duration - 1.06, abs=1e-6)
