"""The scenario of poses: what is drawn, what is computed of a run, and what of it passes."""

import numpy as np
import pytest

from mbrl_ros.config.resources import config_file
from mbrl_ros.config.section import Section
from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.demo.pose_metrics import pose_targets
from mbrl_ros.demo.summary_text import text
from mbrl_ros.demo.verdict import of_run
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.references.trajectory import joint_reference
from mbrl_ros.robots import Robot, load_robot
from mbrl_ros.robots.pose_kinematics import PoseKinematics
from mbrl_ros.robots.rotation import exponential, logarithm, matrix_of, quaternion_of
from mbrl_ros.scenarios.pose_scenario import LARGEST_TURN, POSE_SLOT, REST, SMALLEST_TURN, build_pose_scenario
from mbrl_ros.scenarios.scenario import Scenario, Slot
from support.needs import needs
from support.robots import planar_robot

START = np.array([0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8])
POSE = {"start_s": 1.0, "payload_kg": 0.0, "rest_mm": 0.2, "rest_deg": 0.1, "posture_rad": 0.05, "speed_ratio": 1.0}


def panda() -> Robot:
    values = {k[6:]: v for k, v in read_settings(config_file("panda")).items() if k.startswith("robot.")}
    settings: Section = RobotSettings.from_mapping(values)
    return load_robot(settings)


@needs("example-robot-data")
def test_poses_turn_the_tool_and_are_reached_in_time_one_from_the_other():
    robot = panda()
    scenario, kinematics = build_pose_scenario(robot, START, 3), PoseKinematics(robot)
    slots, q, reference = scenario.slots_of("pose"), START, joint_reference(robot, ReferenceSettings(), 0.01)
    assert len(slots) == 6 and scenario.duration == 31.0 and scenario.payload_kg == 1.5
    assert scenario.slots[2].start < scenario.payload_time < scenario.slots[3].start
    for slot in slots:
        before, R = kinematics.pose(q)[1], matrix_of(slot.value[3:])
        assert SMALLEST_TURN - 1e-3 <= np.linalg.norm(logarithm(before.T @ R)) <= LARGEST_TURN + 1e-3
        reference.reset(q, 0.0)
        q, distance, angle = kinematics.inverse_pose(slot.value[:3], R, q)
        assert max(distance, angle) < 1e-4
        reference.go_to(q, 0.0)
        assert reference.end <= POSE_SLOT - REST + 1e-6
    again = build_pose_scenario(robot, START, 3, duration=12.0)
    assert len(again.slots) == 2 and again.payload_time < again.slots[1].start
    np.testing.assert_array_equal(again.slots[0].value, slots[0].value)
    with pytest.raises(ConfigurationError, match="at least 11 s"):
        build_pose_scenario(robot, START, 3, duration=5.0)


def test_an_arm_that_cannot_turn_its_tool_is_told_so():
    with pytest.raises(ConfigurationError, match="3 joints are too few for any pose"):
        build_pose_scenario(planar_robot(3, effort=60.0), np.array([0.3, 0.4, 0.5]), 0)


def test_errors_are_those_at_rest_and_of_the_posture_always():
    """A joint 0.1 rad beside its reference for a while in motion, then at rest 2 mm and 0.02 rad beside the pose."""
    robot = planar_robot(3, effort=60.0)
    kinematics, stamps = PoseKinematics(robot), np.arange(0.0, 4.0, 0.01)
    ramp = np.clip(stamps - 1.0, 0.0, 1.0)[:, None]
    q = np.array([0.3, 0.4, 0.5]) + ramp * np.array([0.5, 0.0, 0.2])
    p, R = kinematics.pose(q[-1])
    value = np.concatenate((p + [0.0, 0.0, 0.002], quaternion_of(R @ exponential(np.array([0.0, 0.02, 0.0])))))
    reference = q.copy()
    reference[(stamps > 1.2) & (stamps < 1.4), 1] += 0.1
    truth = {"stamp": stamps, "q": q, "qd": np.gradient(q, 0.01, axis=0)}
    control = {"stamp": stamps, "reference_q": reference}
    slots = (Slot("pose", 0.5, 4.0, value), Slot("pose", 4.0, 8.0, value))
    reached, missing = pose_targets(Scenario(0, 8.0, slots, 0.0, None), robot, truth, control)
    assert reached["rest_mm"] == pytest.approx(2.0, rel=1e-6)
    assert reached["rest_deg"] == pytest.approx(np.degrees(0.02), rel=1e-6)
    assert reached["posture_rad"] == pytest.approx(0.1)
    assert missing["rest_mm"] is missing["posture_rad"] is missing["speed_ratio"] is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"rest_mm": 1.2}, "pose 1 of 1 not within 1 mm at rest: 1.2"),
        ({"rest_mm": 1.2, "payload_kg": 1.5}, ""),
        ({"rest_deg": 0.9, "payload_kg": 1.5}, "not within 0.8 degrees at rest: 0.9"),
        ({"posture_rad": 0.2}, "not within 0.15 rad"),
        ({"rest_mm": None, "rest_deg": None, "posture_rad": None, "speed_ratio": None}, "the run ended before"),
    ],
)
def test_what_passes(change, why):
    none = {"p50": None, "p99": None, "max": None}
    summary = {
        "seed": 0,
        "rate_hz": 200.0,
        "horizon": 30,
        "estimator": "refit",
        "targets": [],
        "feature_targets": [],
        "payload": None,
        "poses": [{**POSE, **change}],
        "max_joint_speed_fraction": 0.5,
        "limit_violations": 0,
        "prediction": {"nis_coverage_95": 0.95},
        "ticks": {"count": 800, "missed": 0, "late": 0, "late_fraction": 0.0, "compute_ms": none},
        "message_to_command_ms": none,
        "supervisor": {"state": "ACTIVE", "cause": "none", "since_s": 0.0, "lost_s": None, "tip_moved_mm": None},
    }
    verdict = of_run(summary)
    assert verdict.passed == (not why) and why in verdict.why
    assert "pose 1: " in text(summary)
