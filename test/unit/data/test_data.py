"""Recordings are read whatever state they are in, and what was odd about them is counted and named."""

import gzip
import sqlite3

import numpy as np
import pytest

from mbrl_ros.data import ReadOptions, load, store
from mbrl_ros.data.cleaning import cleaned, time_unit, unwrapped
from mbrl_ros.data.dataset import Dataset
from mbrl_ros.data.store import Owner, check_owner
from mbrl_ros.data.transition_recorder import TransitionRecorder
from mbrl_ros.exceptions import DataError, JointNameError

NAMES = ("shoulder", "elbow", "wrist")


def motion(T=200, n=3, dt=0.01, seed=0):
    """Smooth motion: stamps (T,), q, qd, u (T, n)."""
    rng = np.random.default_rng(seed)
    t = dt * np.arange(T)
    phase, rate = rng.uniform(0, 6, n), rng.uniform(1, 3, n)
    q = np.sin(rate * t[:, None] + phase)
    qd = rate * np.cos(rate * t[:, None] + phase)
    return t, q, qd, -(rate**2) * q + 0.1 * rng.standard_normal((T, n))


def write_csv(path, header, columns, opened=open):
    with opened(path, "wt") as file:
        file.write(",".join(header) + "\n")
        for row in np.column_stack(columns):
            file.write(",".join(f"{value:.9g}" for value in row) + "\n")
    return path


def headers(*stems, n=3):
    return ["Time", *(f"{stem}{i + 1}" for stem in stems for i in range(n))]


# --- tables


@pytest.mark.parametrize("unit, size", [("s", 1.0), ("ms", 1e-3), ("ns", 1e-9)])
def test_a_table_is_read_by_its_usual_names_and_its_time_unit_found(tmp_path, unit, size):
    t, q, qd, u = motion()
    path = write_csv(tmp_path / "run.csv.gz", headers("Position", "Velocity", "Cur"), [t / size, q, qd, u], gzip.open)
    recording = load(path)
    assert recording.joints == ("joint1", "joint2", "joint3")
    assert recording.period == pytest.approx(0.01, rel=1e-6)
    np.testing.assert_allclose(recording.u, u, atol=1e-7)
    assert recording.u_source == "columns Cur1 to Cur3"


def test_a_column_map_chooses_columns_and_units(tmp_path):
    t, q, qd, u = motion()
    header = ["clock", *(f"a.{name}" for name in NAMES), *(f"w.{name}" for name in NAMES), *(f"x{i}" for i in range(3))]
    path = write_csv(tmp_path / "run.csv", header, [1e3 * t, np.degrees(q), qd, u])
    recording = load(path, ReadOptions(columns="time=clock:ms,q=a.{}:deg,qd=w.{},u=x{}"))
    np.testing.assert_allclose(recording.q, q, atol=1e-7)
    assert recording.period == pytest.approx(0.01)
    with pytest.raises(DataError, match="no column 'b.{}'; did you mean"):
        load(path, ReadOptions(columns="time=clock,q=b.{}"))
    with pytest.raises(DataError, match="unknown unit 'turns'"):
        load(path, ReadOptions(columns="time=clock:turns"))
    with pytest.raises(DataError, match="no time column"):
        load(path)


def test_commands_that_never_change_are_named_and_not_used(tmp_path):
    t, q, qd, u = motion()
    header = headers("Position", "Velocity", "Tau_cmd", "Torque")
    recording = load(write_csv(tmp_path / "run.csv", header, [t, q, qd, 0 * u, u]))
    assert recording.u_source == "columns Torque1 to Torque3"
    assert any("Tau_cmd1 to Tau_cmd3 never change" in note for note in recording.notes)
    half = u.copy()
    half[:, 1] = 4.0
    recording = load(write_csv(tmp_path / "run.csv", headers("Position", "Velocity", "Torque"), [t, q, qd, half]))
    assert any("constant for joint2" in note for note in recording.notes)
    recording = load(write_csv(tmp_path / "run.csv", headers("Position", "Velocity"), [t, q, qd]))
    assert recording.u is None and any("no commands" in note for note in recording.notes)


def test_broken_tables(tmp_path):
    t, q, qd, u = motion()
    for name, content, message in (
        ("empty.csv", b"", "is empty"),
        ("header.csv", b"Time,Position1\n", "no line that fits"),
        ("numbers.csv", b"1,2,3\n4,5,6\n", "no header"),
        ("twice.csv", b"Time,Position1,Position1\n1,2,3\n", "names a column twice"),
        ("text.csv.gz", b"no gzip at all", "no readable CSV"),
        ("image.png", b"\x89PNG\r\n\x1a\n0000000000000", "neither a rosbag2"),
        ("old.bag", b"#ROSBAG V2.0\n0000000", "ROS 1 bag"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            load(tmp_path / name)
    with pytest.raises(DataError, match="does not exist"):
        load(tmp_path / "nowhere.csv")
    whole = write_csv(tmp_path / "whole.csv.gz", headers("Position", "Velocity", "Cur"), [t, q, qd, u], gzip.open)
    (tmp_path / "cut.csv.gz").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    recording = load(tmp_path / "cut.csv.gz")
    assert 50 < len(recording.stamps) < 150 and any("truncated" in note for note in recording.notes)


# --- cleaning


def test_every_kind_of_trouble_is_counted():
    t, q, qd, u = motion(300)
    order = np.arange(300)
    q, qd, u = q.copy(), qd.copy(), u.copy()
    q[10, 1], qd[20, 0], u[30, 2] = np.nan, np.inf, np.nan
    t = t.copy()
    t[50] = t[49]  # a duplicated stamp
    t[60] = t[40]  # a step back
    for part in (q, qd, u):
        part[71] = part[70]  # an old message sent again
    t[150:] += 0.5  # a gap
    q[100:, 0] -= 2.0 * np.pi  # an angle that wraps and
    q[200:, 0] += 2.0 * np.pi  # wraps back
    recording = cleaned("made up", NAMES, t, q, qd, u, u_source="u")
    counts = recording.counts
    assert counts["samples with NaN or infinite values dropped"] == 3
    assert counts["duplicated stamps dropped"] == 1
    assert counts["backward stamps dropped"] == 1
    assert counts["repeated messages dropped"] == 1
    assert counts["wrapped angles unwrapped"] == 2
    assert len(recording.stamps) == len(order) - 6
    assert (np.diff(recording.stamps) > 0).all()
    assert np.abs(np.diff(recording.q, axis=0)).max() < 2.0  # nothing jumps a turn; 0.5 s at 3 rad/s is 1.5 rad
    assert counts["gaps"] == 7  # each of the six dropped samples leaves one, and the half second
    assert sum(1 for _ in recording.transitions()) == len(recording.stamps) - 1 - 7


def test_a_robot_at_rest_without_noise_is_not_a_repetition():
    t, q, qd, u = motion()
    recording = cleaned("at rest", NAMES, t, 0 * q + 0.3, 0 * qd, u)
    assert recording.counts["repeated messages dropped"] == 0


def test_unwrapping_follows_the_velocity():
    t, fast = np.array([0.0, 1.0, 2.0]), np.array([[0.0], [4.0], [8.0]])
    for qd, turns in ((np.full((3, 1), 4.0), 0), (np.full((3, 1), -2.28), 2), (None, 2)):
        fixed, count = unwrapped(t, fast, qd)
        assert count == turns
        np.testing.assert_allclose(np.diff(fixed, axis=0), 4.0 - (2.0 * np.pi if turns else 0.0))


def test_missing_velocities_are_differentiated():
    t, q, qd, u = motion()
    recording = cleaned("no qd", NAMES, t, q, None, u)
    # backward differences lag half a period: the error is dt/2 times the acceleration of at most 9 rad/s^2
    assert np.abs(recording.qd[1:] - qd[1:]).max() < 0.06
    assert any("differentiated" in note for note in recording.notes)


def test_time_units_need_motion():
    t, q, qd, _ = motion()
    assert time_unit(1e3 * t, q, qd) == 1e-3
    assert time_unit(t, 0 * q, 0 * qd) == 1.0


def test_too_little_is_refused():
    t, q, qd, u = motion(10)
    with pytest.raises(DataError, match="10 usable samples"):
        cleaned("short", NAMES, t, q, qd, u)


def test_resampling_takes_the_newest_state_and_the_mean_command():
    t, q, qd, u = motion(200, dt=0.001)
    recording = cleaned("fast", NAMES, t, q, qd, u).resampled()
    assert recording.period == pytest.approx(0.005)
    np.testing.assert_array_equal(recording.q, q[:196:5])
    np.testing.assert_allclose(recording.u[3], u[15:20].mean(axis=0))
    with pytest.raises(DataError, match="cannot be resampled to 1000"):
        recording.resampled(1000.0)


# --- bags


def write_bag(folder, storage="sqlite3", t=None, commands=False, partial=False, compress=None, split=False):
    """A rosbag2 of `motion` with shuffled joint order in every other message; returns what it holds."""
    pytest.importorskip("rosbags")
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    types = get_typestore(Stores.ROS2_HUMBLE)
    State, Header, Time = (
        types.types[name]
        for name in ("sensor_msgs/msg/JointState", "std_msgs/msg/Header", "builtin_interfaces/msg/Time")
    )
    Array, Layout = types.types["std_msgs/msg/Float64MultiArray"], types.types["std_msgs/msg/MultiArrayLayout"]
    stamps, q, qd, u = motion()
    start = 1_700_000_000_000_000_000
    writer = Writer(
        folder, version=9, storage_plugin=StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    )
    if compress:
        writer.set_compression(CompressionMode[compress], CompressionFormat.ZSTD)
    with writer:
        states = writer.add_connection("/joint_states", "sensor_msgs/msg/JointState", typestore=types)
        orders = writer.add_connection("/arm/commands", "std_msgs/msg/Float64MultiArray", typestore=types)
        for k, stamp in enumerate(stamps):
            ns = start + round(1e9 * stamp)
            order = [2, 0, 1] if k % 2 else [0, 1, 2]
            message = State(
                Header(Time(ns // 10**9, ns % 10**9), ""),
                [NAMES[i] for i in order],
                q[k, order],
                qd[k, order],
                u[k, order],
            )
            writer.write(states, ns, types.serialize_cdr(message, State.__msgtype__))
            if partial and k % 10 == 0:
                gripper = State(
                    Header(Time(ns // 10**9, ns % 10**9), ""), ["finger"], np.zeros(1), np.zeros(1), np.zeros(1)
                )
                writer.write(states, ns, types.serialize_cdr(gripper, State.__msgtype__))
            if commands:  # 3 ms after the state, held until the next
                writer.write(
                    orders, ns + 3_000_000, types.serialize_cdr(Array(Layout([], 0), 100.0 + u[k]), Array.__msgtype__)
                )
    return stamps, q, qd, u


@pytest.mark.parametrize(
    "storage, compress",
    [("sqlite3", None), ("mcap", None), ("sqlite3", "MESSAGE"), ("sqlite3", "FILE"), ("mcap", "STORAGE")],
)
def test_bags_are_read_by_joint_name(tmp_path, storage, compress):
    stamps, q, qd, u = write_bag(tmp_path / "bag", storage, compress=compress, partial=True)
    recording = load(tmp_path / "bag")
    assert recording.joints == NAMES and recording.u_source == "effort of /joint_states"
    np.testing.assert_allclose(recording.q, q)
    np.testing.assert_allclose(recording.u, u)
    assert recording.counts["messages of other joints dropped"] == 20
    chosen = load(tmp_path / "bag", ReadOptions(joints=("wrist", "shoulder")))
    np.testing.assert_allclose(chosen.qd, qd[:, [2, 0]])
    with pytest.raises(JointNameError, match="did you mean 'wrist'"):
        load(tmp_path / "bag", ReadOptions(joints=("wirst",)))


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_storage_files_without_metadata_are_read(tmp_path, storage):
    _, q, _, _ = write_bag(tmp_path / "bag", storage)
    (tmp_path / "bag" / "metadata.yaml").unlink()
    file = next((tmp_path / "bag").glob("*.*"))
    np.testing.assert_allclose(load(file).q, q)
    recording = load(tmp_path / "bag")
    np.testing.assert_allclose(recording.q, q)
    assert any("no metadata.yaml" in note for note in recording.notes)


def test_a_split_bag_without_metadata_is_joined(tmp_path):
    _, q, _, _ = write_bag(tmp_path / "bag")
    (tmp_path / "bag" / "metadata.yaml").unlink()
    first = next((tmp_path / "bag").glob("*.db3"))
    second = first.with_name("bag_1.db3")
    second.write_bytes(first.read_bytes())
    for file, condition in ((first, "id > 100"), (second, "id <= 100")):
        with sqlite3.connect(file) as connection:
            connection.execute(f"DELETE FROM messages WHERE {condition}")
        connection.close()
    np.testing.assert_allclose(load(tmp_path / "bag").q, q)


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_a_truncated_bag_gives_what_is_left(tmp_path, storage):
    _, q, _, _ = write_bag(tmp_path / "bag", storage)
    file = next(path for path in (tmp_path / "bag").iterdir() if path.suffix in (".db3", ".mcap"))
    content = file.read_bytes()
    file.write_bytes(content[: int(0.6 * len(content))])
    recording = load(tmp_path / "bag")
    assert 30 < len(recording.stamps) < 200 and any("damaged" in note for note in recording.notes)
    np.testing.assert_allclose(recording.q, q[np.round(recording.stamps / 0.01).astype(int)])  # pages may miss anywhere
    file.write_bytes(content[:40])
    with pytest.raises(DataError, match="nothing can be salvaged"):
        load(tmp_path / "bag")


def test_a_command_topic_is_preferred_and_held(tmp_path):
    _, _, _, u = write_bag(tmp_path / "bag", commands=True)
    recording = load(tmp_path / "bag")
    assert recording.u_source == "topic /arm/commands"
    # of [t_k, t_k+1) the first 3 ms of 10 belong to the command before; the sample before the first command is dropped
    np.testing.assert_allclose(recording.u[:-1], 100.0 + 0.3 * u[:-2] + 0.7 * u[1:-1], atol=1e-5)
    with pytest.raises(DataError, match="no command topic '/arm/comands'; did you mean '/arm/commands'"):
        load(tmp_path / "bag", ReadOptions(command_topic="/arm/comands"))
    with pytest.raises(DataError, match="no sensor_msgs/msg/JointState topic '/joint_state'"):
        load(tmp_path / "bag", ReadOptions(topic="/joint_state"))


# --- data sets and their files


def test_data_sets_grow_and_come_back_from_disk(tmp_path):
    recording = cleaned("first", NAMES, *motion())
    data = Dataset.of(recording).merged(Dataset.of(cleaned("second", NAMES, *motion(seed=1))))
    data = data.with_run("live", list(recording.transitions())[:5])
    data.save(tmp_path / "data.npz")
    back = Dataset.load(tmp_path / "data.npz")
    assert back.runs == ("first", "second", "live") and len(back) == 199 + 199 + 5
    for name in ("X", "U", "D", "run"):
        np.testing.assert_array_equal(getattr(back, name), getattr(data, name))
    with pytest.raises(DataError, match="another robot"):
        data.merged(Dataset.of(cleaned("third", ("a", "b", "c"), *motion())))


def test_a_live_run_is_kept_and_the_oldest_dropped(monkeypatch):
    recording = cleaned("live", NAMES, *motion())
    recorder = TransitionRecorder(Owner(NAMES, "effort", 0.01))
    assert len(recorder.dataset("nothing yet")) == 0
    for transition in recording.transitions():
        recorder.add(transition)
    kept, expected = recorder.dataset("live"), Dataset.of(recording)
    for name in ("X", "U", "D"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(expected, name))
    monkeypatch.setattr(TransitionRecorder, "BLOCK", 50)
    recorder = TransitionRecorder(Owner(NAMES, "effort", 0.01), capacity=100)
    for transition in recording.transitions():
        recorder.add(transition)
    assert recorder.dropped == 100 and len(recorder.dataset("live")) == 99  # 199 came
    np.testing.assert_array_equal(recorder.dataset("live").X[-1], expected.X[-1])


def test_files_are_refused_when_damaged_or_foreign(tmp_path):
    owner, path = Owner(NAMES, "effort", 0.005), tmp_path / "model.npz"
    store.save(path, "gmm", owner, {"weights": np.arange(1000.0)})
    kind, back, arrays = store.load(path)
    assert (kind, back) == ("gmm", owner) and arrays["weights"][-1] == 999.0
    with pytest.raises(DataError, match="holds a 'gmm', not a 'ensemble'"):
        store.load(path, "ensemble")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        store.load(path)
    with pytest.raises(DataError, match="mbrl fit-prior"):
        store.load(tmp_path / "nowhere.npz")
    np.savez(path, weights=np.array([{"a": 1}], dtype=object))  # needs pickle to read
    with pytest.raises(DataError, match="not a file made by mbrl_ros"):
        store.load(path)
    with pytest.raises(DataError, match="not finite"):
        store.save(path, "gmm", owner, {"weights": np.array([np.nan])})


@pytest.mark.parametrize(
    "wanted, message",
    [
        (Owner(("a", "b", "c"), "effort", 0.005), "another robot"),
        (Owner(NAMES, "velocity", 0.005), "effort interface"),
        (Owner(NAMES, "effort", 0.01), "--rate 100"),
    ],
)
def test_another_robots_file_is_refused_with_the_reason(wanted, message):
    with pytest.raises(DataError, match=message):
        check_owner("model.npz", Owner(NAMES, "effort", 0.005), wanted)
    check_owner("model.npz", Owner(NAMES, "effort", 0.005), Owner(NAMES, "effort", 0.00505))
