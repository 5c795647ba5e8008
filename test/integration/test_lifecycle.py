"""mpc_node from its start to its end, over real DDS: configuration, lifecycle, services, safe commands, life signs."""

import signal
import sys

import numpy as np
import pytest

from mbrl_ros.data.dataset import Dataset
from mbrl_ros.safety.state_machine import State
from support.domains import new_domain
from support.needs import needs, present
from support.robots import planar_arm
from support.ros import PANDA, Listening, NodeProcess, ros, state

if present("rclpy"):
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState
    from rclpy.event_handler import SubscriptionEventCallbacks
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray, String, UInt8

    from mbrl_ros.nodes import message_writers, qos
    from mbrl_ros.nodes.status import read_status

pytestmark = needs("rclpy", "example-robot-data")


LOCKSTEP = {**PANDA, "lockstep": True}
EFFORT = {"robot.interface": "effort"}


def test_the_safe_command_leaves_before_the_process_does():
    with ros(("mpc_node", {**LOCKSTEP, "supervisor.safe_effort": "zero"})) as (peer, mpc):
        node = Listening(peer)
        node.begin(state(1.0))
        node.states.publish(state(1.005))
        node.answered(1.005)
        assert np.abs(peer.heard["/commands"][-1].data).max() > 0.0
        mpc.signal(signal.SIGTERM)
        assert mpc.wait() == 0, mpc.output
        peer.processes.clear()
        peer.until(lambda: not np.any(peer.heard["/commands"][-1].data), "the safe command")


def test_with_its_launcher_the_controller_ends_in_order_too():
    launcher = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    domain = new_domain()
    with ros(domain=domain) as (peer,):
        parent = NodeProcess(
            "mpc_node",
            domain,
            {**LOCKSTEP, "supervisor.safe_effort": "zero", "end_with_parent": True},
            launcher=[sys.executable, "-c", launcher],
        )
        peer.processes.append(parent)
        node = Listening(peer)
        node.begin(state(1.0))
        node.states.publish(state(1.005))
        node.answered(1.005)
        assert np.abs(peer.heard["/commands"][-1].data).max() > 0.0
        peer.processes.clear()
        parent.kill()
        peer.until(lambda: not np.any(peer.heard["/commands"][-1].data), "the safe command")
        peer.until(lambda: not peer.node.count_publishers("/commands"), "the end of the node")


def test_stale_states_end_in_the_safe_command():
    with ros(("mpc_node", {**PANDA, "supervisor.safe_effort": "zero", "control.stamp_clock": "own"})) as (peer, _):
        node = Listening(peer)
        node.begin(state(1.0))
        before = len(peer.heard["/commands"])
        peer.until(lambda: len(peer.heard["/commands"]) >= before + 10, "commands in the silence")
        assert not np.any([message.data for message in peer.heard["/commands"][before + 1 :]])
        peer.until(lambda: peer.heard["/mpc_node/status"], "a status")
        status = read_status(peer.heard["/mpc_node/status"][-1])
        assert status["supervisor_reasons"] == 32.0 and status["decision_status"] == -1.0  # STALE_STATE, no decision


@pytest.mark.slow(but=1)
@pytest.mark.parametrize(
    "parameters, words",
    (
        ({**PANDA, "robot.description": "/no/such/file.urdf"}, "/no/such/file.urdf"),
        ({**PANDA, "robot.joints": ["panda_joint1", "panda_jiont2"]}, "did you mean 'panda_joint2'"),
        ({**PANDA, "planer.horizon": 20}, "did you mean 'planner.horizon'"),
        ({**PANDA, "prior.integrator.strength": [1.0, 2.0]}, "must have 1 or 7 entries"),
    ),
)
def test_bad_configuration_ends_with_code_2_and_one_clear_line(parameters, words):
    process = NodeProcess("mpc_node", new_domain(), parameters)
    try:
        assert process.wait() == 2
        assert words in process.output and "Traceback" not in process.output
    finally:
        process.kill()


@pytest.mark.slow(but=1)
@pytest.mark.parametrize(
    "settings, words",
    (
        ({}, "set prior.integrator.strength"),
        (
            {"prior.integrator.strength": [600.0]},
            "cannot activate: the safe command 'arrest' needs the inertia of the arm",
        ),
    ),
)
def test_without_inertials_efforts_are_refused_in_one_line_that_says_what_to_do(tmp_path, settings, words):
    file = tmp_path / "bare.urdf"
    file.write_text(planar_arm(2).replace("<inertial>", "<!--").replace("</inertial>", "-->"))
    process = NodeProcess(
        "mpc_node",
        new_domain(),
        {"robot.description": str(file), "robot.joints": ["joint1", "joint2"], **EFFORT, **settings},
    )
    try:
        assert process.wait() == 2
        said = [line for line in process.output.splitlines() if "[ERROR]" in line]
        assert len(said) == 1 and words in said[0] and "Traceback" not in process.output
        assert "supervisor.safe_effort" in said[0] or not settings
    finally:
        process.kill()


def test_services_hold_stop_and_recover_explicitly(tmp_path):
    model = str(tmp_path / "model.npz")
    with ros(("mpc_node", {**LOCKSTEP, "supervisor.safe_effort": "zero", "model_file": model})) as (peer, mpc):
        node = Listening(peer)
        node.begin(state(1.0))
        stamps = iter(1.0 + 0.005 * np.arange(1, 100))

        def after_a_tick() -> float:
            """The supervisor's state after one more state."""
            stamp = float(next(stamps))
            node.states.publish(state(stamp))
            node.answered(stamp)
            peer.until(
                lambda: (
                    peer.heard["/mpc_node/status"]
                    and read_status(peer.heard["/mpc_node/status"][-1])["stamp"] == pytest.approx(stamp)
                ),
                "its status",
            )
            return read_status(peer.heard["/mpc_node/status"][-1])["supervisor_state"]

        def call(name: str) -> tuple[bool, str]:
            return peer.call(f"/mpc_node/{name}")

        assert after_a_tick() == State.ACTIVE
        assert call("hold") == (True, "the state is HOLD") and after_a_tick() == State.HOLD
        joints = peer.publisher(JointState, "/mpc_node/target_joints")
        joints.publish(state(0.0))
        peer.until(
            lambda: any("~/resume first" in told.data for told in peer.heard["/mpc_node/message"]), "the refusal"
        )
        assert any(told.data == "~/hold: done; the state is HOLD" for told in peer.heard["/mpc_node/message"])
        assert call("resume")[0] and after_a_tick() == State.ACTIVE
        assert call("e_stop")[0]
        peer.until(lambda: not np.any(peer.heard["/commands"][-1].data), "the safe command, without another state")
        assert after_a_tick() == State.E_STOP and not np.any(peer.heard["/commands"][-1].data)
        granted, why = call("resume")
        assert not granted and "~/clear" in why
        assert call("clear")[0] and after_a_tick() == State.HOLD
        assert call("resume")[0] and after_a_tick() == State.ACTIVE
        assert call("save_model")[0] and call("reset_model")[0] and call("load_model")[0]
        (tmp_path / "model.npz").write_bytes(b"nonsense")
        loaded, why = call("load_model")
        assert not loaded and "model.npz" in why
        assert after_a_tick() == State.ACTIVE


@pytest.mark.slow
def test_every_transition_is_kept_for_the_next_prior(tmp_path):
    """What `mbrl fit-prior --dataset` takes: state, command in effect and change of velocity of each period."""
    kept = tmp_path / "transitions.npz"
    with ros(("mpc_node", {**LOCKSTEP, "control.delay": 0.0, "transitions_file": str(kept)})) as (peer, mpc):
        node = Listening(peer)
        node.begin(state(1.0))
        for k in range(1, 21):
            node.states.publish(state(1.0 + 0.005 * k))
            node.answered(1.0 + 0.005 * k)
        mpc.signal(signal.SIGTERM)
        assert mpc.wait() == 0, mpc.output
    data = Dataset.load(kept)
    commands = np.array([message.data for message in peer.heard["/commands"]])
    assert data.owner.joints == tuple(PANDA["robot.joints"]) and data.X.shape == (20, 14)
    np.testing.assert_array_equal(data.U, commands[:20])
    np.testing.assert_array_equal(data.D, np.zeros((20, 7)))  # the states say that nothing moves


@pytest.mark.slow
def test_folders_that_cannot_be_written_cost_the_logs_and_nothing_else(tmp_path):
    nowhere = tmp_path / "a_file"
    nowhere.write_text("")
    with ros(
        ("mpc_node", {**LOCKSTEP, "log_file": str(nowhere / "ticks.npz")}), environment={"ROS_LOG_DIR": str(nowhere)}
    ) as (peer, mpc):
        node = Listening(peer)
        node.begin(state(1.0))
        mpc.signal(signal.SIGTERM)
        assert mpc.wait() == 0, mpc.output
        assert "no log files" in mpc.output and "the log was not written" in mpc.output


@pytest.mark.slow
def test_lifecycle_by_hand():
    """Nothing is sent before activation; deactivation sends the safe command; it can be activated again."""
    with ros(("mpc_node", {**LOCKSTEP, "autostart": False, "supervisor.safe_effort": "zero"})) as (peer, mpc):
        change = peer.node.create_client(ChangeState, "/mpc_node/change_state")
        peer.until(change.service_is_ready, "mpc_node")

        def go(transition: int) -> bool:
            future = change.call_async(ChangeState.Request(transition=Transition(id=transition)))
            peer.until(future.done, f"transition {transition}")
            return future.result().success

        assert go(Transition.TRANSITION_CONFIGURE)
        node = Listening(peer)
        node.states.publish(state(1.0))
        assert go(Transition.TRANSITION_ACTIVATE)
        node.begin(state(1.0))
        node.states.publish(state(1.005))
        node.answered(1.005)
        assert np.any(peer.heard["/commands"][-1].data)
        assert go(Transition.TRANSITION_DEACTIVATE)
        peer.until(lambda: not np.any(peer.heard["/commands"][-1].data), "the safe command")
        assert go(Transition.TRANSITION_ACTIVATE)
        node.states.publish(state(1.01))
        node.answered(1.01)
        assert go(Transition.TRANSITION_DEACTIVATE) and go(Transition.TRANSITION_CLEANUP)
        assert go(Transition.TRANSITION_CONFIGURE) and go(Transition.TRANSITION_INACTIVE_SHUTDOWN)
        assert mpc.wait() == 0, mpc.output


@pytest.mark.slow
def test_a_dead_node_is_noticed_by_its_heartbeat():
    with ros(("mpc_node", LOCKSTEP)) as (peer, mpc):
        changes = []
        peer.node.create_subscription(
            UInt8,
            "/mpc_node/heartbeat",
            lambda message: None,
            qos.HEARTBEAT,
            event_callbacks=SubscriptionEventCallbacks(liveliness=lambda info: changes.append(info.alive_count)),
        )
        node = Listening(peer)
        node.begin(state(1.0))
        for k in range(1, 400):  # a heartbeat goes out with a tick
            if changes and changes[-1] == 1:
                break
            node.states.publish(state(1.0 + 0.005 * k))
            node.answered(1.0 + 0.005 * k)
        peer.until(lambda: changes and changes[-1] == 1, "life")
        mpc.signal(signal.SIGKILL)
        peer.processes.clear()
        peer.until(lambda: changes[-1] == 0, "the loss of liveliness")


@pytest.mark.slow
def test_commands_go_out_in_the_order_of_the_forward_controller():
    order = list(reversed(PANDA["robot.joints"]))
    with ros(("mpc_node", {**LOCKSTEP, "forward_controller": "/forward_effort_controller"})) as (peer, mpc):
        node = Listening(peer)
        peer.listen(Float64MultiArray, "/mpc_node/shadow_commands")
        node.states.publish(state(1.0))
        peer.until(lambda: node.diagnosis("control loop").get("ticks", "0") != "0", "a tick")
        assert peer.heard["/commands"] == []  # the order is not known yet
        controller = peer.add_node("forward_effort_controller")
        controller.declare_parameter("joints", order)
        node.begin(state(1.0))
        peer.until(lambda: f"in the order {order}" in mpc.output, "the order")


def test_the_description_may_come_by_topic_and_time_from_a_simulation():
    """A robot described by its latched topic, with /clock: age is judged in simulated time and stands still with it."""
    robot = {"robot.joints": ["joint1", "joint2"], **EFFORT}
    parameters = {**robot, "control.rate": 50.0, "use_sim_time": True, "supervisor.safe_effort": "zero"}
    with ros(("mpc_node", parameters)) as (peer, mpc):
        clock = peer.publisher(Clock, "/clock")
        described = peer.node.create_publisher(String, "/robot_description", qos.LATCHED)
        described.publish(String(data=planar_arm(2)))
        peer.listen(Float64MultiArray, "/commands")
        states = peer.publisher(JointState, "/joint_states")

        def at(now: float, stamp: float | None = None) -> None:
            clock.publish(Clock(clock=message_writers.to_time(now)))
            if stamp is not None:
                states.publish(state(stamp, (0.1, 0.2), (0.0, 0.0), ("joint1", "joint2")))

        ticks = iter(np.arange(1, 10_000))
        peer.until(
            lambda: at(*(now := 100.0 + 0.02 * next(ticks), now)) or len(peer.heard["/commands"]) >= 5, "commands"
        )
        before = len(peer.heard["/commands"])
        frozen = 100.0 + 0.02 * next(ticks)
        for _ in range(20):  # real time passes, simulated time does not: nothing becomes stale
            at(frozen)
            peer.spin()
        assert not [m for m in peer.heard["/commands"][before + 1 :] if not np.any(m.data)]
        ahead = iter(frozen + 0.1 + 0.02 * np.arange(10_000))
        peer.until(lambda: at(next(ahead)) or not np.any(peer.heard["/commands"][-1].data), "the safe command")
