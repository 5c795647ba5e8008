"""`mbrl top --once` over DDS: one frame of what a controller, its robot and its guard publish."""

import os
import subprocess
import sys

from support.needs import needs, present
from support.robots import planar_arm
from support.ros import ros, state

if present("rclpy"):
    from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray, MultiArrayDimension, String

    from mbrl_ros.guard.messages import GuardStatus, write_status
    from mbrl_ros.nodes.status import FIELDS, to_status

pytestmark = needs("rclpy")


def test_one_frame_tells_what_is_published_and_survives_what_is_wrong():
    with ros() as (peer,):
        line = [sys.executable, "-m", "mbrl_ros.cli.main", "top", "--once", "--wait", "60"]
        environment = {**os.environ, "ROS_DOMAIN_ID": str(peer.domain)}
        top = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        description = peer.node.create_publisher(String, "/robot_description", latched)
        guard = peer.node.create_publisher(Float64MultiArray, "/guard_node/guard_status", latched)
        supervisor = peer.node.create_publisher(String, "/mpc_node/supervisor_state", latched)
        status = peer.node.create_publisher(Float64MultiArray, "/mpc_node/status", 10)
        states = peer.node.create_publisher(JointState, "/joint_states", 10)
        diagnostics = peer.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        told = GuardStatus("forwarding", "", "/mpc_node", 1, 0, False, 0.0, 7, 0, 2, 1, None)
        description.publish(String(data=planar_arm(2)))
        guard.publish(write_status(told, Float64MultiArray(), MultiArrayDimension))
        supervisor.publish(String(data="2 ACTIVE: nothing wrong"))
        k = 0
        while top.poll() is None:
            k += 1
            values = dict.fromkeys(FIELDS, 0.0) | {"stamp": 1.0 + 0.01 * k, "tick": float(k), "missed": 5.0}
            status.publish(to_status(list(values.values())))
            status.publish(Float64MultiArray(data=[1.0]))
            guard.publish(Float64MultiArray(data=[1.0]))
            states.publish(state(1.0 + 0.01 * k, (0.25, -0.5), (0.0, 0.0), ("joint1", "joint2")))
            states.publish(JointState(name=["joint1"], position=[]))
            part = DiagnosticStatus(name="/mpc_node: model", level=DiagnosticStatus.WARN, message="not consistent")
            part.values = [KeyValue(key="delay in use [ticks]", value="2")]
            diagnostics.publish(DiagnosticArray(status=[part, DiagnosticStatus(name="/other: model")]))
            guard.publish(write_status(told, Float64MultiArray(), MultiArrayDimension))
            peer.spin()
        shown, said = top.communicate()
        assert top.returncode == 0 and "Traceback" not in said, said
        for words in (
            "ACTIVE: nothing wrong",
            "missed 5",
            "delay 2.00 ticks",
            "WARN model: not consistent",
            "refused 2",
        ):
            assert words in shown, shown
        assert "rate 100.0 Hz" in shown and "joint2" in shown and "\x1b" not in shown


def test_without_a_controller_it_says_so_with_exit_code_1():
    with ros() as (peer,):
        line = [sys.executable, "-m", "mbrl_ros.cli.main", "top", "--once", "--wait", "0.5"]
        environment = {**os.environ, "ROS_DOMAIN_ID": str(peer.domain)}
        done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=60)
        assert done.returncode == 1 and "no status has come" in done.stdout
