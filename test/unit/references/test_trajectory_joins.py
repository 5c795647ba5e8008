"""Trajectories whose motion is made outside of the control thread: the same to the last bit, also in a replay."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.references import trajectory_joins
from mbrl_ros.references.segments import Waypoints
from mbrl_ros.references.target_manager import TargetManager
from mbrl_ros.references.trajectory_joins import LEAD
from support.robots import planar_robot

DT = 0.005


class Run:
    """Ticks of a target manager; `work` holds what waits to be done in the other thread."""

    def __init__(self, mode: str, joined: dict[int, float] | None = None):
        self.manager = TargetManager(planar_robot(2), ReferenceSettings(), DT, horizon=4)
        self.manager.reset(np.zeros(2), 10.0)
        self.k, self.work, self.rows = 0, [], []
        self.joined: dict[int, float] = {}  # tick: when the trajectory joined [s]
        self._told = joined or {}
        if mode == "prepared":
            self.manager.joins.prepare_in(lambda task: self.work.append(task) or True)
            self.manager.joins.on_join(lambda at: self.joined.update({self.k: at}))
        elif mode == "told":
            self.manager.joins.await_told()

    @property
    def stamp(self) -> float:
        return 10.0 + DT * self.k

    def do(self) -> None:
        """The other thread does what waits."""
        while self.work:
            self.work.pop(0)()

    def tick(self, count: int = 1) -> None:
        """Ticks, each with a state where the reference is."""
        for _ in range(count):
            self.k += 1
            if self.k in self._told:
                self.manager.joins.tell(self._told[self.k])
            q = self.manager.joints.at(self.stamp)
            self.manager.advance(self.stamp, np.concatenate([q, np.zeros(2)]))
            times = self.stamp + DT * np.arange(5.0)
            self.rows.append(self.manager.preview(times).q.copy())

    @property
    def reference(self) -> np.ndarray:
        return np.array(self.rows)[:, 0]


def points(T: int = 20, seconds: float = 4.0, amplitude: float = 0.3) -> Waypoints:
    """A smooth motion to and fro that begins and ends at rest, after `seconds`."""
    t = np.linspace(seconds / T, seconds, T)
    phase = 2.0 * np.pi * t / seconds
    Q = amplitude * np.stack((1.0 - np.cos(phase), np.cos(phase) - 1.0), axis=1)
    V = amplitude * 2.0 * np.pi / seconds * np.stack((np.sin(phase), -np.sin(phase)), axis=1)
    V[-1] = 0.0
    return Waypoints.of(t, Q, V)


def smooth(reference: np.ndarray) -> bool:
    """Neither speed nor acceleration is beyond the limits of the references, as far as ticks tell."""
    robot, settings = planar_robot(2), ReferenceSettings()
    speed, acceleration = np.diff(reference, axis=0) / DT, np.diff(reference, 2, axis=0) / DT**2
    return bool(
        (np.abs(speed) <= 1.001 * settings.velocity_fraction * robot.velocity_limit).all()
        and (np.abs(acceleration) <= 1.05 * settings.acceleration_fraction * robot.acceleration_limit + 1e-6).all()
    )


@pytest.fixture
def elsewhere(monkeypatch):
    """Count the motions that are made."""
    made = []
    true = trajectory_joins.motion_through
    monkeypatch.setattr(trajectory_joins, "motion_through", lambda *args, **rest: made.append(1) or true(*args, **rest))
    return made


def test_from_rest_a_prepared_motion_is_the_same_as_one_made_at_once(elsewhere):
    at_once, prepared = Run("at once"), Run("prepared")
    for run in (at_once, prepared):
        run.manager.set_trajectory(points())
    at_once.tick(900)
    elsewhere.clear()
    prepared.tick(30)
    assert elsewhere == [] and not prepared.reference.any() and len(prepared.work) == 1  # nothing is made in a tick
    prepared.do()
    assert elsewhere == [1]
    prepared.tick(900)
    assert elsewhere == [1] and list(prepared.joined) == [31] and prepared.joined[31] == 10.0 + 31 * DT
    np.testing.assert_allclose(prepared.reference[30:], at_once.reference[: len(prepared.rows) - 30], atol=1e-12)


def test_a_trajectory_with_a_stamp_ahead_is_prepared_and_begins_in_time(elsewhere):
    at_once, prepared = Run("at once"), Run("prepared")
    stamp = 10.0 + 100 * DT
    for run in (at_once, prepared):
        run.manager.set_trajectory(points(), stamp)
        run.tick(50)
        run.do()
    elsewhere.clear()
    for run in (at_once, prepared):
        run.tick(1000)
    assert elsewhere == [1]  # that of the run at once
    np.testing.assert_array_equal(prepared.reference, at_once.reference)
    assert list(prepared.joined.values()) == [stamp]


def moving_run(mode: str, joined: dict[int, float] | None = None, wait: int = 3) -> Run:
    """A trajectory joined in motion, another one that takes too long at first, a target and a hold in between."""
    run = Run(mode, joined)
    run.manager.set_joint_target(np.array([0.6, -0.4]))
    run.tick(60)
    run.manager.set_trajectory(points(30).moved(run.reference[-1]))
    run.tick(wait)
    run.do()
    run.tick(200)
    run.manager.set_trajectory(points(10).moved(run.reference[-1]), run.stamp)
    run.tick(100)  # the other thread has other things to do
    run.do()
    run.tick(1)
    run.do()
    run.tick(650)
    run.manager.set_trajectory(points(10).moved(run.reference[-1]))
    run.tick(2)
    run.manager.set_joint_target(np.array([0.1, 0.1]))  # overtakes it
    run.do()
    run.tick(300)
    run.manager.set_trajectory(points(10).moved(run.reference[-1]))
    run.tick(2)
    run.manager.hold(run.reference[-1], np.zeros(2), run.stamp)
    run.do()
    run.tick(100)
    run.manager.set_trajectory(points(10).moved(run.reference[-1]))
    run.tick(2)
    run.manager.limit_speed(0.5)  # the motion that waits was made for other limits
    run.do()
    run.tick(50)
    run.do()
    run.tick(1500)
    return run


@pytest.mark.parametrize("wait", (1, 3, 30))
def test_a_replay_that_is_told_when_trajectories_begin_is_the_same_to_the_last_bit(wait):
    live = moving_run("prepared", wait=wait)
    assert len(live.joined) >= (2 if wait == 30 else 3) and smooth(live.reference)
    replayed = moving_run("told", live.joined, wait=wait)
    np.testing.assert_array_equal(np.array(replayed.rows), np.array(live.rows))
    assert replayed.manager.target.stamp == live.manager.target.stamp


def test_a_motion_that_is_made_too_late_is_made_again_with_a_longer_lead():
    run = Run("prepared")
    run.manager.set_joint_target(np.array([0.6, -0.4]))
    run.tick(60)
    run.manager.set_trajectory(points(30).moved(run.reference[-1]))
    run.tick(round(LEAD / DT) + 5)
    assert len(run.work) == 1
    run.do()
    begun = run.k
    run.tick(1)
    assert not run.joined and len(run.work) == 1
    run.do()
    run.tick(100)
    (at,) = run.joined.values()
    assert at >= 10.0 + DT * begun + 2.0 * LEAD and smooth(run.reference)


@pytest.mark.parametrize("mode", ("at once", "prepared"))
def test_a_trajectory_that_cannot_be_joined_in_motion_begins_from_rest(mode):
    """It would swing beyond the stop at 2.5 rad."""
    run = Run(mode)
    run.manager.set_joint_target(np.array([2.4, -2.4]))
    while not run.rows or run.reference[-1, 0] < 2.0:
        run.tick()
    goal = run.reference[-1]
    run.manager.set_trajectory(Waypoints.of([3.0], [goal], [np.zeros(2)]))
    for _ in range(1000):
        run.tick()
        run.do()
    assert run.manager.take_notes()[0] == "trajectory: the arm rests before it begins"
    assert smooth(run.reference) and run.reference[:, 0].max() < 2.5
    np.testing.assert_allclose(run.reference[-1], goal, atol=1e-9)


def test_an_interruption_leads_to_the_end_of_a_trajectory_that_waits():
    run, path = Run("prepared"), points(10)
    ended = dataclasses.replace(path, Q=path.Q + np.linspace(0.0, 0.4, 10)[:, None])
    run.manager.set_trajectory(ended)
    run.tick(2)
    run.manager.resume(np.zeros(2), np.zeros(2), run.stamp)
    run.tick(1000)
    np.testing.assert_allclose(run.reference[-1], ended.Q[-1], atol=1e-9)
