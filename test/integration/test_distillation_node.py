"""distillation_node over real DDS: samples in, a policy out; killed, it resumes; and an mpc_node takes the policy."""

import json
import signal

import pytest

from mbrl_ros.distillation.dataset import Supervision
from support.domains import new_domain
from support.needs import needs, present
from support.robots import planar_arm, planar_robot
from support.ros import NodeProcess, Peer
from support.teaching import taught_samples

if present("rclpy"):
    from std_msgs.msg import Float64MultiArray, String, UInt8MultiArray

    from mbrl_ros.nodes import qos, supervision_messages

pytestmark = needs("rclpy")


def stream(robot):
    s = taught_samples(robot, 600)
    for k in range(len(s)):
        yield supervision_messages.to_message(
            Supervision(
                1.0 + 0.005 * k,
                "point",
                s.target[k],
                0,
                int(s.epoch[k]),
                s.q[k],
                s.qd[k],
                s.a[k],
                s.w[k],
                s.u[k],
                s.P[k],
            ),
            k + 1,
            "/mpc_node",
        )


@pytest.mark.slow
def test_samples_become_a_policy_that_survives_a_kill(tmp_path):
    robot, domain = planar_robot(3), new_domain()
    (tmp_path / "arm.urdf").write_text(planar_arm(3))
    parameters = {
        "robot.description": str(tmp_path / "arm.urdf"),
        "folder": str(tmp_path),
        "period": 0.2,
        "checkpoint_period": 0.2,
        "distillation.iterations": 5,
        "distillation.goal_units": 4,
        "distillation.gain_units": 4,
    }
    node, peer = NodeProcess("distillation_node", domain, parameters), Peer(domain)
    peer.processes.append(node)
    try:
        heard = []
        peer.node.create_subscription(UInt8MultiArray, "/policy", heard.append, qos.LATCHED)
        peer.listen(String, "/distillation_node/report")
        publisher = peer.publisher(Float64MultiArray, "/mpc_node/supervision")
        messages = stream(robot)
        waiting = list(messages)

        def fed():
            publisher.publish(Float64MultiArray(data=[1.0]))  # malformed: counted, not fatal
            for message in waiting[:50]:
                publisher.publish(message)
            del waiting[:50]
            return bool(heard) and bool(peer.heard["/distillation_node/report"])

        peer.until(fed, "a policy")
        policy = supervision_messages.read_policy(heard[-1])
        policy.check(robot)
        report = json.loads(peer.heard["/distillation_node/report"][-1].data)
        assert report["version"] >= 1 and report["malformed"] >= 1 and report["samples"] > 100
        peer.until(
            lambda: (tmp_path / "newest.policy").exists() and (tmp_path / "samples.memory").exists(), "a checkpoint"
        )
        node.signal(signal.SIGKILL)
        node.wait()
        again = NodeProcess("distillation_node", domain, parameters)
        peer.processes[:] = [again]
        del heard[:]
        peer.until(lambda: bool(heard), "the resumed policy")
        assert supervision_messages.read_policy(heard[-1]).about["version"] >= 1
        again.signal(signal.SIGTERM)
        assert again.wait() == 0
        assert "resumed at version" in again.output
    finally:
        node.kill()
        for process in peer.processes:
            process.kill()
        peer.close()
