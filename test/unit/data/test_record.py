"""What is recorded can be played and replayed, whatever the disk does."""

import errno
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml

from mbrl_ros.data.bag_writer import Limits, RotatingBag
from mbrl_ros.data.stream import BagStream
from mbrl_ros.exceptions import DataError
from support import ROOT
from support.needs import needs
from support.recordings import recorded, states
from support.replay_bags import STATE, Messages

pytestmark = needs("rosbags")


PLENTY = Limits(part_mb=0.02, total_mb=0.1, min_free_mb=0.0)


@pytest.mark.parametrize("storage, compress", [("mcap", False), ("mcap", True), ("sqlite3", False), ("sqlite3", True)])
def test_a_recording_comes_back_message_by_message(tmp_path, storage, compress):
    messages = states(300)
    recorded(tmp_path / "bag", messages, storage=storage, compress=compress).close()
    stream = BagStream(tmp_path / "bag")
    assert [(stamp, data) for _, _, stamp, data in stream.messages(["/joint_states"])] == messages
    assert stream.topics["/joint_states"] == (STATE, 300) and stream.notes == []


def test_the_oldest_parts_go_and_each_part_stands_alone(tmp_path):
    messages = states(2000)
    bag = recorded(tmp_path / "bag", messages, limits=PLENTY)
    bag.close()
    files = sorted((tmp_path / "bag").glob("*.mcap"))
    assert sum(file.stat().st_size for file in files) < 1.3e5 and len(files) > 2  # parts end after they are full
    kept = [data for _, _, _, data in BagStream(tmp_path / "bag").messages(["/joint_states"])]
    assert kept == [data for _, data in messages[-len(kept) :]] and len(kept) < 2000
    for file in files:
        descriptions = [data for _, _, _, data in BagStream(file).messages(["/robot_description"])]
        assert descriptions == [Messages().text("<robot/>")]


def test_what_was_flushed_survives_a_kill(tmp_path):
    messages = states(50)
    bag = recorded(tmp_path / "bag", messages, limits=Limits(min_free_mb=0.0))
    bag._flush(0.0)  # what the clock does once a second
    (unfinished,) = (tmp_path / "bag").glob(".bag_0/*.mcap")  # the process dies here: no footer, no metadata
    assert [data for _, _, _, data in BagStream(unfinished).messages(["/joint_states"])] == [
        data for _, data in messages
    ]


def test_a_full_disk_pauses_the_recording_and_it_goes_on_later(tmp_path, monkeypatch):
    warnings, free = [], [1e9]
    monkeypatch.setattr("mbrl_ros.data.bag_writer.RETRY", 0.0)
    monkeypatch.setattr("mbrl_ros.data.bag_writer.FLUSH_PERIOD", 0.0)
    bag = RotatingBag(
        tmp_path / "bag", limits=Limits(min_free_mb=100.0), warn=warnings.append, free=lambda path: free[0]
    )
    bag.add_topic("/joint_states", STATE)
    messages = states(30)
    for k, (stamp, data) in enumerate(messages):
        free[0] = 1e6 if 10 <= k < 20 else 1e9
        bag.write("/joint_states", stamp, data)
    bag.close()
    assert [warning.split(":")[0] for warning in warnings] == [
        "recording pauses",
        "recording goes on; 9 messages were lost so far",
    ]
    kept = [stamp for _, _, stamp, _ in BagStream(tmp_path / "bag").messages()]
    assert kept == [stamp for k, (stamp, _) in enumerate(messages) if not 11 <= k < 20]


def test_an_error_of_the_disk_is_a_warning_and_what_came_before_is_kept(tmp_path, monkeypatch):
    warnings = []
    monkeypatch.setattr("mbrl_ros.data.bag_writer.RETRY", 0.0)
    bag = recorded(tmp_path / "bag", states(20), warn=warnings.append, limits=Limits(min_free_mb=0.0))
    bag._flush(0.0)
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as broken:
        broken.setattr(type(bag._writer), "write", lambda *_: (_ for _ in ()).throw(full))
        bag.write("/joint_states", *states(21)[-1])
    bag.write("/joint_states", *states(22)[-1])
    bag.close()
    assert "No space left on device" in warnings[0] and "bag_0.unfinished.mcap" in warnings[0] and bag.lost == 1
    unfinished = BagStream(tmp_path / "bag" / "bag_0.unfinished.mcap")
    assert unfinished.topics["/joint_states"][1] == 20
    assert [stamp for _, _, stamp, _ in BagStream(tmp_path / "bag").messages(["/joint_states"])] == [states(22)[-1][0]]


FILL = """
import json, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
import mbrl_ros.data.bag_writer as writer
from mbrl_ros.data.stream import BagStream
from support.recordings import recorded, states
writer.RETRY = writer.FLUSH_PERIOD = 0.0
room, warnings = Path("room"), []
filler = room / "filler"
limits = writer.Limits(min_free_mb=0.0)
bag = recorded(room / "bag", states(200), storage={storage!r}, warn=warnings.append, limits=limits)
with filler.open("wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)):
            continue
    except OSError as error:
        warnings.append(f"full: {{error.errno}}")
full = states(2000)[200:]
for stamp, data in full[:900]:
    bag.write("/joint_states", stamp, data)
filler.unlink()
for stamp, data in full[900:]:
    bag.write("/joint_states", stamp, data)
bag.close()
read = {{}}
for part in (room / "bag", *(room / "bag").glob("*.unfinished*")):
    stream = BagStream(part)
    read.update((stamp, data) for _, _, stamp, data in stream.messages(["/joint_states"]))
sent = dict(states(2000))
print(json.dumps({{"warnings": warnings, "written": bag.written, "lost": bag.lost, "read": len(read),
                  "wrong": sum(sent[stamp] != data for stamp, data in read.items()),
                  "newest": max(read) == max(sent), "files": len(list((room / "bag").iterdir()))}}))
"""


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_disk_that_is_really_full(tmp_path, storage):
    """A tmpfs of one megabyte in a mount namespace of its own, filled up while the bag is written and emptied again."""
    (tmp_path / "room").mkdir()
    (tmp_path / "fill.py").write_text(FILL.format(tests=str(ROOT / "test"), root=str(ROOT), storage=storage))
    command = 'mount -t tmpfs -o size=1m tmpfs room && exec "$0" fill.py'
    made = (
        subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", command, sys.executable],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        if shutil.which("unshare")
        else None
    )
    if made is None or "mount" in made.stderr or made.returncode == 1 and "unshare" in made.stderr:
        pytest.skip("no file system of its own may be mounted here")
    assert made.returncode == 0, made.stderr
    found = json.loads(made.stdout)
    full, lost, *_, again = found["warnings"]
    assert full == f"full: {errno.ENOSPC}" and "recording interrupted" in lost and again.startswith("recording goes on")
    assert found["wrong"] == 0 and found["newest"]
    assert found["read"] + 1 == found["written"] >= 1000 and found["lost"] == 2000 - found["read"]
    assert found["files"] < 10


def test_a_folder_that_exists_is_never_overwritten(tmp_path):
    with pytest.raises(DataError, match="exists already"):
        RotatingBag(tmp_path)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_every_distribution_since_humble_finds_in_the_metadata_what_it_reads(tmp_path, storage):
    """rosbag2_storage's metadata_io.cpp (Humble) and yaml.hpp (Jazzy): the fields read, and as which types."""
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    forever = QosTime(9223372036, 854775807)
    qos = Qos(
        QosHistory.KEEP_LAST,
        5,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL,
        forever,
        forever,
        QosLiveliness.AUTOMATIC,
        forever,
        False,
    )
    bag = RotatingBag(tmp_path / "bag", storage=storage, limits=Limits(part_mb=0.02, min_free_mb=0.0))
    bag.add_topic("/joint_states", STATE, [qos])
    for stamp, data in states(300):
        bag.write("/joint_states", stamp, data)
    bag.close()
    found = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert found["version"] == 8 and found["storage_identifier"] == storage and found["compression_format"] == ""
    assert found["message_count"] == 300 == sum(file["message_count"] for file in found["files"])
    assert [file["path"] for file in found["files"]] == found["relative_file_paths"] and len(found["files"]) > 1
    assert found["starting_time"]["nanoseconds_since_epoch"] == states(1)[0][0] and found["duration"]["nanoseconds"] > 0
    (topic,) = found["topics_with_message_count"]
    assert topic["topic_metadata"]["serialization_format"] == "cdr"
    assert topic["topic_metadata"]["type_description_hash"].startswith("RIHS01_")
    (profile,) = yaml.safe_load(topic["topic_metadata"]["offered_qos_profiles"])  # a text that holds a list
    assert (profile["history"], profile["depth"], profile["reliability"], profile["durability"]) == (1, 5, 1, 1)
    assert profile["deadline"] == {"sec": 9223372036, "nsec": 854775807} and profile["liveliness"] == 1
    assert profile["avoid_ros_namespace_conventions"] is False


def test_types_that_are_not_known_are_refused(tmp_path):
    assert not RotatingBag(tmp_path / "bag").add_topic("/x", "nobody_msgs/msg/Nothing")


def test_every_value_survives_the_trip(tmp_path):
    """Against an independent reading of the file: rosbags' own typestore and the numbers that went in."""
    from rosbags.typesys import Stores, get_typestore

    recorded(tmp_path / "bag", states(10)).close()
    store = get_typestore(Stores.ROS2_HUMBLE)
    rows = [
        store.deserialize_cdr(data, kind).position
        for _, kind, _, data in BagStream(tmp_path / "bag").messages(["/joint_states"])
    ]
    np.testing.assert_array_equal(rows, [[k, -k] for k in range(10)])
