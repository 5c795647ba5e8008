"""view_node over DDS: it shows what mpc_node and a robot publish, and refuses what cannot be shown."""

import re
import urllib.request

import pytest

from support.needs import needs, present
from support.robots import planar_arm
from support.ros import ros, state

if present("rclpy"):
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray, MultiArrayDimension, String
    from visualization_msgs.msg import Marker, MarkerArray

pytestmark = needs("rclpy", "viser")
ADDRESS = re.compile(r"open (http://localhost:\d+)")


def page(peer, node) -> bytes:
    peer.until(lambda: ADDRESS.search(node.output), "the address")
    with urllib.request.urlopen(ADDRESS.search(node.output)[1]) as answer:
        assert answer.status == 200
        return answer.read()


def test_the_page_is_there_once_the_robot_is_known_and_survives_whatever_comes():
    with ros(("view_node", {"port": 8400})) as (peer, node):
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        description = peer.node.create_publisher(String, "/robot_description", latched)
        description.publish(String(data="<robot"))
        peer.until(lambda: "robot_description cannot be shown" in node.output, "the reason")
        description.publish(String(data=planar_arm(2)))
        assert b"<html" in page(peer, node)
        states = peer.publisher(JointState, "/joint_states")
        status = peer.publisher(Float64MultiArray, "/mpc_node/status")
        markers = peer.publisher(MarkerArray, "/mpc_node/markers")
        for k in range(50):
            states.publish(state(1.0 + 0.01 * k, (0.1, float("nan")), (0.0, 0.0), ("joint1", "joint2")))
            states.publish(JointState(name=["joint1"], position=[]))
            status.publish(Float64MultiArray(data=[1.0]))
            odd = Float64MultiArray(data=[1.0, 2.0])
            odd.layout.dim = [MultiArrayDimension(label="mbrl_ros/status/1")]
            status.publish(odd)
            marker = Marker(ns="target", action=Marker.ADD)
            marker.pose.position.x = float("nan")
            markers.publish(MarkerArray(markers=[marker, Marker(ns="plan")]))
            peer.spin()
        assert b"<html" in page(peer, node) and node.running
        node.signal(2)
        assert node.wait() == 0 and "Traceback" not in node.output


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("source", ("/no/such/file.urdf", "package-data:no such robot"))
def test_a_robot_description_that_is_not_there_ends_the_node_in_one_line(source):
    with ros(("view_node", {"robot_description": source})) as (_, node):
        assert node.wait() == 2
        assert "Traceback" not in node.output and source.rpartition(":")[2] in node.output
