"""The nodes as processes, over real DDS: they move a robot, agree with themselves, take targets, survive bad input."""

import itertools
import signal

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.data.tick_log import load_tick_log
from mbrl_ros.messages import readers
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.pose_kinematics import PoseKinematics
from mbrl_ros.robots.rotation import quaternion_of
from support.needs import needs, present
from support.ros import HOME, PANDA, Listening, ros, state

if present("rclpy"):
    from builtin_interfaces.msg import Duration
    from diagnostic_msgs.msg import DiagnosticArray
    from geometry_msgs.msg import PointStamped, PoseStamped
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray
    from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
    from visualization_msgs.msg import MarkerArray

    from mbrl_ros.nodes import message_writers
    from mbrl_ros.nodes.status import read_status

pytestmark = needs("rclpy", "mujoco", "example-robot-data")


TARGET = (0.45, 0.15, 0.5)
LOCKSTEP = {**PANDA, "lockstep": True}


def panda():
    return load_robot(
        RobotSettings(
            description=PANDA["robot.description"], joints=tuple(PANDA["robot.joints"]), tip=PANDA["robot.tip"]
        )
    )


def lockstep_run(folder, name: str, seconds: float):
    """(truth, control, facts of control) of a run with one target at t = 0.2 s."""
    files = {node: str(folder / f"{name}-{node}.npz") for node in ("sim", "mpc")}
    with ros(
        ("mpc_node", {**LOCKSTEP, "log_file": files["mpc"]}),
        (
            "sim_node",
            {
                **LOCKSTEP,
                "log_file": files["sim"],
                "autostart": False,
                "duration": seconds,
                "plant.initial_position": HOME,
            },
        ),
    ) as (peer, mpc, sim):
        target = PointStamped()
        target.header.stamp = message_writers.to_time(1.2)
        target.point.x, target.point.y, target.point.z = TARGET
        publisher = peer.publisher(PointStamped, "/mpc_node/target_point")
        peer.listen(Float64MultiArray, "/mpc_node/status")
        peer.send_until(publisher, target, lambda: "target accepted" in mpc.output, "the target's acceptance")
        peer.until(lambda: peer.node.count_subscribers("/commands"), "sim_node")
        peer.call("/sim_node/start")
        peer.processes.remove(sim)
        peer.until(lambda: not sim.running, "the end of the simulation")
        assert sim.wait() == 0, sim.output
        peer.until(
            lambda: (
                peer.heard["/mpc_node/status"]
                and read_status(peer.heard["/mpc_node/status"][-1])["tick"] == round(200 * seconds)
            ),
            "the last status",
        )
        mpc.signal(signal.SIGTERM)
        assert mpc.wait() == 0, mpc.output
        statuses = [read_status(message) for message in peer.heard["/mpc_node/status"]]
    truth, _ = load_tick_log(files["sim"])
    control, facts = load_tick_log(files["mpc"])
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
    for first, second in zip(runs[0][:2], runs[1][:2], strict=True):
        for name in first:
            if name not in ("compute_ms", "latency_ms", "period_us"):
                assert np.array_equal(first[name], second[name], equal_nan=True), name


def test_nothing_was_missed_or_rejected(runs):
    _, control, facts, _ = runs[0]
    assert control["missed"][-1] == 0
    assert {
        name: count
        for counts in facts["rejected"].values()
        for name, count in counts.items()
        if name != "duplicate stamp"
    } == {}  # an unanswered state may have been sent twice


def test_bad_input_is_counted_by_name_and_survived():
    with ros(("mpc_node", LOCKSTEP)) as (peer, mpc):
        node = Listening(peer)
        node.begin(state(1.0))
        bad = [
            state(1.001, q=[float("nan")] * 7),
            state(1.001, names=["panda_joint8", *PANDA["robot.joints"][1:]]),
            state(1.001, q=HOME[:6]),
            state(0.5),
            state(-1.0),
            state(1.001, qd=[1e9] * 7),
        ]
        for message in bad:
            node.states.publish(message)
        node.states.publish(state(1.005))
        assert np.isfinite(node.answered(1.005).data).all()
        expected = {
            "not finite": 1,
            "missing joints": 1,
            "wrong length": 1,
            "backward stamp": 1,
            "no stamp": 1,
            "implausible value": 1,
        }
        peer.until(lambda: node.diagnosis("joint_states").get("accepted") == "2", "diagnostics")
        report = node.diagnosis("joint_states")
        assert {
            key.removeprefix("rejected: "): int(value)
            for key, value in report.items()
            if key.startswith("rejected: ") and "duplicate stamp" not in key
        } == expected
        assert "did you mean 'panda_joint8'" in report["last missing joints"]
        assert len({readers.answered_stamp(m) for m in peer.heard["/commands"]}) == 2
        mpc.signal(signal.SIGINT)
        assert mpc.wait() == 0, mpc.output


@pytest.mark.slow
def test_velocities_are_estimated_where_they_are_missing():
    with ros(("mpc_node", LOCKSTEP)) as (peer, _):
        node = Listening(peer)
        node.states.publish(state(1.0, qd=()))  # one sample has no slope, so it gets no answer
        node.begin(state(1.005, qd=()))
        node.states.publish(state(1.01, qd=()))
        node.answered(1.01)
        assert {readers.answered_stamp(m) for m in peer.heard["/commands"]} == {1.005, 1.01}


@pytest.mark.slow
def test_what_became_of_a_target_is_told_to_whoever_listens():
    with ros(("mpc_node", LOCKSTEP)) as (peer, _):
        node = Listening(peer)
        node.begin(state(1.0))
        publisher = peer.publisher(PointStamped, "/mpc_node/target_point")
        for frame, x in (("panda_link0", 3.0), ("camera", 0.4), ("", float("nan")), ("", 0.4)):
            message = PointStamped()
            message.header.frame_id, message.point.x, message.point.z = frame, x, 0.5
            publisher.publish(message)
        peer.until(lambda: len(peer.heard["/mpc_node/message"]) == 4, "four answers")
        texts = [message.data for message in peer.heard["/mpc_node/message"]]
        assert "out of reach" in texts[0] and "there is no frame 'camera'" in texts[1] and "finite" in texts[2]
        assert all(text.startswith("target refused: ") for text in texts[:3])
        assert texts[3] == "target accepted: point [0.4, 0.0, 0.5] from now on"
        node.states.publish(state(1.005))
        node.answered(1.005)


def trajectory(times, positions, stamp=0.0, names=None):
    message = JointTrajectory(joint_names=PANDA["robot.joints"] if names is None else names)
    message.header.stamp = message_writers.to_time(stamp)
    for time, q in zip(times, positions, strict=True):
        nanoseconds = round(1e9 * time)
        duration = Duration(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
        message.points.append(JointTrajectoryPoint(positions=q, time_from_start=duration))
    return message


@pytest.mark.slow
def test_targets_are_refused_for_their_time_and_counted():
    with ros(("mpc_node", LOCKSTEP)) as (peer, mpc):
        node = Listening(peer)
        peer.listen(DiagnosticArray, "/diagnostics")
        paths = peer.publisher(JointTrajectory, "/mpc_node/target_trajectory")
        joints = peer.publisher(JointState, "/mpc_node/target_joints")
        node.begin(state(1000.0))
        near = [list(np.add(HOME, shift)) for shift in (0.01, 0.02)]
        answers = peer.heard["/mpc_node/message"]
        for message, answer in (
            (trajectory([0.0, 1.0], near, 995.0), "ended 4.000 s ago"),
            (trajectory([0.0, 9.0], near, 2000.0), "1000.000 s in the future, more than 60 s"),
            (trajectory([1.0, 1.0], near), "the times of a trajectory must be finite, rise"),
            (trajectory([1.0, 1.00005], near), "at least 0.1 ms"),
            (trajectory([1.0], [[0.1]], names=["panda_joint1"]), "missing"),
            (trajectory([], []), "no points"),
            (trajectory([0.0, 9.0], near, 995.0), "target accepted: joints"),
        ):
            paths.publish(message)
            peer.until(lambda: answers, "an answer")
            assert answer in answers.pop().data
        for stamp, answer in ((900.0, "100.000 s ago, more than 2 s"), (1e9, "in the future"), (900.0, "s ago")):
            joints.publish(state(stamp))
            peer.until(lambda: answers, "an answer")
            assert answer in answers.pop().data
        node.states.publish(state(1000.005))
        node.answered(1000.005)
        assert mpc.output.count("s ago, more than") == 1  # once for each kind

        def counted():
            found = [part for m in peer.heard["/diagnostics"] for part in m.status if part.name.endswith(": targets")]
            values = {pair.key: pair.value for pair in found[-1].values} if found else {}
            return values.get("refused: target_joints: too old") == "2" and values["accepted"] == "1"

        peer.until(counted, "diagnostics of the targets")


@pytest.mark.slow
def test_a_whole_tour_of_targets_may_be_sent_at_once():
    with ros(("mpc_node", LOCKSTEP)) as (peer, _):
        node = Listening(peer)
        targets = peer.publisher(PointStamped, "/mpc_node/target_point")
        node.begin(state(1.0))
        for k in range(40):
            message = PointStamped()
            message.header.stamp = message_writers.to_time(2.0 + k)
            message.point.x, message.point.z = 0.4 + 0.001 * k, 0.5
            targets.publish(message)
        peer.until(lambda: len(peer.heard["/mpc_node/message"]) >= 40, "what became of every target")
        assert all(m.data.startswith("target accepted") for m in peer.heard["/mpc_node/message"])


def test_targets_of_every_kind_are_accepted_and_shown():
    with ros(("mpc_node", {**LOCKSTEP, "plan_rate": 1000.0})) as (peer, mpc):
        node = Listening(peer)
        peer.listen(MarkerArray, "/mpc_node/markers")
        peer.listen(JointTrajectory, "/mpc_node/plan")
        pose, joints, path = (
            peer.publisher(kind, f"/mpc_node/target_{name}")
            for kind, name in ((PoseStamped, "pose"), (JointState, "joints"), (JointTrajectory, "trajectory"))
        )
        node.begin(state(1.0))
        stamps = itertools.count(1.0 + 0.005, 0.005)

        def send_until_target(publisher, message, kind: float, since: float) -> None:
            def shown():
                stamp = float(next(stamps))
                node.states.publish(state(stamp))
                node.answered(stamp)
                if not peer.heard["/mpc_node/status"]:  # on its way after the command
                    return False
                status = read_status(peer.heard["/mpc_node/status"][-1])
                return (status["target_kind"], status["target_stamp"]) == (kind, since)

            peer.send_until(publisher, message, shown, f"a target of kind {kind}")

        message, arm = (
            PoseStamped(),
            load_robot(RobotSettings.from_mapping({key[6:]: value for key, value in PANDA.items()})),
        )
        p, R = PoseKinematics(arm).pose(np.add(HOME, 0.1))
        place, turned = message.pose.position, message.pose.orientation
        place.x, place.y, place.z = p.tolist()
        turned.x, turned.y, turned.z, turned.w = quaternion_of(R).tolist()
        message.header.stamp = message_writers.to_time(1.01)
        send_until_target(pose, message, 3.0, 1.01)
        to_joints = state(1.02, np.add(HOME, 0.1))
        send_until_target(joints, to_joints, 0.0, 1.02)
        trajectory = JointTrajectory(joint_names=PANDA["robot.joints"])
        trajectory.header.stamp = message_writers.to_time(1.03)
        trajectory.points.append(JointTrajectoryPoint(positions=HOME, time_from_start=Duration(sec=2)))
        send_until_target(path, trajectory, 0.0, 1.03)
        assert all(message.data.startswith("target accepted: ") for message in peer.heard["/mpc_node/message"])
        peer.until(lambda: peer.heard["/mpc_node/markers"] and peer.heard["/mpc_node/plan"], "something to see")
        assert len(peer.heard["/mpc_node/plan"][-1].points) == 31  # planner.horizon and its end
        drawn = peer.heard["/mpc_node/markers"][-1].markers
        assert len(drawn[0].points) == 31
        tube = [marker for marker in drawn if marker.ns == "tube"]
        widths = [max(marker.scale.x, marker.scale.y, marker.scale.z) for marker in tube]
        assert len(tube) == 31 and widths[0] < 1e-3 < widths[-1] < 1.0  # the present is known, the end less so


@pytest.mark.slow
def test_in_real_time_the_simulated_panda_is_held(tmp_path):
    """The same nodes without lockstep. What a busy machine makes of the timing is not judged here."""
    truth, control = str(tmp_path / "truth.npz"), str(tmp_path / "control.npz")
    slow = {"control.rate": 50.0, "control.state_timeout": 5.0, "supervisor.stale_limit": 10.0}
    with ros(
        ("mpc_node", {**PANDA, **slow, "log_file": control}),
        ("sim_node", {**PANDA, "plant.rate": 50.0, "duration": 1.0, "log_file": truth, "plant.initial_position": HOME}),
    ) as (peer, mpc, sim):
        assert sim.wait() == 0, sim.output
        mpc.signal(signal.SIGTERM)
        assert mpc.wait() == 0, mpc.output
    arrays, facts = load_tick_log(truth)
    assert arrays["stamp"] == pytest.approx(0.02 * np.arange(50))
    robot = panda()
    assert facts["rejected"] == facts["clipped"] == 0
    assert (np.abs(arrays["u"]) <= robot.command_upper).all()
    commands, _ = load_tick_log(control)
    assert len(commands["stamp"]) >= 10 and np.isfinite(commands["u"]).all()
