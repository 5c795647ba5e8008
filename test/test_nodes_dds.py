"""The nodes as processes, over real DDS: they move a robot, agree with themselves, survive bad input, end in order."""

import signal

import numpy as np
import pytest
from ros_for_tests import PANDA, NodeProcess, Peer, needs_panda, new_domain, ros

pytest.importorskip("mujoco", reason="MuJoCo is not installed")
pytestmark = needs_panda

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.event_handler import SubscriptionEventCallbacks
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String, UInt8
from std_srvs.srv import Trigger

from mbrl_ros.nodes import messages, qos
from mbrl_ros.nodes.status import read_status
from mbrl_ros.robots import load_robot
from mbrl_ros.settings import RobotSettings
from mbrl_ros.state_machine import State
from mbrl_ros.tick_log import load_table

HOME = [0.0, -0.5, 0.0, -2.0, 0.0, 1.6, 0.8]
TARGET = (0.45, 0.15, 0.5)
LOCKSTEP = {**PANDA, "lockstep": True}


def panda():
    return load_robot(RobotSettings(description=PANDA["robot.description"], joints=tuple(PANDA["robot.joints"]),
                                    tip=PANDA["robot.tip"]))


def lockstep_run(folder, name: str, seconds: float):
    """(truth, control, facts of control) of a run with one target at t = 0.2 s."""
    files = {node: str(folder / f"{name}-{node}.npz") for node in ("sim", "mpc")}
    with ros(("mpc_node", {**LOCKSTEP, "log_file": files["mpc"]}),
             ("sim_node", {**LOCKSTEP, "log_file": files["sim"], "autostart": False, "duration": seconds,
                           "plant.initial_position": HOME})) as (peer, mpc, sim):
        target = PointStamped()
        target.header.stamp = messages.to_time(1.2)
        target.point.x, target.point.y, target.point.z = TARGET
        publisher = peer.publisher(PointStamped, "/mpc_node/target_point")
        peer.listen(Float64MultiArray, "/mpc_node/status")
        publisher.publish(target)
        start = peer.node.create_client(Trigger, "/sim_node/start")
        peer.until(lambda: start.service_is_ready() and peer.node.count_subscribers("/commands"), "sim_node")
        done = start.call_async(Trigger.Request())
        peer.until(done.done, "the start")
        peer.processes.remove(sim)
        peer.until(lambda: not sim.running, "the end of the simulation")
        assert sim.wait() == 0, sim.output
        peer.until(lambda: peer.heard["/mpc_node/status"]
                   and read_status(peer.heard["/mpc_node/status"][-1])["tick"] == round(200 * seconds), "the last status")
        mpc.signal(signal.SIGTERM)
        assert mpc.wait() == 0, mpc.output
        statuses = [read_status(message) for message in peer.heard["/mpc_node/status"]]
    truth, _ = load_table(files["sim"])
    control, facts = load_table(files["mpc"])
    return truth, control, facts, statuses


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lockstep")
    return [lockstep_run(folder, str(k), 2.0) for k in range(2)]


def test_a_panda_that_knows_nothing_moves_towards_its_target(runs):
    truth, control, _, statuses = runs[0]
    distance = np.linalg.norm(truth["tip"] - TARGET, axis=1)
    assert distance[-1] < 0.2 * distance[40]  # at the target's start, 0.2 s
    assert control["stamp"] == pytest.approx(1.0 + 0.005 * np.arange(400), abs=1e-9)  # every state, one command
    assert statuses[-1]["tick"] == 400 and statuses[-1]["target_kind"] == 1.0


def test_commands_are_in_limits_and_what_the_robot_felt(runs):
    truth, control, _, _ = runs[0]
    robot = panda()
    assert (control["u"] >= robot.command_lower).all() and (control["u"] <= robot.command_upper).all()
    assert np.array_equal(truth["u"], control["u"])
    assert np.abs(truth["qd"] / robot.velocity_limit).max() < 0.95


def test_two_lockstep_runs_agree_to_the_last_bit(runs):
    for first, second in zip(runs[0][:2], runs[1][:2]):
        for name in first:
            if name not in ("compute_ms", "latency_ms", "period_us"):
                assert np.array_equal(first[name], second[name], equal_nan=True), name


def test_nothing_was_missed_or_rejected(runs):
    _, control, facts, _ = runs[0]
    assert control["missed"][-1] == 0
    assert {name: count for counts in facts["rejected"].values() for name, count in counts.items()
            if name != "duplicate stamp"} == {}  # an unanswered state may have been sent twice


def state(stamp: float, q=HOME, qd=(0.0,) * 7, names=None) -> JointState:
    message = JointState(name=list(names or PANDA["robot.joints"]), position=[float(v) for v in q],
                         velocity=[float(v) for v in qd])
    message.header.stamp = messages.to_time(stamp)
    return message


class Listening:
    """An mpc_node in lockstep with this process as its robot."""

    def __init__(self, peer: Peer):
        self.peer = peer
        for kind, topic in ((Float64MultiArray, "/commands"), (Float64MultiArray, "/mpc_node/status"),
                            (String, "/mpc_node/message"), (DiagnosticArray, "/diagnostics")):
            peer.listen(kind, topic)
        self.states = peer.publisher(JointState, "/joint_states")

    def answer(self, stamp: float) -> Float64MultiArray | None:
        """The command for the state stamped `stamp`, if it is there."""
        return next((m for m in self.peer.heard["/commands"] if messages.answered_stamp(m) == pytest.approx(stamp)), None)

    def answered(self, stamp: float) -> Float64MultiArray:
        """... once it is there."""
        self.peer.until(lambda: self.answer(stamp), f"the answer to {stamp}")
        return self.answer(stamp)

    def begin(self, message: JointState) -> None:
        """Send the first state until there is an answer: then everybody knows everybody."""
        stamp = messages.seconds(message.header.stamp)
        self.peer.send_until(self.states, message, lambda: self.answer(stamp), "the first answer")

    def diagnosis(self, part: str) -> dict[str, str]:
        """The newest key-values of one part of /diagnostics."""
        for message in reversed(self.peer.heard["/diagnostics"]):
            for status in message.status:
                if status.name.endswith(part):
                    return {entry.key: entry.value for entry in status.values}
        return {}


def test_bad_input_is_counted_by_name_and_survived():
    with ros(("mpc_node", LOCKSTEP)) as (peer, mpc):
        node = Listening(peer)
        node.begin(state(1.0))
        bad = [state(1.001, q=[float("nan")] * 7), state(1.001, names=["panda_joint8", *PANDA["robot.joints"][1:]]),
               state(1.001, q=HOME[:6]), state(0.5), state(-1.0), state(1.001, qd=[1e9] * 7)]
        for message in bad:
            node.states.publish(message)
        node.states.publish(state(1.005))
        assert np.isfinite(node.answered(1.005).data).all()
        expected = {"not finite": 1, "missing joints": 1, "wrong length": 1, "backward stamp": 1, "no stamp": 1,
                    "implausible value": 1}
        peer.until(lambda: node.diagnosis("joint_states").get("accepted") == "2", "diagnostics")
        report = node.diagnosis("joint_states")
        assert {key.removeprefix("rejected: "): int(value) for key, value in report.items()
                if key.startswith("rejected: ") and "duplicate stamp" not in key} == expected
        assert "did you mean 'panda_joint8'" in report["last missing joints"]
        assert len({messages.answered_stamp(m) for m in peer.heard["/commands"]}) == 2
        mpc.signal(signal.SIGINT)
        assert mpc.wait() == 0, mpc.output


def test_velocities_are_estimated_where_they_are_missing():
    with ros(("mpc_node", LOCKSTEP)) as (peer, _):
        node = Listening(peer)
        node.states.publish(state(1.0, qd=()))  # one sample has no slope, so it gets no answer
        node.begin(state(1.005, qd=()))
        node.states.publish(state(1.01, qd=()))
        node.answered(1.01)
        assert {messages.answered_stamp(m) for m in peer.heard["/commands"]} == {1.005, 1.01}


def test_refused_targets_are_told_to_whoever_listens():
    with ros(("mpc_node", LOCKSTEP)) as (peer, _):
        node = Listening(peer)
        node.begin(state(1.0))
        publisher = peer.publisher(PointStamped, "/mpc_node/target_point")
        for frame, x in (("panda_link0", 3.0), ("camera", 0.4), ("", float("nan"))):
            message = PointStamped()
            message.header.frame_id, message.point.x = frame, x
            publisher.publish(message)
        peer.until(lambda: len(peer.heard["/mpc_node/message"]) == 3, "three refusals")
        texts = [message.data for message in peer.heard["/mpc_node/message"]]
        assert "out of reach" in texts[0] and "base frame 'panda_link0'" in texts[1] and "finite" in texts[2]
        node.states.publish(state(1.005))
        node.answered(1.005)


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


def test_stale_states_end_in_the_safe_command():
    with ros(("mpc_node", {**PANDA, "supervisor.safe_effort": "zero", "control.stamp_clock": "own"})) as (peer, _):
        node = Listening(peer)
        node.begin(state(1.0))
        before = len(peer.heard["/commands"])
        peer.until(lambda: len(peer.heard["/commands"]) >= before + 10, "commands in the silence")
        assert not np.any([message.data for message in peer.heard["/commands"][before + 1:]])
        peer.until(lambda: peer.heard["/mpc_node/status"], "a status")
        status = read_status(peer.heard["/mpc_node/status"][-1])
        assert status["supervisor_reasons"] == 32.0 and status["decision_status"] == -1.0  # STALE_STATE, no decision


@pytest.mark.parametrize("parameters, words", (
    ({**PANDA, "robot.description": "/no/such/file.urdf"}, "/no/such/file.urdf"),
    ({**PANDA, "robot.joints": ["panda_joint1", "panda_jiont2"]}, "did you mean 'panda_joint2'"),
    ({**PANDA, "planer.horizon": 20}, "did you mean 'planner.horizon'"),
    ({**PANDA, "prior.integrator.strength": [1.0, 2.0]}, "must have 1 or 7 entries"),
))
def test_bad_configuration_ends_with_code_2_and_one_clear_line(parameters, words):
    process = NodeProcess("mpc_node", new_domain(), parameters)
    try:
        assert process.wait() == 2
        assert words in process.output and "Traceback" not in process.output
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
            peer.until(lambda: peer.heard["/mpc_node/status"]
                       and read_status(peer.heard["/mpc_node/status"][-1])["stamp"] == pytest.approx(stamp), "its status")
            return read_status(peer.heard["/mpc_node/status"][-1])["supervisor_state"]

        def call(name: str) -> tuple[bool, str]:
            client = peer.node.create_client(Trigger, f"/mpc_node/{name}")
            peer.until(client.service_is_ready, name)
            future = client.call_async(Trigger.Request())
            peer.until(future.done, f"the answer of {name}")
            return future.result().success, future.result().message

        assert after_a_tick() == State.ACTIVE
        assert call("hold") == (True, "the state is HOLD") and after_a_tick() == State.HOLD
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


def test_a_dead_node_is_noticed_by_its_heartbeat():
    with ros(("mpc_node", LOCKSTEP)) as (peer, mpc):
        changes = []
        peer.node.create_subscription(
            UInt8, "/mpc_node/heartbeat", lambda message: None, qos.HEARTBEAT,
            event_callbacks=SubscriptionEventCallbacks(liveliness=lambda info: changes.append(info.alive_count)))
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
