"""Recording and playing over real DDS."""

import json
import os
import subprocess
import sys

import pytest

from mbrl_ros.replay import ReplayOptions, replay
from support.needs import needs, present
from support.replay_bags import RATE, SETTINGS, START, TEXT, VECTOR, Messages, closed_loop, write_bag
from support.ros import ros

if present("rclpy"):
    from geometry_msgs.msg import PointStamped
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray, String

    from mbrl_ros.nodes.message_writers import to_time

pytestmark = needs("rclpy", "rosbags")


def test_a_recorded_run_of_the_node_replays_to_the_last_bit(tmp_path):
    bag, urdf = tmp_path / "bag", tmp_path / "arm.urdf"
    urdf.write_text(SETTINGS["robot.description"])
    with ros(("mpc_node", {**SETTINGS, "robot.description": str(urdf)}), ("record_node", {"output": str(bag)})) as (
        peer,
        mpc,
        recorder,
    ):
        peer.listen(Float64MultiArray, "/commands")
        states = peer.publisher(JointState, "/joint_states", readers=2)
        targets = peer.publisher(PointStamped, "/mpc_node/target_point", readers=2)
        peer.until(lambda: "parameters of /mpc_node recorded" in recorder.output, "the parameters")
        target = PointStamped()
        target.header.stamp, target.point.x, target.point.z = to_time(START + 0.2), 0.7, -0.3
        targets.publish(target)
        peer.until(lambda: peer.node.count_subscribers("/commands") == 2, "the recorder's subscription")
        for k in range(60):
            message = JointState(name=["joint2", "joint1"], position=[0.001 * k, -0.001 * k], velocity=[0.05, -0.05])
            message.header.stamp = to_time(START + k / RATE)
            states.publish(message)
            peer.until(lambda: len(peer.heard["/commands"]) > k, f"the answer to state {k}")
        peer.until(lambda: peer.node.count_subscribers("/mpc_node/status") == 1, "the recorder on the status")
        for process in (mpc, recorder):
            process.signal(2)
            assert process.wait() == 0
    made = replay(ReplayOptions(bag))
    assert made.summary["difference"]["identical"] == made.summary["ticks"] == 60
    assert made.setup.session["versions"]["numpy"] and made.setup.session["parameters"]["planner.horizon"] == 6


def request(peer, service: str, accepted: bool = True) -> None:
    """Call a service until it answers `accepted`: no state may be there to act on just then. Some ticks follow."""
    tries = 1
    while peer.call(service)[0] is not accepted:
        assert tries < 50, f"{service} never gave {accepted}"
        tries += 1
    ticks = len(peer.heard["/mpc_node/status"]) + 15
    peer.until(lambda: len(peer.heard["/mpc_node/status"]) > ticks, "some ticks")


@pytest.mark.slow
@pytest.mark.realtime
def test_a_run_in_real_time_with_requests_replays_to_the_last_bit(tmp_path):
    """The simulation, the feedback player and the recorder as fast as they may be here; late commands are welcome."""
    bag, urdf = tmp_path / "bag", tmp_path / "arm.urdf"
    urdf.write_text(SETTINGS["robot.description"])
    robot = {
        "robot.description": str(urdf),
        "robot.interface": "velocity",
        "robot.joints": ["joint1", "joint2"],
    }
    # on a machine that stands still for a while nothing but what is asked for may change the supervisor's state
    control = {
        **SETTINGS,
        **robot,
        "lockstep": False,
        "player_rate": 2.0 * RATE,
        "supervisor.overspeed": 1e3,
        "supervisor.stale_limit": 1e3,
        "supervisor.ramp_time": 0.0,
    }
    with ros(
        ("mpc_node", control),
        ("record_node", {"output": str(bag)}),
        ("sim_node", {**robot, "plant.rate": 2.0 * RATE, "autostart": False, "readers": 2}),
    ) as (peer, mpc, recorder, sim):
        peer.listen(Float64MultiArray, "/mpc_node/status")
        targets = peer.publisher(PointStamped, "/mpc_node/target_point", readers=2)
        peer.until(lambda: "parameters of /mpc_node recorded" in recorder.output, "the parameters")
        peer.until(lambda: peer.node.count_subscribers("/commands") == 2, "the readers of commands")
        peer.until(lambda: peer.node.count_subscribers("/mpc_node/event_log") == 1, "the recorder on the event log")
        peer.until(lambda: peer.node.count_subscribers("/mpc_node/status") == 2, "the readers of the status")

        request(peer, "/sim_node/start")
        point = PointStamped()
        point.point.x, point.point.z = 0.7, -0.3
        targets.publish(point)
        for name in ("hold", "resume", "reset_model", "e_stop"):
            request(peer, f"/mpc_node/{name}")
        request(peer, "/mpc_node/resume", accepted=False)
        for name in ("clear", "resume"):
            request(peer, f"/mpc_node/{name}")
        for process in (sim, mpc, recorder):
            process.signal(2)
            assert process.wait() == 0
    made = replay(ReplayOptions(bag))
    assert (
        made.summary["difference"]["identical"] == made.summary["difference"]["compared"] > made.summary["ticks"] > 100
    )
    done = [event.text.split(":")[0] for event in made.events]
    done = [name for name in done if not name.startswith("target")]  # one that came after ~/hold was refused
    assert [name for k, name in enumerate(done) if k == 0 or name != done[k - 1]] == [
        "hold",
        "resume",
        "reset_model",
        "e_stop",
        "resume",
        "clear",
        "resume",
    ]


def test_a_bag_is_played_with_its_clock_and_without_its_commands(tmp_path):
    messages, _ = closed_loop(seconds=1.0)
    messages.insert(0, ("/robot_description", TEXT, START - 0.9, Messages().text("<robot/>")))
    messages.append(("/mpc_node/status", VECTOR, START + 0.9, Messages().labelled([1.0], ["tick"])))
    bag = write_bag(tmp_path / "bag", messages)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    with ros(("replay_node", {"bag": str(bag), "rate": 5.0, "paused": True, "loop": True})) as (peer, player):
        for kind, topic in (
            (JointState, "/joint_states"),
            (Clock, "/clock"),
            (Float64MultiArray, "/commands"),
            (PointStamped, "/mpc_node/target_point"),
            (Float64MultiArray, "/mpc_node/status"),
        ):
            peer.listen(kind, topic)
        described = []
        peer.node.create_subscription(String, "/robot_description", described.append, latched)
        peer.until(
            lambda: all(peer.node.count_publishers(topic) for topic in ("/joint_states", "/clock")), "the player"
        )
        assert peer.heard["/joint_states"] == []
        peer.call("/replay_node/resume")
        peer.until(lambda: len(peer.heard["/joint_states"]) > 60, "more states than the bag holds")
        player.signal(2)
        assert player.wait() == 0
    stamps = [m.header.stamp.sec + 1e-9 * m.header.stamp.nanosec for m in peer.heard["/joint_states"]]
    assert stamps[:50] == pytest.approx([START + k / RATE for k in range(50)]) and stamps[50] == pytest.approx(START)
    clock = [m.clock.sec + 1e-9 * m.clock.nanosec for m in peer.heard["/clock"]]
    first_turn = clock[: next(k for k in range(1, len(clock)) if clock[k] < clock[k - 1])]
    assert first_turn[0] == pytest.approx(START - 0.9) and first_turn[-1] <= START + 1.0 and len(first_turn) > 150
    assert peer.heard["/commands"] == peer.heard["/mpc_node/status"] == []
    assert peer.heard["/mpc_node/target_point"] and described[0].data == "<robot/>"


@pytest.mark.slow
def test_the_doctor_listens_to_a_live_graph(tmp_path):
    """States without velocities from this process; whether their rate is a good one is this machine's affair."""
    with ros() as (peer,):
        publisher = peer.node.create_publisher(JointState, "/arm/joint_states", 10)
        environment = {**os.environ, "ROS_DOMAIN_ID": str(peer.domain)}
        command = [
            sys.executable,
            "-m",
            "mbrl_ros.cli.main",
            "doctor",
            "--seconds",
            "3",
            "--json",
            str(tmp_path / "found.json"),
        ]
        doctor = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while doctor.poll() is None:
            message = JointState(name=["joint1", "joint2"], position=[0.1, 0.2])
            message.header.stamp = peer.node.get_clock().now().to_msg()
            publisher.publish(message)
            peer.spin()
        said, trouble = doctor.communicate()
        found = json.loads((tmp_path / "found.json").read_text())
        assert found["joints"] == ["joint1", "joint2"] and found["states"] > 1 and found["rate_hz"] > 0.0, (
            said + trouble
        )
        assert any("no velocities" in finding["what"] for finding in found["findings"]) and "no velocities" in said
        silent = subprocess.run(
            [*command[:-4], "--seconds", "0.5", "--topic", "states=/nothing"],
            env=environment,
            text=True,
            capture_output=True,
        )
        assert (
            silent.returncode == 2 and f"(domain {peer.domain};" in silent.stderr and "Traceback" not in silent.stderr
        )


def test_a_bag_that_is_none_ends_the_player_with_the_reason(tmp_path):
    (tmp_path / "bag.mcap").write_bytes(b"nothing")
    with ros(("replay_node", {"bag": str(tmp_path / "bag.mcap")})) as (peer, player):
        assert player.wait() == 2
    assert "is no rosbag2" in player.output
