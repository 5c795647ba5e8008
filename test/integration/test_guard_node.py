"""guard_node over real DDS: it stops the arm when mpc_node dies or hangs and hands it over; mpc_node watches it."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from support import ROOT
from support.domains import new_domain
from support.guarded import JOINTS, guarded_arm
from support.guards import parameters
from support.needs import needs, present
from support.ros import NodeProcess, Peer, state

if present("rclpy"):
    from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray, MultiArrayDimension

    from mbrl_ros.guard.messages import read_status, write_parameters

pytestmark = needs("rclpy", "mujoco")
BUSY = 0.25  # [s] for which a busy machine may hold a velocity command back; test/unit/guard has the exact times
UNCONNECTED = 1.0  # [s] without a command while a guard starts; 1.6 s were seen where it did not wait for the robot
BOX = {"effort": 40.0, "velocity": 3.0, "position": 2.5}


@pytest.mark.slow(but=1)
@pytest.mark.realtime
@pytest.mark.parametrize(
    "interface, number",
    (("effort", signal.SIGKILL), ("velocity", signal.SIGSTOP), ("position", signal.SIGKILL)),
    ids=("effort-kill", "velocity-stop", "position-kill"),
)
def test_an_arm_in_motion_is_stopped_held_and_handed_over(tmp_path, interface, number):
    """In real time; test_guard_time.py has every interface with both signals."""
    with guarded_arm(tmp_path, interface) as arm:
        arm.move()
        played = len(arm.own())
        if number == signal.SIGKILL:
            arm.kill(arm.mpc)
        else:
            arm.mpc.signal(number)
        arm.peer.until(lambda: len(arm.own()) > played, "a safe command")
        arm.wait(1.0)
        safe = arm.own()[played]
        arm.peer.until(arm.at_rest, "rest")
        assert arm.beyond_braking(safe.at) < 0.05 + BUSY * np.abs(arm.state_at(safe.at).speeds).max()
        values = np.array([command.values for command in arm.commands])
        assert np.isfinite(values).all() and np.abs(values).max() <= BOX[interface] + 1e-9
        held, count = arm.truth[-1].values, len(arm.commands)
        arm.wait(1.0)
        creep = 0.1 if interface == "effort" else 1e-3  # an effort's integral still looks for what carries the arm
        np.testing.assert_allclose(arm.truth[-1].values, held, atol=creep)
        if number == signal.SIGKILL:
            arm.restart_mpc()
        else:
            arm.mpc.signal(signal.SIGCONT)
        arm.until_mode("FORWARDING")
        arm.wait(1.0)
        # the first command of mpc_node follows the guard's last one without a step, and the arm stays where it was held
        for before, after in zip(arm.commands[count:], arm.commands[count + 1 :], strict=False):
            if before.label == "guard" and after.label != "guard":
                step = 0.1 * 2.0 * BOX["effort"] if interface == "effort" else 1e-3
                np.testing.assert_allclose(after.values, before.values, atol=step)
        np.testing.assert_allclose(arm.truth[-1].values, held, atol=2.0 * creep)
        arm.move()


@pytest.mark.slow
@pytest.mark.realtime
@pytest.mark.parametrize("interface", ("effort", "velocity"))
def test_without_its_guard_mpc_node_stops_the_arm_and_says_so(tmp_path, interface):
    with guarded_arm(tmp_path, interface) as arm:
        arm.move()
        killed = time.time()
        arm.kill(arm.guard)
        arm.peer.until(lambda: "no command comes from the guard" in arm.mpc.output, "the loss")
        arm.peer.until(arm.at_rest, "rest")
        # on a busy machine the state may be DEGRADED already, because commands came late
        arm.peer.until(lambda: "DEGRADED -> FAULT (GUARD)" in arm.mpc.output, "the fault")
        assert "-> DEGRADED (" in arm.mpc.output
        assert arm.beyond_braking(killed) < 0.05 + BUSY * np.abs(arm.state_at(killed).speeds).max()

        def reported() -> bool:
            statuses = [status for message in arm.peer.heard["/diagnostics"] for status in message.status]
            return any(
                status.name == "/mpc_node: guard" and status.level == DiagnosticStatus.ERROR
                for status in statuses[-20:]
            )

        arm.peer.until(reported, "an error in the diagnostics")
        assert not arm.call("mpc_node", "clear")[0]  # there is still no guard
        arm.statuses.clear()
        count = len(arm.commands)
        arm.restart_guard()
        arm.until_mode("FORWARDING")
        arm.wait(0.5)
        times = np.array([command.at for command in arm.commands[count:]])
        assert np.diff(times).max() < UNCONNECTED  # mpc_node commands the arm until the guard has found the robot
        arm.move()


@pytest.mark.slow
@pytest.mark.realtime
@pytest.mark.parametrize("interface", ("velocity", "position"))
def test_a_guard_that_was_stopped_goes_on_from_where_the_arm_is_now(tmp_path, interface):
    """mpc_node has stopped the arm past it: the guard's own last command is long over."""
    with guarded_arm(tmp_path, interface) as arm:
        arm.move()
        arm.guard.signal(signal.SIGSTOP)
        arm.peer.until(lambda: "no command comes from the guard" in arm.mpc.output, "the loss")
        arm.peer.until(arm.at_rest, "rest")
        arm.wait(0.5)
        count, held, continued = len(arm.commands), arm.commands[-1].values, time.time()
        arm.guard.signal(signal.SIGCONT)
        arm.peer.until(lambda: arm.call("mpc_node", "clear")[0], "a guard that forwards")
        late = [command.at < continued for command in arm.commands[count:]]
        assert sum(late) <= 1  # one that it was just sending when it was stopped, nothing can take back
        for command, left_before in zip(arm.commands[count:], late, strict=True):
            if not left_before:  # some are the guard's own where mpc_node was not run just then
                np.testing.assert_allclose(command.values, held, atol=1e-3)
        arm.until_mode("FORWARDING")
        arm.move()


@pytest.mark.slow
@pytest.mark.realtime
def test_an_emergency_stop_needs_no_mpc_node(tmp_path):
    with guarded_arm(tmp_path, "velocity") as arm:
        arm.move()
        arm.mpc.signal(signal.SIGSTOP)
        assert arm.call("guard_node", "e_stop") == (True, "the guard is in E_STOP")
        arm.peer.until(arm.at_rest, "rest")
        arm.mpc.signal(signal.SIGCONT)
        arm.wait(1.0)
        assert arm.mode == "E_STOP" and arm.commands[-1].label == "guard"
        assert not arm.call("guard_node", "resume")[0]
        assert arm.call("guard_node", "clear")[0] and arm.call("guard_node", "resume")[0]
        arm.until_mode("FORWARDING")
        arm.wait(0.5)
        assert arm.at_rest()  # mpc_node was stopped, too: it does not go on by surprise
        arm.move()


@pytest.mark.slow
@pytest.mark.realtime
def test_hold_asked_of_the_guard_holds_mpc_node_too(tmp_path):
    with guarded_arm(tmp_path, "velocity") as arm:
        arm.move()
        assert arm.call("guard_node", "hold") == (True, "the guard is in HOLD")
        arm.peer.until(arm.at_rest, "rest")
        arm.peer.until(lambda: "-> HOLD" in arm.mpc.output, "mpc_node's hold")
        assert arm.call("guard_node", "resume")[0]
        arm.until_mode("FORWARDING")
        arm.wait(0.5)
        assert arm.at_rest()
        assert arm.call("mpc_node", "resume")[0]
        arm.move()


@pytest.mark.slow
@pytest.mark.realtime
def test_the_guards_own_end_brings_the_arm_to_rest_first(tmp_path):
    with guarded_arm(tmp_path, "velocity") as arm:
        arm.move()
        arm.peer.processes.remove(arm.guard)
        arm.guard.signal(signal.SIGTERM)
        assert arm.guard.wait() == 0, arm.guard.output
        arm.peer.until(arm.at_rest, "rest")
        assert not arm.own()[-1].values.any()


# --- this process in place of mpc_node --------------------------------------------------------------------------------


class Sender:
    """Sends commands and parameters to a guard, good ones and others."""

    def __init__(self, domain: int):
        self.peer = Peer(domain)
        self.guard = NodeProcess("guard_node", domain, {"missing_time": 1.0, "heartbeat_timeout": 10.0})
        self.peer.processes.append(self.guard)
        for kind, topic in (
            (Float64MultiArray, "/commands"),
            (Float64MultiArray, "/guard_node/guard_status"),
            (DiagnosticArray, "/diagnostics"),
        ):
            self.peer.listen(kind, topic)
        self.parameters = self.peer.publisher(Float64MultiArray, "/guard_node/parameters_in")
        self.commands = self.peer.publisher(Float64MultiArray, "/guard_node/commands_in")
        self.states = self.peer.publisher(JointState, "/joint_states")
        self.k = self.readers = 0

    @property
    def status(self):
        heard = self.peer.heard["/guard_node/guard_status"]
        return read_status(heard[-1]) if heard else None

    def good(self, value: float) -> None:
        """Parameters and a command."""
        self.k += 1
        epoch = self.status.epoch if self.status else -1
        told = parameters(2, "velocity", self.k, source="/peer", epoch=epoch, readers=self.readers)
        self.parameters.publish(write_parameters(told, Float64MultiArray(), MultiArrayDimension))
        message = Float64MultiArray(data=[value, value])
        message.layout.dim = [MultiArrayDimension(label=f"{self.k}.0", size=2, stride=2)]
        self.commands.publish(message)

    def forwarded(self, value: float) -> bool:
        """Send a good command now and then until it comes out."""
        self.good(value)
        for _ in range(5):
            self.peer.spin()
        return any(list(message.data) == [value, value] for message in self.peer.heard["/commands"])

    def report(self):
        """The newest status of the guard in /diagnostics, None before it."""
        statuses = [status for message in self.peer.heard["/diagnostics"] for status in message.status]
        return next((status for status in reversed(statuses) if status.name == "/guard_node: guard"), None)

    def diagnosis(self) -> dict[str, str]:
        status = self.report()
        return {} if status is None else {"": status.message, **{entry.key: entry.value for entry in status.values}}


@pytest.fixture
def sender():
    made = Sender(new_domain())
    yield made
    made.peer.close()
    made.guard.kill()


def test_a_guard_that_does_not_reach_the_robot_yet_forwards_nothing_and_says_so(sender):
    """This process is one reader of its commands."""
    peer, sender.readers = sender.peer, 2
    waits = "connected with 1 of 2 readers"
    peer.until(lambda: sender.forwarded(0.1) or waits in sender.diagnosis().get("", ""), "a diagnosis")
    assert not peer.heard["/commands"] and sender.status.mode == "WAITING"
    sender.readers = 1
    peer.until(lambda: sender.forwarded(0.4), "a command")


def test_the_diagnostics_name_the_robot_once_it_is_known(sender):
    peer = sender.peer
    peer.until(sender.report, "a diagnosis")
    assert sender.report().hardware_id == ""
    peer.until(lambda: sender.forwarded(0.1), "a command")
    peer.heard["/diagnostics"].clear()
    peer.until(sender.report, "a diagnosis")
    assert sender.report().hardware_id == parameters().robot == "planar"


def test_malformed_messages_change_nothing(sender):
    """Parameters, commands and states of every wrong kind, among good ones."""
    rng, peer = np.random.default_rng(0), sender.peer
    peer.until(lambda: sender.forwarded(0.1), "a command")
    good = write_parameters(parameters(2, "velocity", 0, source="/peer"), Float64MultiArray(), MultiArrayDimension)

    def send(k: int) -> None:
        bad = Float64MultiArray(data=list(good.data))
        bad.layout.dim = [
            MultiArrayDimension(label=dim.label, size=dim.size, stride=dim.stride) for dim in good.layout.dim
        ]
        at = int(rng.integers(len(bad.data)))
        kind = k % 5
        if kind == 0:
            bad.data[at] = float(rng.choice([np.nan, np.inf, -1e300]))
        elif kind == 1:
            bad.data = bad.data[:at]
        elif kind == 2:
            bad.layout.dim[int(rng.integers(5, len(bad.layout.dim) - 2))].size = 2**32 - 1
        elif kind == 3:
            bad.layout.dim = bad.layout.dim[: int(rng.integers(len(bad.layout.dim)))]
        else:
            bad.data = [0.0] * 100_000
        sender.parameters.publish(bad)
        sender.commands.publish(Float64MultiArray(data=[float("nan")] * int(rng.integers(0, 5))))
        sender.commands.publish(Float64MultiArray(data=[1e9, 0.0]))
        sender.commands.publish(Float64MultiArray(data=[0.0] * 50_000))
        sender.states.publish(JointState(name=["x"] * 20_000))
        sender.states.publish(state(1.0, (np.nan, 0.0), (0.0, 0.0), JOINTS))
        sender.good(0.001 * (k % 100))
        peer.spin()

    def counted() -> bool:
        nonlocal sent
        sent += 1
        send(sent)
        return sent >= 100 and int(sender.diagnosis().get("refused: bad parameters", 0)) > 50

    sent = -1
    peer.until(counted, "the count of refusals")
    peer.until(lambda: sender.forwarded(0.2), "another command")
    values = np.array([message.data for message in peer.heard["/commands"]])
    assert np.isfinite(values).all() and np.abs(values).max() <= 3.0
    assert sender.guard.running


def test_a_second_publisher_of_commands_is_named(sender):
    peer = sender.peer
    peer.until(lambda: sender.forwarded(0.1), "a command")
    intruder = peer.add_node("intruder")
    intruder.create_publisher(Float64MultiArray, "/commands", 1)
    peer.until(lambda: "/intruder" in sender.diagnosis().get("", ""), "its name")
    assert "/peer" not in sender.diagnosis()[""]


def test_the_guard_loads_nothing_of_the_controller():
    code = "import sys, mbrl_ros.nodes.guard_node; print(*sorted(m for m in sys.modules if m.startswith('mbrl_ros')))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, text=True, capture_output=True).stdout
    allowed = {
        "mbrl_ros",
        "mbrl_ros.config",
        "mbrl_ros.config.resources",
        "mbrl_ros.exceptions",
        "mbrl_ros.nodes",
        "mbrl_ros.nodes.qos",
        "mbrl_ros.nodes.child_process",
        "mbrl_ros.nodes.clock_topic",
        "mbrl_ros.nodes.command_readers",
        "mbrl_ros.nodes.executor",
        "mbrl_ros.nodes.parent",
        "mbrl_ros.nodes.transport",
        "mbrl_ros.nodes.wall_timer",
    }
    wrong = [
        name
        for name in loaded.split()
        if name not in allowed and not name.startswith(("mbrl_ros.guard", "mbrl_ros.nodes.guard_"))
    ]
    assert wrong == []


@pytest.mark.parametrize("values", ({"missing_periods": 0.1}, {"handover_periods": "many"}))
def test_a_wrong_parameter_is_one_line_and_code_2(values):
    process = NodeProcess("guard_node", new_domain(), values)
    try:
        assert process.wait() == 2
        said = [line for line in process.output.splitlines() if line]
        assert len(said) == 1 and next(iter(values)) in said[0]
    finally:
        process.kill()
