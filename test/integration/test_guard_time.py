"""The guard in lockstep and under use_sim_time, over real DDS: time passes only as the test says."""

import signal

import numpy as np
import pytest

from mbrl_ros.guard.messages import Mode
from mbrl_ros.messages import readers
from support.domains import new_domain
from support.guarded import LIMIT, PERIOD
from support.needs import needs, present
from support.ros import Peer
from support.stepped_arm import stepped_arm

if present("rclpy"):
    import rclpy
    from builtin_interfaces.msg import Time
    from rclpy.parameter import Parameter
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from rosgraph_msgs.msg import Clock
    from std_msgs.msg import String

    from mbrl_ros.nodes.guard_clock import LONGEST_SIMULATED_SLEEP, GuardClock

pytestmark = needs("rclpy", "mujoco")
INTERFACES = ("effort", "velocity", "position")
SIGNALS = pytest.mark.parametrize("number", (signal.SIGKILL, signal.SIGSTOP), ids=("kill", "stop"))
AT_REST = {"effort": 0.2, "velocity": 0.01, "position": 0.09}  # [rad/s], of 3
SETTLED, SETTLING = {**AT_REST, "effort": 0.12}, 0.05  # so much later [s]: an effort that ends braking swings back
LAG = {"effort": 0.0, "velocity": 0.0, "position": 0.05}  # [s] by which the arm follows what is commanded
CREEP = {"effort": 0.05, "velocity": 1e-3, "position": 0.01}  # [rad] after that time
FIRST = max(3.0 * PERIOD, 0.02)  # [s] after which the first safe command must have come


def own(message) -> bool:
    """Whether a command is the guard's own."""
    return readers.answered_stamp(message) is None


def rests(arm, interface: str) -> None:
    """The arm is at rest and settles."""
    assert np.abs(arm.speeds).max() < AT_REST[interface]
    for _ in range(round(SETTLING / PERIOD)):
        assert own(arm.step())
    assert np.abs(arm.speeds).max() < SETTLED[interface]


def periods_to_rest(interface: str, speeds: np.ndarray) -> int:
    """For an arm with these speeds [rad/s]; the command of one that accelerates may be faster by LIMIT * LAG."""
    return round((speeds.max() / LIMIT + LAG[interface] + 0.1) / PERIOD)


@pytest.mark.slow
@SIGNALS
@pytest.mark.parametrize("interface", INTERFACES)
def test_in_lockstep_the_arm_rests_in_time_and_is_handed_over(tmp_path, interface, number):
    with stepped_arm(tmp_path, interface, lockstep=True) as arm:
        arm.move()
        speeds, last = np.abs(arm.speeds), arm.k - 1
        if number == signal.SIGKILL:
            arm.lose()
        arm.mpc.signal(number)
        for _ in range(round(FIRST / PERIOD) - 1):
            arm.step(wait=False)
        speeds, command = np.maximum(speeds, np.abs(arm.speeds)), arm.step()
        assert own(command) and sum(map(own, arm.commands)) == 1  # no earlier one
        assert (arm.k - 1 - last) * PERIOD <= FIRST + 1e-9
        for _ in range(periods_to_rest(interface, speeds)):
            assert own(arm.step())
        rests(arm, interface)
        held = arm.plant.truth.q
        for _ in range(100):
            assert own(arm.step())
        np.testing.assert_allclose(arm.plant.truth.q, held, atol=CREEP[interface])
        if number == signal.SIGKILL:
            arm.restart()
        else:
            arm.mpc.signal(signal.SIGCONT)
        before, command = None, arm.commands[-1]

        def handed_over() -> bool:
            nonlocal before, command
            before, command = command, arm.step()
            return not own(command)

        arm.peer.until(handed_over, "a command of mpc_node")
        step = 8.0 if interface == "effort" else 1e-3
        np.testing.assert_allclose(command.data, before.data, atol=step)


@pytest.mark.slow
def test_a_run_in_lockstep_is_the_same_with_a_guard_to_the_last_bit(tmp_path):
    runs = []
    for guarded in (False, True):
        with stepped_arm(tmp_path, "effort", lockstep=True, guarded=guarded) as arm:
            for _ in range(20):
                arm.step()
            arm.move()
            for _ in range(50):
                arm.step()
            runs.append({message.layout.dim[0].label: list(message.data) for message in arm.commands})
    assert runs[0] == runs[1]


@pytest.mark.slow
def test_the_start_is_no_intervention(tmp_path):
    with stepped_arm(tmp_path, "effort", lockstep=False) as arm:
        arm.peer.listen(String, "/mpc_node/supervisor_state")
        arm.peer.listen(String, "/mpc_node/event_log")
        for _ in range(20):
            arm.step()
        assert not any(map(own, arm.commands))
        arm.peer.until(lambda: arm.mode == Mode.FORWARDING, "a status of the guard")
        arm.peer.until(lambda: arm.peer.heard["/mpc_node/supervisor_state"], "a state of the supervisor")
        told = [message.data for message in arm.peer.heard["/mpc_node/supervisor_state"]]
        assert told == ["2 ACTIVE: nothing wrong"] and arm.statuses[-1].interventions == 0, arm.mpc.output
        acted = [message.data for message in arm.peer.heard["/mpc_node/event_log"] if '"acts"' in message.data]
        assert acted == []


@pytest.mark.slow(but=1)
@SIGNALS
@pytest.mark.parametrize("interface", INTERFACES)
def test_in_simulated_time_the_arm_rests_in_time(tmp_path, interface, number):
    with stepped_arm(tmp_path, interface, lockstep=False) as arm:
        stopped_in_simulated_time(arm, interface, number)


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("split", (False, True), ids=("whole", "split"))
def test_a_command_that_was_lost_is_sent_again_with_its_state(tmp_path, split):
    with stepped_arm(tmp_path, "effort", lockstep=True, split=split) as arm:
        arm.begin()
        first = list(arm.commands[-1].data)
        arm.commands.clear()  # lost; nothing that is on its way comes from before: the state is answered once
        arm.begin()
        assert list(arm.commands[-1].data) == first
        for _ in range(3):
            arm.step()


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("lockstep", (True, False), ids=("lockstep", "simulated"))
def test_joints_that_come_in_several_messages_are_braked_and_held_with_feedback(tmp_path, lockstep):
    with stepped_arm(tmp_path, "effort", lockstep=lockstep, split=True) as arm:
        if not lockstep:
            stopped_in_simulated_time(arm, "effort", signal.SIGKILL)
        else:
            arm.move()
            speeds = np.abs(arm.speeds)
            arm.lose()
            arm.mpc.signal(signal.SIGKILL)
            for _ in range(round(FIRST / PERIOD) - 1):
                arm.step(wait=False)
            for _ in range(periods_to_rest("effort", np.maximum(speeds, np.abs(arm.speeds)))):
                assert own(arm.step())
            rests(arm, "effort")
        held = arm.plant.truth.q
        for _ in range(100):
            assert own(arm.step())
        np.testing.assert_allclose(arm.plant.truth.q, held, atol=CREEP["effort"])


def stopped_in_simulated_time(arm, interface: str, number: int) -> None:
    """In motion mpc_node gets a signal; the arm is brought to rest."""
    arm.move()
    speeds, last = np.abs(arm.speeds), arm.k - 1
    if number == signal.SIGKILL:
        arm.lose()
    arm.mpc.signal(number)
    played = sum(map(own, arm.commands))
    for _ in range(round(FIRST / PERIOD) - 1):
        arm.step(wait=False)
    speeds, _ = np.maximum(speeds, np.abs(arm.speeds)), arm.publish()
    arm.peer.until(lambda: sum(map(own, arm.commands)) > played, "a safe command")
    arm.advance(arm.commands[-1])
    assert (arm.k - 1 - last) * PERIOD <= FIRST + 1e-9
    for _ in range(periods_to_rest(interface, speeds)):
        arm.step()
        assert own(arm.commands[-1])
    rests(arm, interface)


def test_messages_of_the_clock_wake_no_executor_and_the_newest_is_read_where_time_is_needed():
    peer = Peer(new_domain())
    try:
        node = rclpy.create_node(
            "reader", context=peer.node.context, parameter_overrides=[Parameter("use_sim_time", value=True)]
        )
        clock = GuardClock(node)
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        publisher = peer.node.create_publisher(Clock, "/clock", newest)
        assert clock.now() == 0.0 and clock.problem and not [s for s in node.subscriptions if s.topic_name == "/clock"]

        def heard(sec: int, time: int) -> bool:
            publisher.publish(Clock(clock=Time(sec=sec, nanosec=500_000_000)))
            peer.spin()
            clock.now()
            return node.get_clock().now().nanoseconds == time * 10**9 + 500_000_000

        peer.until(lambda: heard(7, 7), "the time")
        assert not clock.problem and heard(-3, 7)  # there is no such time
        assert clock.sleep_until(clock.now()) <= 0.0 < clock.sleep_until(clock.now() + 100.0) <= LONGEST_SIMULATED_SLEEP
        clock.destroy()
        node.destroy_node()
    finally:
        peer.close()
