"""display_node over DDS: the ghost of a plan, and targets from an interactive marker as RViz moves it."""

import math

import numpy as np
import pytest

from support.needs import needs, present
from support.robots import planar_arm
from support.ros import ros, state

if present("rclpy"):
    from geometry_msgs.msg import PointStamped, PoseStamped
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from sensor_msgs.msg import JointState
    from std_msgs.msg import String
    from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
    from visualization_msgs.msg import InteractiveMarkerFeedback as Feedback
    from visualization_msgs.msg import InteractiveMarkerUpdate, MarkerArray
    from visualization_msgs.srv import GetInteractiveMarkers

pytestmark = needs("rclpy")
TARGET = "/display_node/target"
GO_TO_POSE, GO_TO_POINT = 1, 2  # of the menu
JOINTS = ("joint1", "joint2")
TIP = 0.5  # [m] length of a link of the planar arm


def feedback(kind: int, position=(0.0, 0.0, 0.0), quaternion=(0.0, 0.0, 0.0, 1.0), entry: int = 0, frame: str = ""):
    message = Feedback(marker_name="target", event_type=kind, client_id="rviz", menu_entry_id=entry)
    message.header.frame_id = frame
    p, q = message.pose.position, message.pose.orientation
    p.x, p.y, p.z = position
    q.x, q.y, q.z, q.w = quaternion
    return message


def describe(peer, node) -> None:
    """Publish the robot's description, as robot_state_publisher does, until the node knows it."""
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    peer.node.create_publisher(String, "/robot_description", latched).publish(String(data=planar_arm(2)))
    peer.until(lambda: "drag the interactive markers" in node.output, "the robot")


def marker_of(peer):
    """The marker and its number, as a display asks for them."""
    client = peer.node.create_client(GetInteractiveMarkers, f"{TARGET}/get_interactive_markers")
    peer.until(client.service_is_ready, "the service")
    answer = client.call_async(GetInteractiveMarkers.Request())
    peer.until(answer.done, "the marker")
    return answer.result().markers[0], answer.result().sequence_number


def test_a_dragged_marker_becomes_a_target_by_its_menu_alone_and_bad_poses_have_no_effect():
    with ros(("display_node", {})) as (peer, node):
        describe(peer, node)
        peer.listen(PoseStamped, "/mpc_node/target_pose")
        peer.listen(PointStamped, "/mpc_node/target_point")
        peer.listen(InteractiveMarkerUpdate, f"{TARGET}/update")
        user = peer.publisher(Feedback, f"{TARGET}/feedback")
        states = peer.publisher(JointState, "/joint_states")
        states.publish(state(1.0, (math.pi / 2.0, 0.0), (0.0, 0.0), JOINTS))
        peer.until(lambda: marker_of(peer)[0].pose.position.z > TIP, "the marker at the tool")
        marker, number = marker_of(peer)
        tool = marker.pose.position
        assert np.allclose((tool.x, tool.y, tool.z), (0.0, 0.0, 2.0 * TIP), atol=1e-9)
        assert [entry.title for entry in marker.menu_entries][0] == "Go to this pose"

        nan, frame = math.nan, marker.header.frame_id
        for bad in (
            feedback(Feedback.MOUSE_UP, (nan, 0.0, 0.0)),
            feedback(Feedback.MOUSE_UP, (1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
            feedback(Feedback.MOUSE_UP, (1.0, 0.0, 0.0), frame="elsewhere"),
            feedback(Feedback.MENU_SELECT, entry=99),
        ):
            user.publish(bad)
        updates = peer.heard[f"{TARGET}/update"]
        dragged = feedback(Feedback.MOUSE_UP, (0.4, 0.3, 0.1), (0.0, 0.0, 2.0, 2.0), frame=frame)
        peer.send_until(user, dragged, lambda: updates and updates[-1].seq_num > number, "the pose for other displays")
        peer.until(lambda: updates[-1].seq_num == marker_of(peer)[1], "the number that displays ask for")
        assert not peer.heard["/mpc_node/target_pose"]  # nothing moves without a choice in the menu
        user.publish(feedback(Feedback.MENU_SELECT, entry=GO_TO_POSE))
        user.publish(feedback(Feedback.MENU_SELECT, entry=GO_TO_POINT))
        peer.until(lambda: peer.heard["/mpc_node/target_point"], "the point")
        (pose,), (point,) = peer.heard["/mpc_node/target_pose"], peer.heard["/mpc_node/target_point"]
        at, q = pose.pose.position, pose.pose.orientation
        assert pose.header.frame_id == point.header.frame_id == frame
        assert (at.x, at.y, at.z) == (point.point.x, point.point.y, point.point.z) == (0.4, 0.3, 0.1)
        assert np.allclose((q.x, q.y, q.z, q.w), (0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)))
        assert node.output.count("is refused") == 1 and "Traceback" not in node.output  # said once in a while


@pytest.mark.slow
def test_the_marker_is_sent_as_the_mouse_lets_go_where_that_is_set():
    with ros(("display_node", {"send_on_release": True})) as (peer, node):
        describe(peer, node)
        peer.listen(PoseStamped, "/mpc_node/target_pose")
        user = peer.publisher(Feedback, f"{TARGET}/feedback")
        user.publish(feedback(Feedback.POSE_UPDATE, (0.1, 0.2, 0.3)))
        user.publish(feedback(Feedback.MOUSE_UP, (0.4, 0.5, 0.6)))
        peer.until(lambda: peer.heard["/mpc_node/target_pose"], "the target")
        assert [m.pose.position.x for m in peer.heard["/mpc_node/target_pose"]] == [0.4]


def test_the_ghost_stands_where_the_plan_ends():
    with ros(("display_node", {})) as (peer, node):
        describe(peer, node)
        peer.listen(MarkerArray, "/display_node/ghost")
        plans = peer.publisher(JointTrajectory, "/mpc_node/plan")
        good = JointTrajectory(joint_names=JOINTS)
        good.points = [JointTrajectoryPoint(positions=[0.0, 0.0]), JointTrajectoryPoint(positions=[math.pi / 2.0, 0.0])]
        plans.publish(JointTrajectory(joint_names=JOINTS, points=[JointTrajectoryPoint(positions=[math.nan, 0.0])]))
        plans.publish(JointTrajectory(joint_names=JOINTS, points=[JointTrajectoryPoint(positions=[0.0])]))
        peer.until(lambda: plans.get_subscription_count() and peer.node.count_publishers("/display_node/ghost"), "both")
        peer.send_until(plans, good, lambda: peer.heard["/display_node/ghost"], "the ghost")
        drawn = peer.heard["/display_node/ghost"][0]
        assert {marker.ns for marker in drawn.markers} == {"ghost"}
        centers = np.array([(m.pose.position.x, m.pose.position.y, m.pose.position.z) for m in drawn.markers])
        assert np.abs(centers[:, 0]).max() < 1e-9 and centers[:, 2].max() > TIP  # upwards, as joint1 turned
        assert all(0.0 < marker.color.a < 1.0 and marker.lifetime.sec == 1 for marker in drawn.markers)
