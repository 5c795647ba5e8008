"""mpc_node's action ~/follow_joint_trajectory over DDS: results that say what the arm did, and replays of them."""

import numpy as np
import pytest

from support.needs import needs, present
from support.simulated_arm import DT, GIVE_UP, HOME, JOINTS, SimulatedArm, simulated_arm

if present("control_msgs"):
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState

    from support.trajectory_goals import GoalClient, Sent, goal_message, tolerance

pytestmark = needs("rclpy", "control_msgs")
ACTION = "/mpc_node/follow_joint_trajectory"
NEAR = HOME + np.array([0.6, -0.3])
SUCCESSFUL, INVALID_GOAL, PATH, GOAL = 0, -1, -4, -5


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A running node and a client of its action."""
    with simulated_arm(tmp_path_factory.mktemp("arm")) as arm:
        arm.begin()
        yield arm, GoalClient(arm.peer, ACTION)


@pytest.fixture
def arm(running) -> SimulatedArm:
    running[0].settle()
    return running[0]


@pytest.fixture
def client(running) -> "GoalClient":
    return running[1]


def go(client, q=NEAR, seconds=2.0, **more) -> "Sent":
    """Send a goal with one point."""
    return client.send(goal_message(JOINTS, [seconds], q, **more))


def run_until_done(arm: SimulatedArm, sent: "Sent", most: float = 15.0) -> float:
    """Let simulated time pass until there is a result; return how long that took [s]."""
    begin = arm.time
    while not sent.done and arm.time < begin + most:
        arm.run(5 * DT)
        arm.wait(0.02)
    return arm.time - begin


def test_a_goal_succeeds_where_the_arm_is_within_its_tolerances(arm, client):
    sent = go(client, goal=[tolerance("joint1", 0.004), tolerance("joint2", 0.003)])
    took = run_until_done(arm, sent)
    assert sent.outcome == ("SUCCEEDED", SUCCESSFUL, "")
    assert (np.abs(arm.q - NEAR) < (0.005, 0.004)).all()
    assert took > 2.0 - 5 * DT
    last = sent.feedback[-1]
    assert last.joint_names == list(JOINTS)
    desired, actual, error = (np.array(part.positions) for part in (last.desired, last.actual, last.error))
    assert error == pytest.approx(desired - actual)
    between = [np.array(heard.actual.positions) for heard in sent.feedback]
    assert np.ptp(between, axis=0)[0] > 0.3
    times = [
        heard.desired.time_from_start.sec + 1e-9 * heard.desired.time_from_start.nanosec for heard in sent.feedback
    ]
    assert times == sorted(times) and 0.0 <= times[0] < times[-1] < took + 0.1


def test_joints_may_come_in_another_order(arm, client):
    sent = client.send(goal_message(JOINTS[::-1], [2.0], NEAR[::-1]))
    run_until_done(arm, sent)
    assert sent.outcome[0] == "SUCCEEDED" and np.abs(arm.q - NEAR).max() < 0.01


def test_an_arm_that_leaves_the_path_is_stopped_and_the_goal_aborted(arm, client):
    sent = go(client, path=[tolerance("joint1", 1e-4), tolerance("joint2", -1.0, -1.0)])
    run_until_done(arm, sent)
    status, code, text = sent.outcome
    assert (status, code) == ("ABORTED", PATH)
    assert "'joint1': the position differs by 0.0" in text and "the tolerance is 0.0001" in text
    arm.run(1.0)
    assert np.abs(arm.qd).max() < 0.01 and np.abs(arm.q - NEAR).max() > 0.2
    assert arm.state == "ACTIVE"


def test_an_arm_that_does_not_reach_the_goal_in_time_has_not_succeeded(arm, client):
    sent = go(client, goal=[tolerance("joint1", 1e-12)], time=0.5)
    took = run_until_done(arm, sent)
    status, code, text = sent.outcome
    assert (status, code) == ("ABORTED", GOAL)
    assert "'joint1'" in text and "the tolerance is 1e-12" in text and "0.5 s are allowed" in text
    assert took == pytest.approx(2.5, abs=0.25)


def test_a_motion_that_the_limits_slow_down_is_late_by_the_times_of_its_trajectory(arm, client):
    sent = go(client, seconds=0.2, time=0.1)
    run_until_done(arm, sent)
    status, code, text = sent.outcome
    assert (status, code) == ("ABORTED", GOAL) and "the motion goes on for" in text
    sent = go(client, HOME, seconds=0.2)
    assert run_until_done(arm, sent) > 0.4
    assert sent.outcome == ("SUCCEEDED", SUCCESSFUL, "") and np.abs(arm.q - HOME).max() < 0.012


def test_a_canceled_goal_leaves_the_arm_at_rest_on_its_way(arm, client):
    sent = go(client)
    arm.run(0.8)
    assert sent.cancel()
    arm.run(1.0)
    status, code, text = sent.outcome
    assert (status, code) == ("CANCELED", INVALID_GOAL) and text.startswith("canceled")
    assert np.abs(arm.qd).max() < 0.01
    assert 0.05 < np.abs(arm.q - HOME).max() and np.abs(arm.q - NEAR).max() > 0.2
    assert not sent.cancel()
    sent = go(client)
    run_until_done(arm, sent)
    assert sent.outcome[0] == "SUCCEEDED"


def test_a_goal_that_is_canceled_while_states_are_missing_does_not_go_on_when_they_are_back(arm, client):
    sent = go(client, seconds=4.0)
    arm.run(1.0)
    arm.run(0.1, states=False)
    assert sent.cancel()
    arm.run(0.5, patience=GIVE_UP)
    assert sent.outcome[0] == "CANCELED"
    where = arm.q.copy()
    arm.run(2.0)
    assert np.abs(arm.q - where).max() < 0.05 and np.abs(arm.q - NEAR).max() > 0.2


def test_a_newer_goal_and_a_newer_target_take_the_place_of_one(arm, client):
    first = go(client)
    arm.run(0.8)
    begin = len(arm.speeds)
    second = go(client, HOME)
    assert first.outcome == ("ABORTED", INVALID_GOAL, "preempted: a newer goal took its place")
    arm.run(0.5)
    arm.target(NEAR)
    run_until_done(arm, second)
    assert second.outcome == ("ABORTED", INVALID_GOAL, "preempted: another target took its place")
    arm.run(3.0)
    assert np.abs(arm.q - NEAR).max() < 0.01
    assert arm.highest(begin)[1] < 1.2 * 7.5  # joined in motion, without a stop or a step


@pytest.mark.parametrize("service, state", [("hold", "HOLD"), ("e_stop", "E_STOP")])
def test_what_the_supervisor_takes_over_is_aborted_and_refused_from_then_on(arm, client, service, state):
    sent = go(client)
    arm.run(0.5)
    assert arm.call(service)[0]
    arm.run(0.1)
    status, code, text = sent.outcome
    assert (status, code) == ("ABORTED", INVALID_GOAL) and f"the state is {state}" in text
    refused = go(client)
    assert refused.outcome[0] == "REJECTED"
    arm.peer.until(lambda: "target refused" in arm.node.output, "the line")
    arm.run(0.5, patience=GIVE_UP)
    arm.call("clear")
    assert arm.call("resume")[0]
    where = arm.q.copy()
    arm.run(1.0)
    assert np.abs(arm.q - where).max() < 0.1  # it does not go on to the goal that was aborted


@pytest.mark.parametrize("another_waits", (False, True))
def test_an_interruption_ends_the_goal_and_the_arm_does_not_go_on_without_it(arm, client, another_waits):
    sent = go(client, seconds=4.0)
    arm.run(1.0)
    if another_waits:
        arm.target(HOME, arm.time + 30.0)
        arm.run(0.1)
    where = arm.q.copy()
    arm.time += 1.0  # states are missing
    arm.run(0.5, patience=GIVE_UP)
    status, code, text = sent.outcome
    assert (status, code) == ("ABORTED", INVALID_GOAL), text
    assert "not followed any more: it was interrupted" in text
    arm.run(1.0)
    assert np.abs(arm.qd).max() < 0.01 and np.abs(arm.q - where).max() < 0.1


def test_what_cannot_be_followed_is_refused_with_a_reason(arm, client):
    message = goal_message(JOINTS, [2.0], NEAR)
    message.multi_dof_trajectory.joint_names = ["base"]
    for refused, reason in (
        (goal_message(JOINTS[:1], [2.0], NEAR[:1]), "missing ['joint2']"),
        (goal_message(JOINTS, [2.0], [9.0, 0.0]), "joint target of 'joint1' must lie in"),
        (goal_message(JOINTS, [2.0], NEAR, stamp=arm.time - 5.0), "the trajectory ended"),
        (goal_message(JOINTS, [2.0], NEAR, path=[tolerance("joint3", 0.1)]), "did you mean 'joint"),
        (
            goal_message(JOINTS, [2.0], NEAR, goal=[tolerance("joint1", -0.5)]),
            "must be positive, 0 (the default) or -1",
        ),
        (goal_message(JOINTS, [2.0], NEAR, path=[tolerance("joint1", acceleration=1.0)]), "not measured"),
        (goal_message(JOINTS, [2.0], NEAR, time=-0.5), "goal_time_tolerance"),
        (message, "multi_dof_trajectory is not supported"),
        (goal_message(JOINTS, 0.01 * np.arange(1.0, 502.0), np.tile(NEAR, (501, 1))), "1 to 500 points, got 501"),
    ):
        told = len(arm.messages)
        assert not client.send(refused).accepted
        arm.peer.until(lambda told=told: len(arm.messages) > told, "the reason")
        assert reason in arm.messages[-1], arm.messages[-1]


def test_a_node_that_is_not_active_refuses_goals_and_ends_the_one_it_has(tmp_path):
    with simulated_arm(tmp_path) as arm:
        arm.begin()
        client = GoalClient(arm.peer, ACTION)
        sent = go(client)
        arm.run(0.5)
        change = arm.peer.node.create_client(ChangeState, "/mpc_node/change_state")
        arm.peer.until(change.service_is_ready, "the lifecycle")

        def transition(number: int) -> bool:
            request = ChangeState.Request(transition=Transition(id=number))
            future = change.call_async(request)
            arm.peer.until(future.done, "a transition")
            return future.result().success

        assert transition(Transition.TRANSITION_DEACTIVATE)
        assert sent.outcome == ("ABORTED", INVALID_GOAL, "the node was deactivated")
        assert not go(client).accepted
        assert transition(Transition.TRANSITION_ACTIVATE)
        arm.begin()
        sent = go(client, HOME)
        run_until_done(arm, sent)
        assert sent.outcome[0] == "SUCCEEDED"
        assert transition(Transition.TRANSITION_DEACTIVATE) and transition(Transition.TRANSITION_CLEANUP)
        arm.end_in_order()
        assert "Traceback" not in arm.node.output and "rror" not in arm.node.output


def test_a_recorded_run_with_goals_replays_to_the_last_bit(tmp_path):
    """Among them one that is canceled, one that is preempted and one that is refused."""
    from mbrl_ros.replay import ReplayOptions, replay

    bag = tmp_path / "bag"
    with simulated_arm(tmp_path, recorded=bag) as arm:
        arm.peer.until(lambda: arm.peer.node.count_subscribers("/mpc_node/goal_trajectory") == 1, "the recorder")
        arm.begin()
        client = GoalClient(arm.peer, ACTION)
        first = go(client)
        arm.run(0.7)
        assert first.cancel()
        arm.run(0.5)
        assert not client.send(goal_message(JOINTS, [1.0], [9.0, 0.0])).accepted
        second = go(client, HOME)
        arm.run(0.6)
        third = go(client)
        run_until_done(arm, third)
        assert [sent.outcome[0] for sent in (first, second, third)] == ["CANCELED", "ABORTED", "SUCCEEDED"]
        arm.end_in_order()
    made = [replay(ReplayOptions(bag)).summary for _ in range(2)]
    assert made[0]["commands_sha256"] == made[1]["commands_sha256"]
    difference = made[0]["difference"]
    assert difference["identical"] == difference["compared"] >= 300
