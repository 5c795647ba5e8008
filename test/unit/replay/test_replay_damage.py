"""Whatever happened to a bag: an answer or one clear error, never a traceback, never a hang."""

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest

from mbrl_ros.data.stream import BagStream
from mbrl_ros.exceptions import DataError, MbrlError
from mbrl_ros.replay import Mapped, ReplayOptions, replay
from support import SHARED
from support.needs import needs
from support.replay_bags import START, STATE, closed_loop, damaged, write_bag

pytestmark = needs("rosbags")


RECORDING = SHARED / "data" / "panda_exciting_trajectory.db3"
FORMS = [("mcap", ""), ("mcap", "storage"), ("sqlite3", ""), ("sqlite3", "file")]


def storage_file(bag: Path) -> Path:
    return next(file for file in bag.iterdir() if file.suffix in (".mcap", ".db3", ".zstd"))


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("storage, compression", FORMS, ids=["-".join(filter(None, form)) for form in FORMS])
def test_damaged_bags_are_replayed_or_refused(tmp_path, storage, compression):
    """25 of each form; benchmark/replay_fuzz.py does a thousand."""
    messages, _ = closed_loop(seconds=1.0)
    bag = write_bag(tmp_path / "bag", messages, storage, compression)
    file, rng, whole = storage_file(bag), np.random.default_rng(3), 0
    content = file.read_bytes()
    for _ in range(25):
        file.write_bytes(damaged(content, rng))
        try:
            whole += replay(ReplayOptions(bag, plan=False)).summary["ticks"] > 0
        except MbrlError as error:
            assert str(error)
    assert (
        whole > 5 or compression == "file"
    )  # most damage leaves something, but of a short file in one zstd block nothing


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_what_came_before_a_cut_is_replayed_and_the_rest_is_said_to_be_lost(tmp_path, storage):
    messages, commands = closed_loop(seconds=3.0)
    bag = write_bag(tmp_path / "bag", messages, storage)
    file = storage_file(bag)
    file.write_bytes(file.read_bytes()[: int(0.7 * file.stat().st_size)])
    made = replay(ReplayOptions(bag))
    assert any("the bag is damaged" in note and "lost" in note for note in made.setup.notes)
    assert 20 < made.summary["ticks"] < len(commands)
    if storage == "mcap":  # messages lie in order: what is left is the beginning
        recorded = made.table.column("u_recorded")
        assert made.summary["difference"]["identical"] == np.isfinite(recorded).all(axis=1).sum()


def test_a_damaged_index_costs_nothing(tmp_path):
    messages, commands = closed_loop(seconds=1.0)
    bag = write_bag(tmp_path / "bag", messages)
    file = storage_file(bag)
    content = bytearray(file.read_bytes())
    content[-30:] = bytes(30)  # the footer says where the index is
    file.write_bytes(content)
    assert replay(ReplayOptions(bag)).summary["ticks"] == len(commands)


def test_a_folder_without_metadata_is_read_file_by_file(tmp_path):
    messages, commands = closed_loop(seconds=1.0)
    bag = write_bag(tmp_path / "bag", messages)
    (bag / "metadata.yaml").unlink()
    made = replay(ReplayOptions(bag))
    assert (
        made.summary["ticks"] == len(commands) and "no metadata.yaml: read from its storage files" in made.setup.notes
    )


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (b"stamp,q\n1,2\n", "is no rosbag2"),
        (b"#ROSBAG V2.0\n", "ROS 1 bag"),
        (b"SQLite format 3\x00" + bytes(200), "nothing can be salvaged"),
        (b"\x89MCAP0\r\n" + bytes(50), "nothing can be salvaged"),
    ],
)
def test_what_is_no_bag_is_named(tmp_path, content, message):
    file = tmp_path / "run.mcap"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        BagStream(file)


def test_stamps_of_damaged_messages_do_not_stop_time(tmp_path):
    """A stamp centuries ahead: the silence before it ends, and what follows is read."""
    messages, _ = closed_loop(seconds=1.0, session=False)
    states = [m for m in messages if m[1] == STATE]
    states[20] = (*states[20][:2], START + 4e9, states[20][3])
    made = replay(ReplayOptions(write_bag(tmp_path / "bag", states), plan=False))
    assert made.summary["ticks"] >= len(states) - 2


@pytest.mark.skipif(not RECORDING.is_file(), reason=f"the recording {RECORDING.name} is not in ../shared/data")
def test_the_real_panda_is_replayed_with_and_without_knowing_it():
    unknown = replay(ReplayOptions(RECORDING))
    assert unknown.summary["ticks"] == unknown.summary["messages"] == 727 and unknown.summary["rejected"] == {}
    assert unknown.summary["prediction"]["nmse_1_qd"] < 0.4  # of "no change"; measured 0.376
    assert 0.85 < unknown.summary["prediction"]["nis_coverage_95"] < 0.99
    if not any(distribution.name == "example-robot-data" for distribution in importlib.metadata.distributions()):
        pytest.skip("the Panda's URDF comes with example-robot-data, which is not installed")
    known = replay(ReplayOptions(RECORDING, config="panda", mapped=Mapped.of(joints=["fer_joint{}=panda_joint{}"])))
    assert known.setup.plan and known.summary["ticks"] == 727
    assert np.isfinite(known.table.column("u")).all()
    robot = known.setup.robot
    assert (np.abs(known.table.column("u")) <= robot.effort_limit).all()
