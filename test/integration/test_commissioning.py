"""mpc_node before it commands a robot: what must be configured, who executes the commands, what is answered."""

import time

import numpy as np
import pytest

from support.domains import new_domain
from support.needs import needs, present
from support.robots import planar_arm
from support.ros import NodeProcess, ros, state

if present("rclpy"):
    from diagnostic_msgs.msg import DiagnosticArray
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState
    from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
    from rcl_interfaces.srv import SetParameters
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray, String

    from mbrl_ros.nodes import command_watch, qos

pytestmark = needs("rclpy", "a C++ compiler")

JOINTS = ["joint1", "joint2"]
ARM = {"robot.joints": JOINTS, "robot.interface": "velocity", "control.rate": 50.0, "control.stamp_clock": "own"}
DESCRIBED = {**ARM, "robot_description": planar_arm(2).replace("\n", " ").replace('"', "'")}


def feed(peer, publisher, seconds: float = 0.0, until=None) -> None:
    """Send states of the arm at 50 Hz, for so long or until a condition holds."""
    begin = time.monotonic()

    def sent() -> bool:
        peer.spin()
        message = state(100.0 + time.monotonic() - begin, (0.1, 0.2), (0.0, 0.0), JOINTS)
        publisher.publish(message)
        time.sleep(0.015)
        return time.monotonic() - begin > seconds if until is None else bool(until())

    peer.until(sent, "what was waited for")


@pytest.mark.slow(but=1)
@pytest.mark.parametrize(
    "parameters, words",
    (
        ({}, "no parameter robot.* was given"),
        ({"shadow": True}, "no parameter robot.* was given"),
        ({"robot.joints": JOINTS}, "robot.interface (what a command is"),
        ({"robot.interface": "effort"}, "robot.joints (the joints in the order of the commands) must be given"),
        ({"robot.interface": "effort", "lockstep": True, "robot.joints": ["no_such"]}, "no_such"),
    ),
)
def test_a_node_that_is_not_configured_for_a_robot_ends_with_one_line(parameters, words):
    given = {"robot_description": DESCRIBED["robot_description"], **parameters}
    process = NodeProcess("mpc_node", new_domain(), given)
    try:
        assert process.wait() == 2
        lines = [line for line in process.output.splitlines() if "mpc_node" in line and "building" not in line]
        assert len(lines) == 1 and words in lines[0]
    finally:
        process.kill()


class Caller:
    """Calls the lifecycle and parameter services of mpc_node."""

    def __init__(self, peer):
        self.peer = peer
        self.change = peer.node.create_client(ChangeState, "/mpc_node/change_state")
        self.set = peer.node.create_client(SetParameters, "/mpc_node/set_parameters")
        peer.until(lambda: self.change.service_is_ready() and self.set.service_is_ready(), "mpc_node")

    def go(self, transition: int) -> bool:
        future = self.change.call_async(ChangeState.Request(transition=Transition(id=transition)))
        self.peer.until(future.done, f"the answer to transition {transition}")
        return future.result().success

    def put(self, name: str, value: str):
        entry = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
        future = self.set.call_async(SetParameters.Request(parameters=[Parameter(name=name, value=entry)]))
        self.peer.until(future.done, f"the answer to {name}")
        return future.result().results[0]


@pytest.mark.slow
def test_an_unconfigured_node_takes_parameters_and_a_refused_transition_answers():
    """What is missing is named, given by a service, and then the node is configured; in use it does not change."""
    parameters = {key: value for key, value in DESCRIBED.items() if key != "robot.interface"}
    with ros(("mpc_node", {**parameters, "autostart": False})) as (peer, mpc):
        caller = Caller(peer)
        assert not caller.go(Transition.TRANSITION_ACTIVATE)  # of an unconfigured node: today's rclpy never answers
        assert not caller.go(Transition.TRANSITION_CONFIGURE)
        peer.until(lambda: "robot.interface (what a command is" in mpc.output, "the reason")
        assert not caller.put("robot.interface", "torque").successful
        assert caller.put("robot.interface", "velocity").successful
        assert caller.go(Transition.TRANSITION_CONFIGURE)
        refused = caller.put("robot.interface", "effort")
        assert not refused.successful and "can change only while the node is unconfigured" in refused.reason
        assert not caller.go(Transition.TRANSITION_CONFIGURE)
        assert caller.go(Transition.TRANSITION_ACTIVATE) and caller.go(Transition.TRANSITION_DEACTIVATE)
        assert caller.go(Transition.TRANSITION_CLEANUP)
        assert caller.put("robot.interface", "position").successful
        assert not caller.put("autostart", "true").successful


def controller(peer, name: str, joints, interface: str = "velocity", topic: str = "/velocity_controller/commands"):
    """A node with the parameters and the subscription of a forward_command_controller; what it got."""
    node, got = peer.add_node(name), []
    node.declare_parameter("joints", joints)
    node.declare_parameter("interface_name", interface)
    node.create_subscription(Float64MultiArray, topic, got.append, 10)
    return node, got


REMAPPED = {"commands": "velocity_controller/commands"}


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("guard", ("", "guard_node"))
def test_the_controller_behind_the_topic_is_asked_for_interface_and_order_again_after_its_restart(guard):
    """Until it is there and was asked, nothing is published, although a recorder and mpc_node itself listen."""
    with ros() as (peer,):
        recorder, recorded = peer.add_node("rosbag2_recorder"), []
        recorder.create_subscription(Float64MultiArray, "/velocity_controller/commands", recorded.append, 10)
        started = ([("guard_node", {})] if guard else []) + [("mpc_node", {**DESCRIBED, "guard": guard})]
        peer.processes += [NodeProcess(name, peer.domain, given, remap=REMAPPED) for name, given in started]
        mpc = peer.processes[-1]
        states = peer.publisher(JointState, "/joint_states")
        feed(peer, states, 1.0)
        node, wrong = controller(peer, "velocity_controller", JOINTS, "effort")
        feed(peer, states, until=lambda: "no command will be published: the interface of" in mpc.output)
        feed(peer, states, 0.5)
        assert wrong == recorded == []
        peer.remove_node(node)
        _, right = controller(peer, "velocity_controller", JOINTS[::-1])
        feed(peer, states, until=lambda: right)
        assert [dim.label for dim in right[-1].layout.dim][-2:] == JOINTS[::-1] and wrong == []
        assert np.all(np.isfinite(right[-1].data))


def reported(peer) -> str:
    """What the newest diagnostics say of the commands; empty before the first."""
    parts = [part for message in peer.heard["/diagnostics"][-1:] for part in message.status]
    return next((part.message for part in parts if part.name.endswith(": commands")), "")


def warnings(mpc) -> list[str]:
    return [line for line in mpc.output.splitlines() if "[WARN]" in line]


@pytest.mark.slow
def test_commands_that_nobody_reads_and_a_second_publisher_are_named_within_two_seconds():
    assert 3.0 * command_watch.LOOK_PERIOD < 2.0  # two looks, after the change
    with ros(("mpc_node", DESCRIBED)) as (peer, mpc):
        states = peer.publisher(JointState, "/joint_states")
        reader = peer.node.create_subscription(Float64MultiArray, "/commands", lambda message: None, 10)
        peer.listen(DiagnosticArray, "/diagnostics")
        feed(peer, states, until=lambda: reported(peer) == "one publisher")
        before = len(warnings(mpc))  # nodes that start may be discovered late
        peer.heard["/diagnostics"].clear()
        feed(peer, states, until=lambda: len(peer.heard["/diagnostics"]) >= 3)
        assert not [line for line in warnings(mpc)[before:] if "commands" in line], "two nodes, as it should be"
        other = peer.node.create_publisher(Float64MultiArray, "/commands", 10)
        feed(peer, states, until=lambda: "another publisher, which commands the robot too: /peer" in mpc.output)
        peer.node.destroy_publisher(other)
        peer.node.destroy_subscription(reader)
        before = len(warnings(mpc))
        feed(peer, states, until=lambda: any("nobody reads the commands" in line for line in warnings(mpc)[before:]))
        peer.heard["/diagnostics"].clear()
        feed(peer, states, until=lambda: "nobody reads" in reported(peer))
        assert {part.hardware_id for part in peer.heard["/diagnostics"][-1].status} == {"planar2"}  # the URDF's name
        peer.heard["/diagnostics"].clear()
        feed(peer, states, until=lambda: len(peer.heard["/diagnostics"]) >= 3)
        assert sum("nobody reads" in line for line in warnings(mpc)[before:]) == 1, "said once while it lasts"


@pytest.mark.slow
def test_the_guards_diagnostics_name_the_same_robot_as_those_of_mpc_node():
    with ros(("guard_node", {}), ("mpc_node", {**DESCRIBED, "guard": "guard_node"})) as (peer, *_):
        reader = peer.node.create_subscription(Float64MultiArray, "/commands", lambda message: None, 10)
        states = peer.publisher(JointState, "/joint_states")
        peer.listen(DiagnosticArray, "/diagnostics")
        named = {"/guard_node: guard": "planar2", "/mpc_node: guard": "planar2", "/mpc_node: supervisor": "planar2"}

        def newest() -> dict[str, str]:
            parts = [part for message in peer.heard["/diagnostics"] for part in message.status]
            return {part.name: part.hardware_id for part in parts if part.name in named}

        feed(peer, states, until=lambda: newest() == named)
        peer.node.destroy_subscription(reader)


@pytest.mark.slow
def test_behind_a_guard_too_it_is_said_that_nobody_reads_the_commands():
    """mpc_node itself listens to what its guard forwards, and a recorder to everything: neither moves the robot."""
    with ros(("guard_node", {}), ("mpc_node", {**DESCRIBED, "guard": "guard_node"})) as (peer, _, mpc):
        recorder = peer.add_node("rosbag2_recorder")
        recorder.create_subscription(Float64MultiArray, "/commands", lambda message: None, 10)
        states = peer.publisher(JointState, "/joint_states")
        feed(peer, states, until=lambda: "nobody reads the commands on '/commands'" in mpc.output)
        assert "another publisher" not in mpc.output


@pytest.mark.slow
def test_a_description_that_changes_after_configuring_is_named():
    with ros(("mpc_node", ARM)) as (peer, mpc):
        described = peer.node.create_publisher(String, "/robot_description", qos.LATCHED)
        described.publish(String(data=planar_arm(2)))
        states = peer.publisher(JointState, "/joint_states")
        feed(peer, states, 0.5)
        described.publish(String(data=planar_arm(2)))  # published anew, and the same
        feed(peer, states, 0.5)
        assert "has changed" not in mpc.output
        described.publish(String(data=planar_arm(2).replace("joint1", "other1")))
        feed(peer, states, until=lambda: "robot_description has changed" in mpc.output)
