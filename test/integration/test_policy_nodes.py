"""mpc_node that teaches, and that acts by a policy; one distiller that two robots feed. Real processes, real DDS."""

import numpy as np
import pytest

from mbrl_ros.controllers.policy_selection import Mode
from mbrl_ros.distillation.dataset import Supervision
from mbrl_ros.distillation.fit import fit
from mbrl_ros.messages.supervision import read
from mbrl_ros.robots.kinematics import Kinematics
from support.needs import needs, present
from support.robots import planar_arm, planar_robot
from support.ros import Listening, ros, state
from support.teaching import SETTINGS, taught_samples

if present("rclpy"):
    from geometry_msgs.msg import PointStamped
    from std_msgs.msg import Float64MultiArray, UInt8MultiArray

    from mbrl_ros.nodes import qos, supervision_messages
    from mbrl_ros.nodes.policy_interface import STREAM

pytestmark = needs("rclpy")


Q, JOINTS, DT = (0.2, -0.3, 0.2), ["joint1", "joint2", "joint3"], 0.005


def arm(tmp_path, **parameters):
    """Parameters of an mpc_node for the planar arm, in lockstep."""
    (tmp_path / "arm.urdf").write_text(planar_arm(3))
    return {
        "robot.description": str(tmp_path / "arm.urdf"),
        "lockstep": True,
        "control.rate": 1.0 / DT,
        "planner.horizon": 10,
        "planner.backend": "casadi",
        **{f"distillation.{name}": value for name, value in parameters.items()},
    }


class Robot:
    """The arm of `arm`, which rests at Q whatever the node commands."""

    def __init__(self, peer):
        self.peer, self.stamp, self._aim = peer, 1.0, None
        self.samples: list[Float64MultiArray] = []
        peer.node.create_subscription(Float64MultiArray, "/mpc_node/supervision", self.samples.append, STREAM)
        peer.listen(Float64MultiArray, "/mpc_node/policy_status")
        self.node = Listening(peer)
        self.node.begin(state(self.stamp, Q, (0.0,) * 3, JOINTS))

    def tick(self) -> np.ndarray:
        """The next command."""
        self.stamp += DT
        self.node.states.publish(state(self.stamp, Q, (0.0,) * 3, JOINTS))
        self.last = np.array(self.node.answered(self.stamp).data)
        return self.last

    def aim(self, robot, q) -> None:
        point = PointStamped()
        point.header.frame_id = robot.root
        point.point.x, point.point.y, point.point.z = map(float, Kinematics(robot).position(np.array(q)))
        self.peer.publisher(PointStamped, "/mpc_node/target_point").publish(point)

    def until(self, condition, what) -> None:
        """Tick until `condition()` holds."""

        def ticked():
            self.tick()
            return condition()

        self.peer.until(ticked, what)

    def status(self) -> dict[str, float]:
        heard = self.peer.heard["/mpc_node/policy_status"]
        if not heard:
            return {"mode": -1, "version": 0}
        return {d.label: value for d, value in zip(heard[-1].layout.dim, heard[-1].data, strict=True)}

    def call(self, name) -> tuple[bool, str]:
        return self.peer.call(f"/mpc_node/{name}")


def test_a_teaching_node_streams_what_a_student_needs(tmp_path):
    planar = planar_robot(3)
    with ros(("mpc_node", {**arm(tmp_path), "control.controller": "teach"})) as (peer, _):
        robot = Robot(peer)
        robot.aim(planar, (1.4, -2.2, 0.2))
        heard = robot.samples
        robot.until(lambda: len(heard) > 20 and read(heard[-1])[0].kind == "point", "taught on the target")
        samples = [read(message) for message in heard]
        assert (np.diff([number for _, number in samples]) > 0).all()
        sample = samples[-1][0]
        assert (
            sample.source == "/mpc_node" and sample.q == pytest.approx(Q) and np.linalg.eigvalsh(sample.P).min() > 0.0
        )
        assert sample.target == pytest.approx(Kinematics(planar).position(np.array([1.4, -2.2, 0.2])), abs=1e-6)


@pytest.mark.slow
def test_a_policy_is_promoted_and_demoted_without_a_step_in_the_command(tmp_path):
    planar = planar_robot(3)
    policy, _ = fit(taught_samples(planar), planar, "point", SETTINGS, about={"version": 7})
    settings = {"promote_after": 0.1, "promote_disagreement": 1e9, "fall_back_disagreement": 1e9}
    with ros(("mpc_node", {**arm(tmp_path, **settings), "control.controller": "policy"})) as (peer, _):
        robot = Robot(peer)
        robot.aim(planar, (1.4, -2.2, 0.2))
        assert robot.call("promote_policy") == (False, "there is no policy")
        latched = peer.node.create_publisher(UInt8MultiArray, "/policy", qos.LATCHED)
        latched.publish(UInt8MultiArray(data=[1, 2, 3]))  # not a policy: refused, and the node goes on
        latched.publish(supervision_messages.to_policy_message(policy))
        robot.until(lambda: robot.status()["version"] == 7, "the policy")
        assert robot.status()["mode"] == Mode.SHADOW
        robot.until(lambda: robot.call("promote_policy")[0], "the end of its time in shadow")
        before = robot.last
        assert robot.tick() == pytest.approx(before, abs=1e-6)
        robot.until(lambda: robot.status()["mode"] == Mode.ACT, "the policy's status")
        before = robot.tick()
        assert robot.call("demote_policy")[0]
        assert robot.tick() == pytest.approx(before, abs=1e-6)
        robot.until(lambda: robot.status()["mode"] == Mode.FALLBACK, "the planner's return")


@pytest.mark.slow
def test_two_robots_of_one_kind_feed_one_student_of_two_tasks(tmp_path):
    planar = planar_robot(3)
    parameters = {
        **arm(tmp_path, tasks=2, iterations=5, goal_units=4, gain_units=4),
        "period": 0.2,
        "topics": ["/left/mpc_node/supervision", "/right/mpc_node/supervision"],
    }
    for key in ("lockstep", "control.rate", "planner.horizon", "planner.backend"):
        del parameters[key]
    taught = {side: taught_samples(planar, 600, seed) for seed, side in enumerate(("left", "right"))}

    def sample(side, k):
        s = taught[side]
        said = Supervision(
            1.0 + DT * k,
            "point",
            s.target[k],
            int(side == "right"),
            int(s.epoch[k]),
            s.q[k],
            s.qd[k],
            s.a[k],
            s.w[k],
            s.u[k],
            s.P[k],
        )
        return supervision_messages.to_message(said, k + 1, f"/{side}/mpc_node")

    with ros(("distillation_node", parameters)) as (peer, _):
        heard = []
        peer.node.create_subscription(UInt8MultiArray, "/policy", heard.append, qos.LATCHED)
        topics = {side: peer.publisher(Float64MultiArray, f"/{side}/mpc_node/supervision") for side in taught}
        waiting = list(range(600))

        def fed():
            for k in waiting[:20]:
                for side, topic in topics.items():
                    topic.publish(sample(side, k))
            del waiting[:20]
            return heard and len(heard[-1].data) and supervision_messages.read_policy(heard[-1]).about["targets"] > 40

        peer.until(fed, "a policy of both robots' targets")
        policy = supervision_messages.read_policy(heard[-1])
        assert policy.shape.tasks == 2
        left, right = ({tuple(t) for t in taught[side].target} for side in taught)
        known = {tuple(t) for t in policy.taught[0].targets.points}
        assert known & left and known & right
