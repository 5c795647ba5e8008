"""model_health_node over DDS: it tells the load of an arm that somebody else holds, and publishes no command."""

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.replay.health import HEALTH_FIELDS, HEALTH_VERSION
from mbrl_ros.robots import load_robot
from support.needs import needs, present
from support.robots import planar_arm
from support.ros import ros, state

if present("rclpy"):
    from geometry_msgs.msg import WrenchStamped
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray

pytestmark = needs("rclpy")
JOINTS = ("joint1", "joint2")


@pytest.mark.slow
def test_it_tells_of_a_load_after_a_tare_and_commands_nothing(tmp_path):
    file = tmp_path / "arm.urdf"
    file.write_text(planar_arm(2, effort=40.0))
    settings = {
        "robot.description": str(file),
        "robot.joints": list(JOINTS),
        "robot.interface": "effort",
        "control.rate": 100.0,
        "control.delay": 0.0,
    }
    with ros(("model_health_node", settings)) as (peer, node):
        peer.listen(WrenchStamped, "/model_health_node/wrench")
        peer.listen(Float64MultiArray, "/model_health_node/health")
        states = peer.publisher(JointState, "/joint_states")
        wrenches = peer.heard["/model_health_node/wrench"]
        noise, held, k = np.random.default_rng(0), np.array([3.0, 1.0]), 0

        def send(effort):
            nonlocal k
            k += 1
            message = state(1.0 + 0.01 * k, (0.3, -0.5), 1e-4 * noise.standard_normal(2), JOINTS)
            message.effort = list(effort)
            states.publish(message)
            states.publish(JointState(name=["joint1"], position=[float("nan")]))
            peer.spin()

        def sent_until(effort, condition):
            def sent():
                send(effort)
                return condition()

            peer.until(sent, "the wrench")

        def force():
            told = wrenches[-1].wrench.force
            return np.linalg.norm([told.x, told.y, told.z])

        sent_until(held, lambda: len(wrenches) > 20)
        assert wrenches[-1].header.frame_id == load_robot(RobotSettings(), file.read_text()).tip
        assert peer.call("/model_health_node/tare")[0]
        sent_until(held, lambda: force() < 0.5)
        sent_until(held + [2.0, 1.0], lambda: force() > 1.0)
        health = peer.heard["/model_health_node/health"][-1]
        labels = [dimension.label for dimension in health.layout.dim]
        assert labels == [HEALTH_VERSION, *HEALTH_FIELDS] and len(health.data) == len(HEALTH_FIELDS)
        published = peer.node.get_publisher_names_and_types_by_node("model_health_node", "/")
        assert not {name for name, _ in published if "command" in name}
        assert peer.node.get_publishers_info_by_topic("/commands") == [] and node.running
        node.signal(2)
        assert node.wait() == 0 and "Traceback" not in node.output
