"""Targets that wait in another thread, for inverse kinematics or a transform, are forgotten with all others."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.target_tracking import TargetTracking
from mbrl_ros.exceptions import TargetError
from mbrl_ros.references.target_manager import TargetManager
from mbrl_ros.replay.targets import TargetReplayer
from support.needs import needs, present
from support.robots import planar_robot

if present("rclpy"):
    from geometry_msgs.msg import PointStamped, TwistStamped
    from sensor_msgs.msg import JointState

    from mbrl_ros.nodes import bounded
    from mbrl_ros.nodes.target_inputs import TargetInputs
    from mbrl_ros.nodes.target_outcomes import TargetOutcomes

DT, Q = 0.01, np.array([0.4, 0.8])
JOINTS = ("joint1", "joint2")


class Tracking(TargetTracking):
    """A controller that only takes targets; inverse kinematics ends when `solved` is set."""

    def __init__(self):
        self.robot = planar_robot(2)
        self.configuration = Configuration.from_flat({"frames.transforms": False})
        super().__init__(TargetManager(self.robot, self.configuration.reference, DT))
        self.target_manager.reset(Q, 0.0)
        self.begun, self.solved = threading.Event(), threading.Event()

    def set_point_target(self, p, stamp=0.0):
        self.begun.set()
        assert self.solved.wait(30.0)
        return super().set_point_target(p, stamp)


@pytest.fixture
def node(monkeypatch):
    """The inputs of a node without DDS: {topic: what takes a message}, and what is refused."""
    callbacks, controller = {}, Tracking()

    def subscribe(node, kind, topic, callback, *others):
        callbacks[topic.removeprefix("~/")] = callback

    monkeypatch.setattr(bounded, "subscribe", subscribe)
    refused = []
    loop = SimpleNamespace(controller=controller, target_refused=lambda *told: refused.append(told))
    ros = SimpleNamespace(
        create_publisher=lambda *given: None,
        destroy_subscription=lambda one: None,
        destroy_publisher=lambda one: None,
    )
    outcomes = TargetOutcomes(controller, SimpleNamespace(report=lambda *told, **how: None))
    kinds = ("twist", "velocities", "jog", "joints", "point", "pose", "features", "trajectory")
    sizes = {f"target_{kind}": 1000 for kind in kinds}
    inputs = TargetInputs(ros, loop, outcomes, sizes, lockstep=False)
    yield SimpleNamespace(inputs=inputs, send=callbacks, controller=controller, outcomes=outcomes, refused=refused)
    controller.solved.set()


def joints(*q: float) -> "JointState":
    return JointState(name=list(JOINTS), position=list(q))


@needs("rclpy")
def test_cancel_forgets_the_targets_that_wait_in_another_thread(node):
    manager = node.controller.target_manager
    point = PointStamped()
    point.point.x, point.point.z = 0.5, 0.3
    node.send["target_point"](point)
    assert node.controller.begun.wait(30.0)
    node.send["target_joints"](joints(0.1, 0.2))
    node.send["target_twist"](TwistStamped())
    manager.hold(Q, np.zeros(2), 0.1)  # as ~/cancel and ~/hold do
    node.send["target_joints"](joints(0.3, 0.4))
    node.controller.solved.set()
    node.inputs.close()
    assert node.outcomes.refused == {f"target_{name}: canceled": 1 for name in ("point", "joints", "twist")}
    assert manager.queue.accepted == 1 and manager.jogs.counts.accepted == 0
    manager.advance(0.2, np.concatenate((Q, np.zeros(2))))
    np.testing.assert_array_equal(manager.target.q, [0.3, 0.4])
    assert node.refused == [("target_point", 0.0, 0), ("target_joints", 0.0, 1), ("target_twist", 0.0, 0)]


@needs("rclpy")
def test_a_jog_that_waited_for_other_targets_until_its_time_was_over_has_no_effect(node):
    state = SimpleNamespace(stamp=1.0, q=Q, uncontrolled=None)
    node.inputs.add_state(state, restarted=False)
    node.send["target_point"](PointStamped())
    assert node.controller.begun.wait(30.0)
    node.send["target_twist"](TwistStamped())
    node.inputs.add_state(SimpleNamespace(stamp=1.3, q=Q, uncontrolled=None), restarted=False)
    node.send["target_twist"](TwistStamped())
    node.controller.solved.set()
    node.inputs.close()
    assert node.outcomes.refused["target_twist: too late"] == 1
    assert node.controller.jog_counts.accepted == 1
    assert ("target_twist", 0.0, 1) in node.refused


def test_what_was_asked_for_before_all_was_forgotten_is_not_accepted():
    manager = TargetManager(planar_robot(2), Configuration.from_flat({}).reference, DT)
    manager.reset(Q, 0.0)
    asked = manager.queue.forgotten
    with manager.queue.asked_at(asked):
        manager.set_joint_target(Q)
        manager.hold(Q, np.zeros(2), 0.1)
        for set_one in (manager.set_joint_target, manager.set_velocities):
            with pytest.raises(TargetError) as refused:
                set_one(Q)
            assert refused.value.kind == "canceled"
    with pytest.raises(TargetError), manager.queue.asked_at(asked):
        raise AssertionError("it is refused before inverse kinematics")
    manager.set_joint_target(Q)  # nothing is left behind in this thread
    assert manager.accepted == 2


def test_a_replay_leaves_out_the_target_that_was_refused_not_a_newer_one():
    controller = Tracking()
    replayer = TargetReplayer(controller, controller.robot, None, lambda text: None)
    stamp = SimpleNamespace(sec=0, nanosec=0)
    for k, q in enumerate(([0.1, 0.2], [0.3, 0.4])):
        message = SimpleNamespace(header=SimpleNamespace(stamp=stamp), name=list(JOINTS), position=q)
        replayer.wait(0.1 * k, "target_joints", message)
    replayer.refuse("target_joints", 0.0, newer=1)
    replayer.give_until(1, 0.2)
    controller.target_manager.advance(0.2, np.concatenate((Q, np.zeros(2))))
    np.testing.assert_array_equal(controller.target.q, [0.3, 0.4])
