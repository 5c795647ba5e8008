"""Targets in frames of tf2: our buffer against tf2's own, and mpc_node with transforms over DDS."""

import json
from functools import partial

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mbrl_ros.exceptions import TargetError
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.robots.transform_buffer import TransformBuffer
from support.domains import new_domain
from support.needs import needs, present
from support.robots import planar_arm, planar_robot
from support.ros import Listening, NodeProcess, Peer, ros, state

if present("rclpy"):
    from geometry_msgs.msg import PointStamped, PoseStamped, TransformStamped
    from rclpy.duration import Duration
    from std_msgs.msg import String

    from mbrl_ros.nodes import message_writers, qos

if present("tf2_ros", "tf2_msgs", "rclpy"):
    from rclpy.time import Time
    from tf2_msgs.msg import TFMessage
    from tf2_ros import Buffer, TransformException

pytestmark = needs("rclpy", "tf2_msgs", "tf2_ros")

JOINTS = ["joint1", "joint2"]
START = [0.3, -0.4]  # [rad]
TREE = {"a": "root", "b": "a", "c": "b", "d": "a", "e": "d", "f": "root", "other": "alone"}


@pytest.fixture
def arm_settings(tmp_path) -> dict:
    (tmp_path / "arm.urdf").write_text(planar_arm(2))
    robot = {"robot.description": str(tmp_path / "arm.urdf"), "robot.joints": JOINTS, "robot.interface": "effort"}
    return {**robot, "planner.horizon": 5, "lockstep": True}


def transform(parent: str, child: str, stamp: float, p, rotation: Rotation) -> "TransformStamped":
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp = parent, message_writers.to_time(stamp)
    t, r = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = map(float, p)
    r.x, r.y, r.z, r.w = map(float, rotation.as_quat())
    return message


def matrix(message: "TransformStamped") -> np.ndarray:
    t, r = message.transform.translation, message.transform.rotation
    T = np.eye(4)
    T[:3, 3], T[:3, :3] = (t.x, t.y, t.z), Rotation.from_quat((r.x, r.y, r.z, r.w)).as_matrix()
    return T


def accepted(answer: str) -> list[float] | None:
    """The point in the base frame that ~/message tells of; None if it tells something else."""
    if not answer.startswith("target accepted: point "):
        return None
    return json.loads(answer.partition("point ")[2].partition(" from ")[0])


def accepted_in(heard: list) -> list[float] | None:
    return next(filter(None, (accepted(message.data) for message in heard)), None)


@pytest.mark.parametrize("seed", range(4))
def test_our_buffer_and_that_of_tf2_answer_alike(seed):
    """Random trees, static and moving, with new parents and late transforms; 1200 look-ups, in and out of range."""
    rng = np.random.default_rng(seed)
    theirs, ours = Buffer(cache_time=Duration(seconds=10.0)), TransformBuffer(10.0)
    for child, parent in TREE.items():
        static = rng.random() < 0.4
        stamps = rng.permutation(np.round(10.0 + np.cumsum(rng.uniform(0.02, 0.3, 8)), 3)).tolist()
        for stamp in [0.0] if static else stamps:
            above = "root" if parent == "a" and rng.random() < 0.2 else parent
            p, rotation = rng.normal(size=3), Rotation.random(random_state=rng)
            message = transform(above, child, stamp, p, rotation)
            (theirs.set_transform_static if static else theirs.set_transform)(message, "test")
            ours.add(above, child, stamp, p, rotation.as_quat(), static=static)
    answered = refused = 0
    for _ in range(300):
        target, source = rng.choice(list(TREE) + ["root", "alone"], 2)
        stamp = None if rng.random() < 0.2 else float(np.round(rng.uniform(10.0, 11.5), 3))
        time = Time() if stamp is None else Time(nanoseconds=round(1e9 * stamp))
        try:
            expected = matrix(theirs.lookup_transform(target, source, time))
        except TransformException:
            with pytest.raises(TargetError):
                ours.lookup(target, source, stamp)
            refused += 1
        else:
            np.testing.assert_allclose(ours.lookup(target, source, stamp), expected, atol=2e-6)
            answered += 1
    assert answered > 50 and refused > 50


class Transforms:
    """A lockstep mpc_node of an arm with two joints, this process its robot, /tf and targets."""

    def __init__(self, peer):
        self.peer, self.node = peer, Listening(peer)
        peer.node.create_subscription(String, "/mpc_node/event_log", self._on_event, qos.HISTORY)
        self.events: list[dict] = []
        self.static = peer.node.create_publisher(TFMessage, "/tf_static", qos.STATIC_TRANSFORMS)
        self.points = peer.publisher(PointStamped, "/mpc_node/target_point")
        self.poses = peer.publisher(PoseStamped, "/mpc_node/target_pose")
        self.moving = peer.publisher(TFMessage, "/tf")
        peer.until(lambda: self.static.get_subscription_count(), "a reader of /tf_static")
        self.sent = 0

    def _on_event(self, message) -> None:
        self.events.append(json.loads(message.data))

    def state(self, stamp: float, q=START) -> None:
        self.node.states.publish(state(stamp, q, (0.0, 0.0), JOINTS))
        self.node.answered(stamp)

    def answer(self, frame: str, p, stamp: float = 0.0) -> str:
        """What becomes of a point in a frame; transforms sent before may come after it: refused ones are sent again."""
        message = PointStamped()
        message.header.frame_id = frame
        message.header.stamp = message_writers.to_time(stamp)
        message.point.x, message.point.y, message.point.z = map(float, p)
        return self._answer(self.points, message)

    def _answer(self, publisher, message) -> str:
        heard = self.peer.heard["/mpc_node/message"]
        count = len(heard)
        publisher.publish(message)
        self.peer.until(lambda: len(heard) > count, "an answer")
        return heard[-1].data

    def pose_answer(self, frame: str, p, rotation: Rotation) -> str:
        message = PoseStamped()
        message.header.frame_id = frame
        message.pose.position.x, message.pose.position.y, message.pose.position.z = map(float, p)
        o = message.pose.orientation
        o.x, o.y, o.z, o.w = map(float, rotation.as_quat())
        return self._answer(self.poses, message)

    def until_accepted(self, frame: str, p, stamp: float = 0.0) -> np.ndarray:
        """The point (3,) in the base frame that a target in `frame` becomes, once its transforms have come."""
        answer = ""
        for _ in range(50):
            answer = self.answer(frame, p, stamp)
            if (point := accepted(answer)) is not None:
                return np.array(point)
            self.peer.spin()
        raise AssertionError(answer)


def test_targets_come_in_frames_of_links_and_of_tf2(arm_settings):
    robot = planar_robot(2)
    kinematics = Kinematics(robot)
    with ros(("mpc_node", arm_settings)) as (peer, _):
        arm = Transforms(peer)
        arm.node.begin(state(1.0, START, (0.0, 0.0), JOINTS))
        arm.state(1.1, [0.4, -0.4])
        tip = kinematics.position(np.array([0.4, -0.4]))
        np.testing.assert_allclose(arm.until_accepted("tip", (0.0, 0.0, 0.0)), tip, atol=1e-4)
        between = kinematics.position(np.array([0.35, -0.4]))
        np.testing.assert_allclose(arm.until_accepted("tip", (0.0, 0.0, 0.0), 1.05), between, atol=1e-4)

        still, turned = Rotation.identity(), Rotation.from_euler("y", -0.3)
        static = [
            transform("room", "base", 0.0, (1.0, 2.0, 0.5), Rotation.from_euler("z", 90, degrees=True)),
            transform("room", "shelf", 0.0, (1.0, 2.7, 0.0), still),
        ]
        arm.static.publish(TFMessage(transforms=static))
        np.testing.assert_allclose(arm.until_accepted("shelf", (0.0, 0.0, 0.2)), (0.7, 0.0, -0.3), atol=1e-4)
        arm.moving.publish(TFMessage(transforms=[transform("shelf", "box", 1.0, (0.0, 0.0, 0.0), still)]))
        arm.moving.publish(TFMessage(transforms=[transform("shelf", "box", 1.1, (0.0, 0.1, 0.4), turned)]))
        np.testing.assert_allclose(arm.until_accepted("box", (0.0, 0.0, 0.0)), (0.8, 0.0, -0.1), atol=1e-4)
        np.testing.assert_allclose(arm.until_accepted("box", (0, 0, 0), 1.05), (0.75, 0.0, -0.3), atol=1e-4)
        recorded = [event for event in arm.events if event["name"] == "transform_target"]
        assert [event["frame"] for event in recorded] == ["tip", "tip", "shelf", "box", "box"]
        np.testing.assert_allclose(np.reshape(recorded[-1]["transform"], (3, 4))[:, 3], (0.75, 0.0, -0.3), atol=1e-6)
        target = arm.pose_answer("shelf", (0.0, 0.0, 0.2), Rotation.from_euler("z", 30, degrees=True))
        assert "out of reach" in target and "0.7" in target


def test_bad_frames_and_transforms_are_refused_with_a_reason_and_counted(arm_settings):
    with ros(("mpc_node", {**arm_settings, "frames.oldest": 0.5})) as (peer, _):
        arm = Transforms(peer)
        arm.node.begin(state(1.0, START, (0.0, 0.0), JOINTS))
        arm.state(1.1)
        here = Rotation.identity()
        arm.moving.publish(TFMessage(transforms=[transform("base", "box", 1.0, (0.7, 0.0, -0.3), here)]))
        np.testing.assert_allclose(arm.until_accepted("box", (0, 0, 0)), (0.7, 0.0, -0.3), atol=1e-4)
        bad = transform("base", "bad", 1.0, (0.7, 0.0, -0.3), here)
        bad.transform.rotation.w = 2.0
        loop = [transform(a, b, 1.0, (0.0, 0.0, 0.0), here) for a, b in (("l1", "l2"), ("l2", "l1"))]
        far = transform("base", "box", 1e6, (0.0, 0.0, 0.0), here)
        last = transform("base", "last", 1.0, (0.7, 0.0, -0.3), here)
        alone = transform("map", "alone", 1.0, (0.7, 0.0, -0.3), here)
        arm.moving.publish(TFMessage(transforms=[bad, *loop, far, alone, last]))
        arm.until_accepted("last", (0, 0, 0))
        for frame, stamp, reason in (
            ("boxx", 0.0, "there is no frame 'boxx' that is known; there are 'base'"),
            ("boxx", 0.0, "did you mean 'box'"),
            ("bad", 0.0, "no frame 'bad'"),
            ("l1", 0.0, "form a loop"),
            ("alone", 0.0, "no transforms connect frame 'alone' with the robot"),
            ("box", 1.05, "0.050 s later than the newest transform of frame 'box'"),
            ("box", 0.9, "0.100 s before the oldest transform of frame 'box'"),
            ("tip", 1.2, "0.100 s later than the newest state"),
            ("tip", 0.9, "0.100 s before the oldest"),
        ):
            assert reason in (answer := arm.answer(frame, (0, 0, 0), stamp)), answer
        arm.state(1.6)
        assert "is 0.600 s old, more than 0.5 s (frames.oldest)" in arm.answer("box", (0, 0, 0))
        named = "refused: target_point: unknown frame"
        peer.until(lambda: arm.node.diagnosis("targets").get(named) == "3", "diagnostics")
        report = arm.node.diagnosis("targets")
        assert report["refused: target_point: transform in the future"] == "2"
        assert report["refused: target_point: transform too old"] == "3"
        assert report["refused: target_point: loop"] == report["refused: target_point: not connected"] == "1"
        counts = arm.node.diagnosis("control loop")
        assert counts["transforms left out: not a unit quaternion"] == "1"
        assert counts["transforms left out: stamped in the future"] == "1"


def test_two_controllers_on_one_torso_take_the_same_target(arm_settings):
    """Each in its namespace, with the same URDF and its own prefix; one target in the torso's frame, for both."""
    sides, turned = ("left", "right"), Rotation.from_euler("z", 180, degrees=True)
    peer = Peer(domain := new_domain())
    peer.processes = [
        NodeProcess(
            "mpc_node",
            domain,
            {**arm_settings, "robot.frame_prefix": f"{side}/"},
            remap={"__ns": f"/{side}"},
        )
        for side in sides
    ]
    try:
        static = peer.node.create_publisher(TFMessage, "/tf_static", qos.STATIC_TRANSFORMS)
        bases = [transform("torso", "left/base", 0.0, (0.1, 0.0, 1.0), Rotation.identity())]
        bases.append(transform("torso", "right/base", 0.0, (-0.1, 0.0, 1.0), turned))
        static.publish(TFMessage(transforms=bases))
        targets = []
        for side in sides:
            peer.listen(String, f"/{side}/mpc_node/message")
            targets.append(peer.publisher(PointStamped, f"/{side}/mpc_node/target_point"))
        message = PointStamped()
        message.header.frame_id, message.point.z = "torso", 1.6
        for side, publisher in zip(sides, targets, strict=True):
            heard = peer.heard[f"/{side}/mpc_node/message"]
            peer.send_until(publisher, message, partial(accepted_in, heard), f"the target of {side}")
            np.testing.assert_allclose(accepted_in(heard), (-0.1, 0.0, 0.6), atol=1e-4)
    finally:
        peer.close()
        for process in peer.processes:
            process.kill()
