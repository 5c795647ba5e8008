"""~/target_progress, the outcomes of targets on ~/message, and ~/cancel, over DDS; targets in the frame of the arm."""

import json
import math

import numpy as np
import pytest

from mbrl_ros.robots.kinematics import Kinematics
from support.needs import needs, present
from support.robots import planar_robot
from support.simulated_arm import AWAY, DT, HOME, SimulatedArm, simulated_arm

if present("rclpy"):
    from geometry_msgs.msg import PointStamped
    from std_msgs.msg import Float64MultiArray

    from mbrl_ros.nodes import message_writers
    from mbrl_ros.nodes.target_progress import PROGRESS_FIELDS, PROGRESS_VERSION

pytestmark = needs("rclpy")
TOPIC = "/mpc_node/target_progress"
ON_THE_WAY, REACHED, MISSED, REPLACED, SUPERVISOR, STOPPED = 0, 1, 2, 3, 5, 6


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with simulated_arm(tmp_path_factory.mktemp("arm"), **{"action.goal_time": 1.0}) as arm:
        arm.peer.listen(Float64MultiArray, TOPIC)
        arm.begin()
        yield arm


@pytest.fixture
def arm(running) -> SimulatedArm:
    running.settle()
    running.peer.heard[TOPIC].clear()
    return running


def progress(arm) -> list[dict[str, float]]:
    """What has come on the topic."""
    read = []
    for message in arm.peer.heard[TOPIC]:
        labels = [dimension.label for dimension in message.layout.dim]
        assert labels == [PROGRESS_VERSION, *PROGRESS_FIELDS]
        read.append(dict(zip(labels[1:], message.data, strict=True)))
    return read


def outcome(arm, most: float = 8.0) -> tuple[int, str]:
    """What becomes of the present target, and what ~/message says of it."""
    told = len(arm.messages)
    for _ in range(round(most / (10 * DT))):
        arm.run(10 * DT)
        if (last := progress(arm)) and last[-1]["outcome"] != ON_THE_WAY:
            arm.peer.until(lambda: len(arm.messages) > told, "the outcome")
            return int(last[-1]["outcome"]), arm.messages[-1]
    raise AssertionError(progress(arm)[-1:])


def point(p, frame: str = "base", stamp: float = 0.0) -> "PointStamped":
    message = PointStamped()
    message.header.frame_id, message.header.stamp = frame, message_writers.to_time(stamp)
    message.point.x, message.point.y, message.point.z = map(float, p)
    return message


def test_a_target_is_followed_to_its_end(arm):
    arm.target(HOME + (0.6, -0.3))
    assert outcome(arm)[0] == REACHED
    assert arm.messages[-1].startswith("target reached: joints: ")
    told = progress(arm)
    assert [entry["outcome"] for entry in told] == [0.0] * (len(told) - 1) + [1.0]
    assert np.diff([entry["stamp"] for entry in told]) == pytest.approx(0.05, abs=2 * DT)
    distances, left = ([entry[name] for entry in told] for name in ("joint_distance", "time_left"))
    assert distances[0] > 0.5 and distances[-1] < 0.01 and left == sorted(left, reverse=True) and left[-1] == 0.0
    assert len({entry["target"] for entry in told}) == 1 and all(math.isnan(entry["distance"]) for entry in told)
    assert all(0.0 <= entry["trust"] <= 1.0 for entry in told)


def test_a_target_that_the_arm_does_not_follow_is_missed(arm):
    arm.target(HOME + (0.2, 0.0))
    arm.run(0.1)
    arm.obeys = False
    try:
        result, text = outcome(arm)
    finally:
        arm.obeys = True
    assert result in (MISSED, SUPERVISOR) and text.startswith(("target missed: joints: a joint", "target not reached"))


def test_a_canceled_target_lets_the_arm_come_to_rest(arm):
    arm.target(AWAY)
    arm.run(0.5)
    assert arm.call("cancel") == (True, "the arm comes to rest; targets that waited are forgotten")
    result, text = outcome(arm)
    assert result == STOPPED and text.startswith("target not reached: joints: it was stopped; the state is ACTIVE")
    arm.run(1.5)
    assert np.abs(arm.qd).max() < 0.02 and np.abs(arm.q - AWAY).max() > 0.5
    arm.call("hold")
    refused = arm.call("cancel")
    assert not refused[0] and "~/resume first" in refused[1]


def test_a_newer_target_and_the_supervisor_are_told(arm):
    arm.target(AWAY)
    arm.run(0.3)
    arm.target(HOME)
    arm.run(0.3)
    outcomes = [entry["outcome"] for entry in progress(arm) if entry["outcome"]]
    assert outcomes == [REPLACED]
    arm.call("hold")
    result, text = outcome(arm)
    assert (
        result == SUPERVISOR
        and text == "target not reached: joints: the supervisor took over: the state is HOLD (REQUESTED)"
    )


@pytest.mark.slow
def test_a_point_ahead_of_the_arm_where_it_was_at_the_stamp(tmp_path):
    """In the frame of the tip, while the arm moves; the recorded run replays to the last bit."""
    from mbrl_ros.replay import ReplayOptions, replay

    kinematics, bag = Kinematics(planar_robot(2)), tmp_path / "bag"
    with simulated_arm(tmp_path, recorded=bag) as arm:
        points = arm.peer.publisher(PointStamped, "/mpc_node/target_point", 2)
        arm.begin()
        arm.target(HOME + (0.8, 0.4))
        arm.run(0.5)
        seen, q = arm.time, arm.q.copy()
        arm.run(0.2)
        count = arm.goal_count
        points.publish(point((0.0, 0.0, 0.0), "tip", seen))
        arm.peer.until(lambda: arm.goal_count > count, "the target")
        accepted: list[str] = []
        arm.peer.until(
            lambda: (
                accepted.extend(text for text in arm.messages if text.startswith("target accepted: point")) or accepted
            ),
            "the message",
        )
        there = np.array(json.loads(accepted[0].partition("point ")[2].partition(" from ")[0]))
        assert np.abs(there - kinematics.position(q)).max() < 1e-3
        assert np.abs(kinematics.position(arm.q) - there).max() > 0.02
        arm.run(3.0)
        assert np.linalg.norm(kinematics.position(arm.q) - there) < 0.01
        arm.end_in_order()
    made = replay(ReplayOptions(bag)).summary
    assert made["difference"]["identical"] == made["difference"]["compared"] >= 300
