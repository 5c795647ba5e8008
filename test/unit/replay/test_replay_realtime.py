"""A replay of a run in real time: late commands, a feedback player, requests and outages are those of the run."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mbrl_ros.dynamics.checkpoint import content_hash, load_model, save_model
from mbrl_ros.replay import ReplayOptions, replay
from mbrl_ros.safety.state_machine import Request
from support.needs import needs
from support.realtime_robot import Robot
from support.replay_bags import write_bag

pytestmark = needs("rosbags")


def agreed(robot, made):
    assert made.summary["commands_sha256"] == robot.digest.hexdigest()
    assert made.summary["difference"]["max"] == 0.0 and made.summary["rejected"] == {}


@pytest.mark.parametrize("player", [False, True])
def test_every_command_of_a_run_in_real_time_is_repeated_to_the_last_bit(tmp_path, player):
    robot = Robot(player=player)
    robot.publish_states(10)
    robot.point(0.7, -0.3)
    robot.publish_states(20)
    robot.loop.request(Request.HOLD)
    robot.publish_states(5)
    robot.point(0.6, -0.4, after=0.1)  # refused while it holds
    robot.loop.request(Request.RESUME)
    robot.publish_states(3)
    robot.point(0.6, -0.4, after=0.1)
    robot.publish_states(20)
    robot.loop.between_commands("reset_model", robot.controller.dynamics.reset)
    changed = dataclasses.replace(robot.configuration.dynamics, forgetting=0.9)
    robot.loop.between_commands(
        "parameters",
        lambda: robot.controller.update_settings(dataclasses.replace(robot.configuration, dynamics=changed)),
        values={"dynamics.forgetting": 0.9},
    )
    robot.publish_states(10)
    robot.loop.request(Request.E_STOP)
    robot.publish_states(3)
    assert not robot.loop.request(Request.RESUME)
    assert robot.loop.request(Request.CLEAR) and robot.loop.request(Request.RESUME)
    robot.publish_states(20)
    assert robot.loop.statistics.events["commands a period late"] > 5 or player
    made = replay(ReplayOptions(robot.bag(tmp_path / "bag")))
    agreed(robot, made)
    assert made.summary["ticks"] == 91
    noted = [event.text for event in made.events]
    assert [text.split(":")[0] for text in noted] == [
        "target_point",
        "hold",
        "resume",
        "reset_model",
        "parameters set",
        "e_stop",
        "resume",
        "clear",
        "resume",
    ]


def test_targets_in_frames_that_moved_are_repeated_where_they_were(tmp_path):
    """Equal messages, but their frame was elsewhere each time; the bag holds no transforms but those of the events."""
    robot = Robot(player=True)
    robot.publish_states(10)
    for angle in (0.1, 1.0 / 3.0, -0.2):
        T = np.eye(4)
        T[:3, :3] = Rotation.from_euler("y", angle).as_matrix()
        T[:3, 3] = (0.1, 0.0, angle)
        robot.point_in("box", (0.6, 0.0, -0.2), T)
        robot.publish_states(15)
        robot.point(0.7, -0.3)
        robot.publish_states(5)
    bag = robot.bag(tmp_path / "bag")
    agreed(robot, replay(ReplayOptions(bag)))
    kept = [message for message in robot.messages if b"transform_target" not in message[3]]
    made = replay(ReplayOptions(write_bag(tmp_path / "less", sorted(kept, key=lambda message: message[2]))))
    assert any("frame 'box' is none that stands still" in event.text for event in made.events)


def test_jogs_good_and_bad_ones_are_repeated_to_the_last_bit(tmp_path):
    robot = Robot(player=False)
    robot.publish_states(5)
    for k in range(40):
        robot.twist((0.1, 0.0, 0.05), frame="tip" if k > 20 else "")
        if k % 4 == 0:
            robot.twist((np.nan, 0.0, 0.0))
            robot.twist((0.0, 0.0, 0.0), frame="camera")
        if k % 5 == 0:
            robot.twist((0.0, 0.0, -0.2), after=-1.0)
        robot.publish_states(1)
    robot.loop.request(Request.HOLD)
    robot.publish_states(10)
    robot.twist((0.1, 0.0, 0.0))
    robot.publish_states(3)
    robot.loop.request(Request.RESUME)
    robot.publish_states(10)
    held = robot.q.copy()
    robot.publish_states(10)
    assert np.abs(robot.q - held).max() < 0.01  # what came while it was held has no effect
    for k in range(30):
        robot.velocities(["joint2"], [0.5 if k < 15 else -0.5])
        robot.velocities(["joint9"], [0.5])
        robot.publish_states(0.5)
    robot.point(0.7, -0.3)
    robot.publish_states(20)
    counts = robot.controller.jog_counts
    assert counts.ignored["twist: too old"] and counts.ignored["twist: refused at present"] and counts.accepted > 70
    made = replay(ReplayOptions(robot.bag(tmp_path / "bag")))
    agreed(robot, made)
    assert made.summary["ticks"] == len({stamp for stamp in made.table.column("stamp").ravel()})


def test_outages_and_a_node_that_was_inactive_are_repeated(tmp_path):
    robot = Robot(player=False)
    robot.point(0.7, -0.3)
    robot.publish_states(10)
    robot.miss_states(3)
    robot.publish_states(10)
    robot.loop.stop()
    robot.k += 10
    robot.start()
    robot.publish_states(10)
    agreed(robot, replay(ReplayOptions(robot.bag(tmp_path / "bag"))))


def test_a_node_that_was_started_anew_begins_anew(tmp_path):
    messages = []
    for k in (0, 60):
        robot = Robot(player=True, seed=k, k=k)
        robot.point(0.7, -0.3)
        robot.publish_states(15)
        robot.loop.stop()
        messages += robot.messages if not k else robot.messages[1:]  # the session was recorded once
    made = replay(ReplayOptions(write_bag(tmp_path / "bag", sorted(messages, key=lambda message: message[2]))))
    assert made.summary["ticks"] == 30 and made.summary["difference"]["max"] == 0.0
    assert any("started anew" in event.text for event in made.events)


def test_a_model_that_was_loaded_is_loaded_from_the_same_file_or_missed(tmp_path):
    robot = Robot(player=False)
    file = tmp_path / "model.npz"
    robot.publish_states(20)
    save_model(file, robot.controller.dynamics, robot.robot)
    robot.loop.between_commands("reset_model", robot.controller.dynamics.reset)
    robot.publish_states(10)
    robot.loop.between_commands(
        "load_model",
        lambda: load_model(file, robot.controller.dynamics, robot.robot),
        file=str(file),
        sha256=content_hash(file),
    )
    robot.publish_states(10)
    bag = robot.bag(tmp_path / "bag")
    agreed(robot, replay(ReplayOptions(bag)))
    file.rename(bag / "model.npz")
    agreed(robot, replay(ReplayOptions(bag)))
    (bag / "model.npz").unlink()
    made = replay(ReplayOptions(bag))
    assert made.summary["difference"]["max"] > 0.0
    (note,) = [event.text for event in made.events if event.text.startswith("load_model")]
    assert "model.npz is not here; put the file with SHA-256" in note and note in made.setup.notes


def test_a_recording_without_status_and_event_log_still_replays(tmp_path):
    robot = Robot(player=False)
    robot.point(0.7, -0.3, after=0.2)
    robot.publish_states(20, late=0.0)
    robot.loop.stop()
    kept = sorted(
        (m for m in robot.messages if not m[0].startswith(("/mpc_node/status", "/mpc_node/event_log"))),
        key=lambda message: message[2],
    )
    made = replay(ReplayOptions(write_bag(tmp_path / "bag", kept)))
    assert made.summary["ticks"] == 20 and made.summary["difference"]["max"] == 0.0


def test_earlier_recordings_call_the_event_log_journal_and_its_names_did(tmp_path):
    robot = Robot(player=False)
    robot.point(0.7, -0.3)
    robot.publish_states(10)
    robot.loop.request(Request.HOLD)
    robot.publish_states(5)
    robot.loop.stop()
    earlier = []
    for topic, kind, at, data in robot.messages:
        if topic == "/mpc_node/event_log":
            event = json.loads(robot.make.store.deserialize_cdr(data, kind).data)
            event["did"] = event.pop("name")
            topic, data = "/mpc_node/journal", robot.make.text(json.dumps(event))
        earlier.append((topic, kind, at, data))
    bag = write_bag(tmp_path / "bag", sorted(earlier, key=lambda message: message[2]))
    made = replay(ReplayOptions(bag))
    agreed(robot, made)
    assert "hold: done again" in [event.text for event in made.events]


@pytest.mark.parametrize("apart", [0.0, 1000.0])
def test_a_first_state_that_only_the_recorder_heard_the_first_time_costs_nothing(tmp_path, apart):
    """A simulated robot with its brakes on sends it again, with the same stamp, until there is an answer."""
    robot = Robot(player=True)
    robot.publish_states(15)
    robot.loop.stop()
    early = [(topic, kind, at - 1.02, data) for topic, kind, at, data in robot.messages if topic == "/joint_states"][0]
    messages = [
        (topic, kind, at + apart, data)
        for topic, kind, at, data in sorted([*robot.messages, early], key=lambda m: m[2])
    ]
    made = replay(ReplayOptions(write_bag(tmp_path / "bag", messages)))
    assert made.summary["commands_sha256"] == robot.digest.hexdigest() and made.summary["difference"]["max"] == 0.0
    assert made.summary["rejected"] == ({} if apart else {"stamp in the future": 1})


def test_a_recorder_that_starts_later_receives_the_events_of_before(tmp_path):
    """Its bag begins with the event log of the time before; the node was not started anew."""
    robot = Robot(player=True)
    robot.publish_states(10)
    robot.loop.between_commands("reset_model", robot.controller.dynamics.reset)
    robot.publish_states(5)
    begin = robot.time
    robot.publish_states(10)
    robot.loop.stop()
    for event_log_first in (True, False):
        latched = [
            (topic, kind, max(at, begin if event_log_first else begin + 0.06), data)
            for topic, kind, at, data in robot.messages
            if topic in ("/mpc_node/event_log", "/mbrl_session")
        ]
        streamed = [m for m in robot.messages if m[0] not in ("/mpc_node/event_log", "/mbrl_session") and m[2] >= begin]
        made = replay(
            ReplayOptions(
                write_bag(tmp_path / f"bag{event_log_first}", sorted([*latched, *streamed], key=lambda m: m[2]))
            )
        )
        assert made.summary["ticks"] == 10
        assert not any("started anew" in event.text for event in made.events)
        assert [event.text for event in made.events if "done again" in event.text] == ["reset_model: done again"]
