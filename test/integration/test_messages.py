"""Messages to values and back: joint order by name, malformed messages counted by reason, never raised."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

from mbrl_ros.exceptions import TargetError
from mbrl_ros.messages import readers, targets
from mbrl_ros.messages.input_gate import InputGate
from mbrl_ros.types import FeatureFrame, Plan, PlanStatus
from support.needs import needs, present
from support.robots import planar_robot

if present("rclpy"):
    from builtin_interfaces.msg import Duration
    from geometry_msgs.msg import PointStamped, PoseStamped
    from sensor_msgs.msg import JointState, PointCloud2, PointField
    from std_msgs.msg import Float64MultiArray
    from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

    from mbrl_ros.nodes import message_writers

pytestmark = needs("rclpy")


NAN = float("nan")


def joint_state(
    stamp=1.0, name=("joint1", "joint2"), position=(0.1, 0.2), velocity=(0.3, 0.4), effort=()
) -> JointState:
    message = JointState(name=list(name), position=list(position), velocity=list(velocity), effort=list(effort))
    message.header.stamp = message_writers.to_time(stamp)
    return message


def reader(**options) -> readers.JointStateReader:
    return readers.JointStateReader(planar_robot(), InputGate("joint_states", timeout=0.05, clock="stamps"), **options)


def test_joints_are_found_by_name_whatever_else_the_message_holds():
    read = reader()
    for k, names in enumerate((("joint2", "finger", "joint1"), ("joint1", "joint2"), ("joint2", "finger", "joint1"))):
        value = {"joint1": 1.0, "joint2": 2.0, "finger": NAN}
        observation, effort, restarted = read.read(
            joint_state(
                1.0 + k,
                names,
                [value[n] for n in names],
                [10 * value[n] for n in names],
                [100 * value[n] for n in names],
            ),
            0.0,
        )
        assert observation.stamp == pytest.approx(1.0 + k) and not restarted
        assert observation.q.tolist() == [1.0, 2.0]
        assert observation.qd.tolist() == [10.0, 20.0]
        assert effort.tolist() == [100.0, 200.0]


BAD = {
    "missing joints": dict(name=("joint1", "joint_2")),
    "duplicate joint names": dict(name=("joint1", "joint2", "joint1"), position=(0, 0, 0), velocity=(0, 0, 0)),
    "wrong length": dict(position=(0.1,)),
    "wrong length of velocity": dict(velocity=(0.1,)),
    "wrong length of effort": dict(effort=(0.1,)),
    "wrong length, empty": dict(position=()),
    "not finite": dict(position=(0.1, NAN)),
    "not finite velocity": dict(velocity=(0.1, float("inf"))),
    "implausible value": dict(position=(0.1, 1e6)),
    "implausible value of velocity": dict(velocity=(0.1, -1e3)),
    "no stamp": dict(stamp=-1.0),
}


@pytest.mark.parametrize("case", BAD)
def test_malformed_joint_states_are_counted_by_reason(case):
    read = reader()
    assert read.read(joint_state(**BAD[case]), 0.0) is None
    ((reason, count),) = read.gate.rejected.items()
    assert case.startswith(reason) and count == 1
    assert read.read(joint_state(2.0), 0.0) is not None


def test_details_name_joints_and_the_nearest_match():
    read = reader()
    read.read(joint_state(name=("joint1", "joint_2")), 0.0)
    detail = read.gate.details["missing joints"]
    assert "'joint2'" in detail and "did you mean 'joint_2'" in detail
    read.read(joint_state(position=(0.1, NAN)), 0.0)  # the first state
    assert "'joint2'" in read.gate.details["not finite"]


def test_ever_new_wrong_names_get_short_complaints():
    """A flood of such messages must neither cost a search for the nearest name each time nor fill the diagnostics."""
    read = reader()
    for k in range(50):
        read.read(joint_state(name=tuple(f"unknown_{k}_{i}" for i in range(1000)), position=(0.0,) * 1000), 0.0)
    detail = read.gate.details["missing joints"]
    assert read.gate.rejected["missing joints"] == 50
    assert "1000 joints" in detail and "did you mean" not in detail and len(detail) < 500


@pytest.mark.parametrize("velocity", ((), (NAN, NAN)))
def test_missing_velocity_is_estimated_or_refused(velocity):
    read = reader()
    assert read.read(joint_state(1.0, position=(0.0, 0.0), velocity=velocity), 0.0) is None  # one sample has no slope
    observation, _, _ = read.read(joint_state(1.01, position=(0.02, -0.01), velocity=velocity), 0.0)
    assert observation.qd == pytest.approx([2.0, -1.0]) and read.estimating
    strict = reader(missing_velocity="refuse")
    assert strict.read(joint_state(velocity=velocity), 0.0) is None
    assert "control.missing_velocity" in strict.gate.details["missing velocity"]


def feature_reader(points=2) -> readers.FeatureReader:
    return readers.FeatureReader(points, InputGate("features", timeout=0.5, clock="stamps"))


def test_features_survive_the_way_through_a_cloud():
    frame = FeatureFrame(1.25, np.array([0.1, -0.2, 0.3, 0.4]), np.array([1.0, 0.25]))
    back = feature_reader().read_cloud(message_writers.to_cloud(frame), 0.0)
    assert back.stamp == frame.stamp
    assert back.points.tolist() == frame.points.tolist()
    assert back.confidence.tolist() == frame.confidence.tolist()


def cloud(points, *, fields=("x", "y", "z"), order="<", kind="f4", padding=4) -> PointCloud2:
    """A cloud as others make it: float32, an extra field, padding between the points."""
    size = np.dtype(kind).itemsize
    step = size * len(fields) + padding
    data = b"".join(np.asarray(point, dtype=order + kind).tobytes() + bytes(padding) for point in points)
    message = PointCloud2(
        height=1,
        width=len(points),
        point_step=step,
        row_step=step * len(points),
        is_bigendian=order == ">",
        data=array("B", data),
        fields=[
            PointField(name=name, offset=size * i, count=1, datatype=7 if kind == "f4" else 8)
            for i, name in enumerate(fields)
        ],
    )
    message.header.stamp = message_writers.to_time(1.0)
    return message


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ("f4", "f8"))
def test_clouds_of_every_number_format_are_read(order, kind):
    frame = feature_reader().read_cloud(cloud([(0.5, 0.25, 9.0), (-0.5, 1.0, 9.0)], order=order, kind=kind), 0.0)
    assert frame.points.tolist() == [0.5, 0.25, -0.5, 1.0]
    assert frame.confidence.tolist() == [1.0, 1.0]  # no such field: seen fully


def cloud_with(**changes):
    """A good cloud with other values in its fields."""
    message = cloud(GOOD)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def cloud_of_integers():
    message = cloud(GOOD)
    message.fields[0].datatype = PointField.INT32
    return message


GOOD = [(0.5, 0.25, 9.0), (-0.5, 1.0, 9.0)]
BROKEN = {
    "wrong fields, other names": lambda: cloud(GOOD, fields=("u", "v", "w")),
    "wrong fields, too little data": lambda: cloud_with(data=cloud(GOOD).data[:-5]),
    "wrong fields, short rows": lambda: cloud_with(row_step=3),
    "wrong fields, short points": lambda: cloud_with(point_step=2),
    "wrong fields, integers": cloud_of_integers,
    "wrong fields, width": lambda: cloud_with(width=2**31),
    "wrong length, a point short": lambda: cloud(GOOD[:1]),
    "wrong length, empty": lambda: cloud([]),
    "not finite": lambda: cloud([(NAN, 0.0, 0.0), (0.0, 0.0, 0.0)]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_malformed_clouds_are_counted_by_reason(case):
    read = feature_reader()
    assert read.read_cloud(BROKEN[case](), 0.0) is None
    ((reason, count),) = read.gate.rejected.items()
    assert case.startswith(reason) and count == 1


def test_an_invisible_point_need_not_be_finite():
    message = cloud([(NAN, NAN, 0.0), (0.5, 0.5, 1.0)], fields=("x", "y", "confidence"))
    frame = feature_reader().read_cloud(message, 0.0)
    assert frame.confidence.tolist() == [0.0, 1.0] and np.isfinite(frame.points).all()


def test_feature_vectors_take_the_stamp_they_are_given():
    read = feature_reader()
    frame = read.read_vector(Float64MultiArray(data=[0.1, 0.2, 0.3, 0.4]), 2.5, 0.0)
    assert frame.stamp == 2.5 and frame.points.tolist() == [0.1, 0.2, 0.3, 0.4]
    assert read.read_vector(Float64MultiArray(data=[0.1, 0.2, 0.3]), 2.6, 0.0) is None
    assert dict(read.gate.rejected) == {"wrong length": 1}


def test_targets_are_read_by_name_and_refused_with_a_reason():
    order = readers.JointOrder(("joint1", "joint2"))
    assert targets.read_joint_target(joint_state(name=("joint2", "joint1")), order).tolist() == [0.2, 0.1]
    with pytest.raises(TargetError, match="did you mean 'joint_2'"):
        targets.read_joint_target(joint_state(name=("joint1", "joint_2")), order)
    with pytest.raises(TargetError, match="2 names but 1 positions"):
        targets.read_joint_target(joint_state(position=(0.1,)), order)


HERE = np.eye(4)
THERE = np.array([[0.0, -1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 2.0], [0.0, 0.0, 1.0, 3.0], [0.0, 0.0, 0.0, 1.0]])


def test_point_targets_are_taken_into_the_base_frame():
    message = PointStamped()
    message.point.x, message.point.z = 0.5, -0.25
    assert targets.read_point_target(message, HERE).tolist() == [0.5, 0.0, -0.25]
    assert targets.read_point_target(message, THERE).tolist() == [1.0, 2.5, 2.75]


def test_pose_targets_are_a_point_and_a_unit_quaternion_in_the_base_frame():
    message = PoseStamped()
    message.pose.position.y = 0.5
    assert targets.read_pose_target(message, HERE).tolist() == [0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0]
    half = np.sqrt(0.5)
    assert targets.read_pose_target(message, THERE).tolist() == pytest.approx([0.5, 2.0, 3.0, 0.0, 0.0, half, half])
    message.pose.orientation.x = 1.0
    with pytest.raises(TargetError, match="not a unit quaternion: its norm is 1.414"):
        targets.read_pose_target(message, HERE)
    message.pose.orientation.x = message.pose.orientation.w = 0.0
    with pytest.raises(TargetError, match="is zero"):
        targets.read_pose_target(message, HERE)
    message.pose.orientation.z = float("nan")
    with pytest.raises(TargetError, match="must be finite"):
        targets.read_pose_target(message, HERE)


def test_trajectory_targets_are_read_by_name():
    order = readers.JointOrder(("joint1", "joint2"))
    message = JointTrajectory(joint_names=["joint2", "joint1"])
    with pytest.raises(TargetError, match="no points"):
        targets.read_trajectory_target(message, order)
    for k in range(2):
        message.points.append(
            JointTrajectoryPoint(positions=[2.0 + k, 1.0 + k], time_from_start=Duration(sec=k, nanosec=5))
        )
    points = targets.read_trajectory_target(message, order)
    assert points.times == pytest.approx([5e-9, 1.000000005]) and points.Q.tolist() == [[1.0, 2.0], [2.0, 3.0]]
    assert np.isnan(points.V).all() and np.isnan(points.A).all()
    message.points[1].velocities, message.points[1].accelerations = [4.0, 3.0], [6.0, 5.0]
    points = targets.read_trajectory_target(message, order)
    assert points.V[1].tolist() == [3.0, 4.0] and points.A[1].tolist() == [5.0, 6.0] and np.isnan(points.V[0]).all()
    message.points[1].velocities = [4.0]
    with pytest.raises(TargetError, match="point 1 has 1 velocities for 2 joints"):
        targets.read_trajectory_target(message, order)
    message.points[1].velocities, message.points[1].effort = [], [1.0, 1.0]
    with pytest.raises(TargetError, match="point 1 has efforts"):
        targets.read_trajectory_target(message, order)
    message.points[1].effort = []
    message.points[1].positions = [1.0]
    with pytest.raises(TargetError, match="point 1 has 1 positions for 2 joints"):
        targets.read_trajectory_target(message, order)


@pytest.mark.parametrize(
    "interface, field", (("position", "positions"), ("velocity", "velocities"), ("effort", "effort"))
)
def test_a_command_becomes_a_trajectory_of_one_point(interface, field):
    (point,) = message_writers.to_trajectory_command(np.array([1.0, 2.0]), ("a", "b"), interface).points
    assert list(getattr(point, field)) == [1.0, 2.0]
    assert (point.time_from_start.sec, point.time_from_start.nanosec) == (0, 0)  # at once


def test_feature_targets_come_as_clouds():
    assert targets.read_feature_target(cloud([(0.5, 0.25, 0.0)])).tolist() == [0.5, 0.25]
    with pytest.raises(TargetError, match="no field 'x'"):
        targets.read_feature_target(cloud([(0.5, 0.25, 0.0)], fields=("a", "y", "z")))


def test_commands_carry_the_stamp_they_answer():
    message = message_writers.to_command(1.005, np.array([1.0, -2.0]))
    assert list(message.data) == [1.0, -2.0]
    assert readers.answered_stamp(message) == 1.005
    assert readers.answered_stamp(Float64MultiArray(data=[1.0])) is None


@pytest.mark.parametrize("stamp", (0.0, 1.005, 1.9999999999, 1_760_000_000.123456))
def test_stamps_survive_to_the_microsecond(stamp):
    assert readers.seconds(message_writers.to_time(stamp)) == pytest.approx(stamp, abs=1e-6)


def test_a_plan_becomes_a_trajectory():
    x = np.arange(12.0).reshape(3, 4)  # two stages and the end; [q1 q2 qd1 qd2]
    plan = Plan(x, *(np.zeros((2, 2)) for _ in range(5)), cost=0.0, status=PlanStatus.CONVERGED, iterations=1)
    message = message_writers.to_trajectory(plan, ("joint1", "joint2"), 1.5, 0.5)
    assert message.joint_names == ["joint1", "joint2"]
    assert [list(point.positions) for point in message.points] == [[0, 1], [4, 5], [8, 9]]
    assert [list(point.velocities) for point in message.points] == [[2, 3], [6, 7], [10, 11]]
    assert [(p.time_from_start.sec, p.time_from_start.nanosec) for p in message.points] == [
        (0, 0),
        (0, 500_000_000),
        (1, 0),
    ]
