"""What is told of a target: how far it is, that it is reached, or why not; one outcome for each."""

import dataclasses
import math
import re

import numpy as np
import pytest

from mbrl_ros.config.sections.action import ActionSettings
from mbrl_ros.references.segments import Waypoints
from mbrl_ros.references.targets import Target
from mbrl_ros.robots.pose_kinematics import PoseKinematics
from mbrl_ros.robots.rotation import quaternion_of
from mbrl_ros.runtime.target_judge import Outcome, Situation, TargetJudge
from mbrl_ros.safety.state_machine import Reason, State
from mbrl_ros.types import Observation
from support.robots import planar_robot

SETTINGS = ActionSettings(goal_time=2.0)
ARM = PoseKinematics(planar_robot(2))
GOAL = np.array((0.4, -0.9))
END = 13.0  # [s]


def pose_at(q) -> np.ndarray:
    p, R = ARM.pose(np.array(q))
    return np.concatenate((p, quaternion_of(R)))


TARGETS = {
    "joints": Target("joints", GOAL, 11.0, GOAL),
    "point": Target("point", ARM.position(GOAL), 11.0, GOAL),
    "pose": Target("pose", pose_at(GOAL), 11.0, GOAL),
}


def situation(stamp, q, target, qd=(0.0, 0.0), end=END, **more) -> Situation:
    return Situation(Observation(stamp, np.array(q), np.array(qd)), target, end, **more)


@pytest.mark.parametrize("kind", TARGETS)
def test_a_target_is_on_the_way_and_then_reached_once(kind):
    target, judge = TARGETS[kind], TargetJudge(ARM)
    (first,) = judge.judge(situation(11.0, (0.0, 0.0), target), SETTINGS)
    assert (first.number, first.outcome, first.elapsed, first.time_left) == (1, Outcome.ON_THE_WAY, 0.0, 2.0)
    off = {"joints": first.joints, "point": first.distance, "pose": first.angle}
    expected = {"joints": 0.9, "point": np.linalg.norm(ARM.position(GOAL) - (1.0, 0.0, 0.0)), "pose": 0.5}
    assert off[kind] == pytest.approx(expected[kind], abs=1e-6)
    (early,) = judge.judge(situation(12.0, GOAL, target), SETTINGS)  # it passes there before its reference rests
    assert early.outcome is Outcome.ON_THE_WAY and early.time_left == 1.0
    (moving,) = judge.judge(situation(13.1, GOAL, target, qd=(0.3, 0.0)), SETTINGS)
    assert moving.outcome is Outcome.ON_THE_WAY
    (last,) = judge.judge(situation(13.2, GOAL + 1e-4, target), SETTINGS)
    assert last.outcome is Outcome.REACHED and last.time_left == 0.0 and last.elapsed == pytest.approx(2.2)
    assert "from it after 2.20 s" in last.text
    assert judge.judge(situation(13.3, GOAL + 1.0, target), SETTINGS) == [] and judge.end() == []


def test_a_target_has_the_errors_that_it_asks_for():
    told = {
        kind: TargetJudge(ARM).judge(situation(11.0, (0.0, 0.0), target), SETTINGS)[0]
        for kind, target in TARGETS.items()
    }
    known = {
        kind: [name for name in ("distance", "angle", "joints") if not math.isnan(getattr(report, name))]
        for kind, report in told.items()
    }
    assert known == {"joints": ["joints"], "point": ["distance"], "pose": ["distance", "angle"]}


@pytest.mark.parametrize(
    ("kind", "q", "text"),
    (
        ("joints", GOAL + 0.02, r"a joint is 0\.02 from it \(action.goal_tolerance = 0.01\)"),
        ("point", GOAL + 0.02, r"\d+\.\d mm from it \(action.point_tolerance = 2 mm\)"),
        ("pose", GOAL + (0.02, -0.03), r"mm from it"),
    ),
)
def test_a_target_that_is_not_reached_in_time_is_missed_with_what_is_in_the_way(kind, q, text):
    judge, target = TargetJudge(ARM), TARGETS[kind]
    (late,) = judge.judge(situation(14.9, q, target), SETTINGS)
    assert late.outcome is Outcome.ON_THE_WAY
    (missed,) = judge.judge(situation(15.1, q, target), SETTINGS)
    assert missed.outcome is Outcome.MISSED
    assert re.search(text, missed.text) and "2.10 s after the end of its reference" in missed.text
    patient = TargetJudge(ARM).judge(situation(99.0, q, target), dataclasses.replace(SETTINGS, goal_time=0.0))
    assert patient[0].outcome is Outcome.ON_THE_WAY


def test_only_axes_that_count_are_turned():
    judge = TargetJudge(PoseKinematics(planar_robot(2), (1.0, 0.0, 1.0)))
    turned = np.array((GOAL[0] + 0.3, GOAL[1] - 0.3))  # the tool keeps its orientation about y, which is free
    (report,) = judge.judge(situation(11.0, turned + (0.1, 0.1), TARGETS["pose"]), SETTINGS)
    assert report.angle == pytest.approx(0.0, abs=1e-9) and report.distance > 0.05


def test_another_target_takes_the_place_of_one():
    judge = TargetJudge(ARM)
    judge.judge(situation(11.0, (0.0, 0.0), TARGETS["joints"]), SETTINGS)
    before, after = judge.judge(situation(11.1, (0.1, 0.0), TARGETS["point"]), SETTINGS)
    assert (before.number, before.outcome) == (1, Outcome.REPLACED)
    assert (after.number, after.outcome, after.target) == (2, Outcome.ON_THE_WAY, TARGETS["point"])


def test_a_posture_that_is_searched_anew_is_the_same_target():
    judge, target = TargetJudge(ARM), TARGETS["point"]
    judge.judge(situation(11.0, (0.0, 0.0), target), SETTINGS)
    (report,) = judge.judge(situation(11.1, (0.0, 0.0), dataclasses.replace(target, q=GOAL + 0.1)), SETTINGS)
    assert (report.number, report.outcome) == (1, Outcome.ON_THE_WAY)


def test_a_trajectory_is_one_target_whatever_is_left_of_it():
    path = Waypoints.of([1.0], np.array([GOAL]), np.zeros((1, 2)), np.zeros((1, 2)))
    judge, target = TargetJudge(ARM), Target("joints", GOAL, 11.0, GOAL, path)
    judge.judge(situation(11.0, (0.0, 0.0), target), SETTINGS)
    moved = dataclasses.replace(target, value=GOAL.copy())
    (report,) = judge.judge(situation(13.5, GOAL, moved), SETTINGS)
    assert (report.number, report.outcome) == (1, Outcome.REACHED)


OWN = Target("joints", GOAL, 12.0, GOAL, asked=False)


@pytest.mark.parametrize(
    ("more", "outcome", "text"),
    (
        ({"state": State.HOLD, "cause": Reason.REQUESTED}, Outcome.TAKEN_OVER, "the state is HOLD (REQUESTED)"),
        ({"state": State.FAULT}, Outcome.TAKEN_OVER, "the state is FAULT"),
        ({"note": "point target: given up: no motion"}, Outcome.GIVEN_UP, "point target: given up: no motion"),
        ({}, Outcome.STOPPED, "it was stopped; the state is ACTIVE"),
    ),
)
def test_what_ends_a_target_from_outside_is_told(more, outcome, text):
    judge = TargetJudge(ARM)
    judge.judge(situation(11.0, (0.0, 0.0), TARGETS["point"]), SETTINGS)
    (report,) = judge.judge(situation(11.5, (0.1, 0.0), OWN, **more), SETTINGS)
    assert (report.outcome, report.number) == (outcome, 1) and text in report.text
    assert judge.judge(situation(11.6, (0.1, 0.0), OWN, **more), SETTINGS) == []


def test_a_note_of_long_ago_does_not_explain_why_a_target_ended():
    judge, old = TargetJudge(ARM), "trajectory: the arm rests before it begins"
    judge.judge(situation(11.0, (0.0, 0.0), TARGETS["point"], note=old), SETTINGS)
    (report,) = judge.judge(situation(11.5, (0.1, 0.0), OWN, note=old), SETTINGS)
    assert report.outcome is Outcome.STOPPED


def test_a_jog_takes_the_place_of_a_target_and_is_not_judged():
    judge = TargetJudge(ARM)
    judge.judge(situation(11.0, (0.0, 0.0), TARGETS["point"]), SETTINGS)
    reports = []
    for k in range(5):
        jog = Target("twist", np.full(6, 0.1), 11.1 + 0.1 * k)
        reports += judge.judge(situation(11.1 + 0.1 * k, (0.1, 0.0), jog), SETTINGS)
    assert [report.outcome for report in reports] == [Outcome.REPLACED]
    assert judge.judge(situation(12.0, (0.1, 0.0), OWN), SETTINGS) == [] and judge.end() == []


def test_the_end_of_the_node_is_told():
    judge = TargetJudge(ARM)
    assert judge.end() == []
    judge.judge(situation(11.0, (0.0, 0.0), TARGETS["point"]), SETTINGS)
    (report,) = judge.end()
    assert report.outcome is Outcome.DEACTIVATED and judge.end() == []


def test_a_target_in_the_image_has_no_distance_and_no_result():
    judge = TargetJudge(ARM)
    (report,) = judge.judge(situation(99.0, GOAL, Target("features", np.zeros(2), 11.0), end=12.0), SETTINGS)
    assert report.outcome is Outcome.ON_THE_WAY and math.isnan(report.distance) and math.isnan(report.joints)
