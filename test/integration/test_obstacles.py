"""Obstacles at run time over DDS: one that appears on the arm holds it, a bad one is refused, all are shown."""

import pytest

from support.needs import needs, present
from support.ros import PANDA, Listening, ros, state

pytestmark = needs("rclpy", "mujoco", "example-robot-data")

if present("rclpy", "mujoco"):
    from visualization_msgs.msg import Marker, MarkerArray

    from mbrl_ros.nodes.status import read_status
    from mbrl_ros.safety.state_machine import Reason

SLOW = {**PANDA, "control.rate": 50.0, "control.state_timeout": 10.0, "supervisor.stale_limit": 20.0}
SETTINGS = {**SLOW, "robot.interface": "velocity", "collision.rule": "stop", "collision.samples": 200}


def cube(z: float, frame: str = "", action: int = 0) -> "MarkerArray":
    marker = Marker(ns="scene", id=1, type=Marker.CUBE, action=action)
    marker.header.frame_id, marker.pose.position.z, marker.pose.orientation.w = frame, z, 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = 0.3
    return MarkerArray(markers=[marker])


@pytest.mark.slow
def test_an_obstacle_on_the_arm_holds_it_until_it_is_gone():
    with ros(("mpc_node", SETTINGS)) as (peer, _):
        node = Listening(peer)
        peer.listen(MarkerArray, "/mpc_node/capsules")
        obstacles = peer.publisher(MarkerArray, "/mpc_node/obstacles")
        said, stamps = peer.heard["/mpc_node/message"], iter(range(1, 10000))
        node.begin(state(1.0))
        next(stamps)

        def reasons() -> Reason:
            stamp = 1.0 + 0.02 * next(stamps)
            node.states.publish(state(stamp))
            node.answered(stamp)
            peer.spin()
            return Reason(int(read_status(peer.heard["/mpc_node/status"][-1])["supervisor_reasons"]))

        assert not reasons() & Reason.OBSTACLE
        obstacles.publish(cube(0.6))
        peer.until(lambda: bool(reasons() & Reason.OBSTACLE), "the obstacle")
        peer.until(lambda: any("appeared on the arm: ['scene/1']" in text.data for text in said), "the report")
        obstacles.publish(cube(0.9, frame="camera"))
        peer.until(lambda: reasons() is not None and any("'camera'" in text.data for text in said), "the refusal")
        assert reasons() & Reason.OBSTACLE  # what was refused has changed nothing
        obstacles.publish(cube(0.0, action=Marker.DELETE))
        peer.until(lambda: not reasons() & Reason.OBSTACLE, "the end of the obstacle")
        peer.until(
            lambda: reasons() is not None and node.diagnosis("collisions").get("messages of obstacles refused") == "1",
            "the count",
        )
        shown = [{marker.ns for marker in message.markers} for message in peer.heard["/mpc_node/capsules"]]
        assert {"capsules", "obstacles"} <= set().union(*shown)
        frames = {marker.header.frame_id for marker in peer.heard["/mpc_node/capsules"][-1].markers}
        assert "panda_hand" in frames
