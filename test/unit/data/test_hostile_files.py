"""Files made to fill the memory, or to keep a reader busy for ever: one line each, and bounded work.

Each is read in a process whose memory is limited, where its effect is large.
"""

import gzip
import io
import os
import sqlite3
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.data import load, store
from mbrl_ros.data.dataset import Dataset
from mbrl_ros.data.packed import pieces, unpacked
from mbrl_ros.data.store import Owner
from mbrl_ros.data.stream import BagStream
from mbrl_ros.exceptions import ConfigurationError, DataError, MbrlError
from support.needs import needs
from support.replay_bags import START, STATE, Messages, write_bag

MEGABYTE = 1 << 20
OWNER = Owner(("a", "b"), "effort", 0.005)


def refused(call, *arguments, match):
    """The one line with which a file is refused."""
    with pytest.raises(MbrlError, match=match) as raised:
        call(*arguments)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 600
    return str(raised.value)


def in_little_memory(code: str, *arguments: object, megabytes: int = 700) -> str:
    """What a process prints that may not have more memory than this beyond what Python and numpy reserve."""
    limited = (
        "import resource, sys; from mbrl_ros.data import load, store; from mbrl_ros.data.stream import BagStream\n"
        "from mbrl_ros.exceptions import MbrlError; import backports.zstd, lz4.frame, rosbags.rosbag2\n"
        "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (now + {megabytes} * 2**20,) * 2)\n"
        f"try: {code}\nexcept MbrlError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", limited, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


# --- what is no file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", [load, BagStream, store.load, read_settings], ids=lambda reader: reader.__name__)
def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path, reader):
    os.mkfifo(tmp_path / "pipe.csv")
    refused(reader, tmp_path / "pipe.csv", match="named pipe; write its content into a file first")
    refused(reader, "/dev/zero", match="a device and no file")
    refused(reader, "/dev/full", match="a device and no file")


@needs("rosbags")
def test_a_pipe_in_the_folder_of_a_bag_is_named(tmp_path):
    bag = write_bag(tmp_path / "bag", states(10))
    os.mkfifo(bag / "bag_1.mcap")
    refused(BagStream, bag, match="bag_1.mcap cannot be read: it is a named pipe")


# --- tables ---------------------------------------------------------------------------------------------------------


def table(rows=100):
    lines = ["time,q1,qd1,u1", *(f"{0.01 * k:.2f},{np.sin(k):.6f},{np.cos(k):.6f},{k % 7}" for k in range(rows))]
    return "\n".join(lines) + "\n"


def test_a_quote_that_is_not_closed_is_named_and_swallows_no_rows(tmp_path):
    lines = table(1500).splitlines()
    lines[100] = '"' + lines[100]
    lines[900] = '"' + lines[900]
    (tmp_path / "run.csv").write_text("\n".join(lines))
    assert "line 101 opens a quote" in refused(load, tmp_path / "run.csv", match="remove the quote, or close it")
    (tmp_path / "run.csv").write_text("\n".join(lines).replace('"', ""))
    assert len(load(tmp_path / "run.csv").stamps) == 1500
    (tmp_path / "run.csv").write_text(table(1500).replace("time", '"time"').replace("\n0.05,", '\n"0.05",'))
    assert len(load(tmp_path / "run.csv").stamps) == 1500


def test_a_packed_table_is_unpacked_as_far_as_text_can_be_packed(tmp_path, monkeypatch):
    monkeypatch.setattr("mbrl_ros.data.delimited.TABLE_SMALL", 2 * MEGABYTE)
    file = tmp_path / "run.csv.gz"
    with gzip.open(file, "wt") as out:
        out.write(table())
        for _ in range(8):
            out.write("0,0,0,0\n" * (MEGABYTE // 8))
    assert file.stat().st_size < MEGABYTE
    refused(load, file, match="holds more than [1-9] MiB of text")
    with gzip.open(file, "wb") as out:
        out.write(b"0" * MEGABYTE)
    refused(load, file, match="line 1 has more than 131072 characters")


@pytest.mark.parametrize(
    "text, match",
    [
        (",".join(f"c{i}" for i in range(20_000)) + "\n1\n", "20000 columns"),
        ("time,q1\n" + "\n".join("x" for _ in range(3)), "no line that fits"),
        ("time,q1,q1\n1,2,3\n", "names a column twice"),
        ("\x00\x01\n1,2\n", "no line that fits"),
        ("", "is empty"),
    ],
)
def test_tables_that_are_none(tmp_path, text, match):
    (tmp_path / "run.csv").write_text(text)
    refused(load, tmp_path / "run.csv", match=match)


# --- npz ------------------------------------------------------------------------------------------------------------


def test_an_archive_is_not_unpacked_before_its_sizes_are_known(tmp_path):
    """300 kB that unpack to 300 MiB."""
    file = tmp_path / "model.npz"
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("data.S.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<f8", "fortran_order": False, "shape": (300 * MEGABYTE // 8,)}
        )
        for _ in range(300):
            member.write(bytes(MEGABYTE))
    assert file.stat().st_size < MEGABYTE
    said = in_little_memory("store.load(sys.argv[1])", file, megabytes=100)
    assert "unpacks to 300 MiB in 1 arrays" in said and said.count("\n") == 1
    with pytest.raises(DataError, match="unpacks to"):
        Dataset.load(file)


def member(name, descr, shape, content=b""):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return name, out.getvalue() + content


@pytest.mark.parametrize(
    "members, match",
    [
        ([member("a.npy", "<f8", (10**15,))], "does not fit its"),
        ([member("a.npy", "<f8", (-1,))], "does not fit its"),
        ([member("a.npy", "<U100000000", ())], "does not fit its"),
        ([member("a.npy", "|O", (1,))], "holds object"),
        ([member("a.npy", "<M8[s]", (1,), bytes(8))], "holds datetime"),
        ([(f"{i}.npy", b"") for i in range(1001)], "in 1001 arrays"),
        ([("a.npy", b"\x93NUMPY\x09\x00")], "format version"),
        ([member("checksum.npy", "<f8", (), bytes(8))], "checksum does not fit"),
    ],
)
def test_arrays_that_declare_what_they_are_not(tmp_path, members, match):
    with zipfile.ZipFile(tmp_path / "model.npz", "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    refused(store.load, tmp_path / "model.npz", match=match)


@pytest.mark.parametrize(
    "owner, arrays, match",
    [
        (Owner(("a",), "effort", 0.0), {}, "belongs to no robot"),
        (Owner((), "effort", 0.01), {}, "belongs to no robot"),
        (OWNER, {"S": np.array([1e308])}, "not finite, or larger than"),
    ],
)
def test_values_that_no_robot_has(tmp_path, owner, arrays, match):
    store.save(tmp_path / "model.npz", "gmm", owner, arrays)
    refused(store.load, tmp_path / "model.npz", match=match)


@pytest.mark.parametrize(
    "changed",
    [
        {"X": np.zeros((3, 3))},
        {"run": np.array([0, 0, 9])},
        {"run": np.array([0.0, 0.0, 0.0])},
        {"runs": np.zeros(2)},
        {"U": np.array(1.0)},
        {"D": None},
    ],
)
def test_a_data_set_that_is_none_is_an_error_of_this_package(tmp_path, changed):
    arrays = {"X": np.zeros((3, 4)), "U": np.zeros((3, 2)), "D": np.zeros((3, 2)), "run": np.zeros(3, dtype=np.int64)}
    arrays = {name: a for name, a in {**arrays, "runs": np.array(["r"]), **changed}.items() if a is not None}
    store.save(tmp_path / "data.npz", "dataset", OWNER, arrays)
    refused(Dataset.load, tmp_path / "data.npz", match="data set|do not fit|'run'")


# --- bags -----------------------------------------------------------------------------------------------------------


def states(count, make=None):
    make = make or Messages()
    return [
        (
            "/joint_states",
            STATE,
            START + 0.01 * k,
            make.state(START + 0.01 * k, [np.sin(k), 0.1], [np.cos(k), 0.0], [1, k]),
        )
        for k in range(count)
    ]


@needs("rosbags")
@pytest.mark.parametrize(
    "storage, compression", [("sqlite3", "file"), ("mcap", "file"), ("mcap", "storage"), ("mcap", "")]
)
@pytest.mark.parametrize("name", ["run.zst", "run.bin", "bag_0.db3.zstd", "100%?#.mcap"])
def test_a_storage_file_is_read_under_any_name(tmp_path, storage, compression, name):
    bag = write_bag(tmp_path / "bag", states(50), storage, compression)
    file = next(entry for entry in bag.iterdir() if entry.suffix != ".yaml")
    renamed = file.rename(tmp_path / name)
    expected = [data for _, _, _, data in states(50)]
    stream = BagStream(renamed)
    assert [data for _, _, _, data in stream.messages()] == expected and stream.notes == []
    assert stream.topics == {"/joint_states": (STATE, 50)} and stream.duration == pytest.approx(0.49, abs=1e-6)
    assert len(load(renamed).stamps) == 50
    renamed.rename(bag / name)  # metadata.yaml speaks of another file
    assert [data for _, _, _, data in BagStream(bag).messages()] == expected


@needs("rosbags")
def test_missing_files_and_damaged_metadata_are_named(tmp_path):
    bag = write_bag(tmp_path / "bag", states(50))
    text = (bag / "metadata.yaml").read_text()
    (bag / "metadata.yaml").write_text(text.replace("- bag.mcap", "- bag.mcap\n  - bag_1.mcap", 1))
    stream = BagStream(bag)
    assert stream.topics["/joint_states"][1] == 50 and any("1 of the 2 files" in note for note in stream.notes)
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{c}: &{c} [{','.join(9 * ['*' + chr(ord(c) - 1)])}]\n" for c in "bcdefghijk"
    )
    for content in (bomb + text, "rosbag2_bagfile_information: 2001-13-45", "[" * 10_000, "\ttabs", "\x00"):
        (bag / "metadata.yaml").write_text(content)
        stream = BagStream(bag)
        assert len(list(stream.messages())) == 50 and len(stream.notes) <= 1


def mcap_with(chunk: bytes, size: int, compression: str, tmp_path):
    """A bag of one chunk that says it unpacks to `size` bytes."""
    head = struct.pack("<QQQII", 0, 1, size, 0, len(compression)) + compression.encode()
    content = head + struct.pack("<Q", len(chunk)) + chunk
    file = tmp_path / "bomb.mcap"
    start = struct.pack("<I", 4) + b"ros2" + struct.pack("<I", 0)
    file.write_bytes(
        b"\x89MCAP0\r\n" + struct.pack("<BQ", 1, len(start)) + start + struct.pack("<BQ", 6, len(content)) + content
    )
    return file


@needs("rosbags")
@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize("honest", [True, False])
def test_a_chunk_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path, compression, honest):
    if compression == "zstd":
        from backports import zstd

        frame, size = zstd.compress(bytes(64 * MEGABYTE)), 64 * MEGABYTE
    else:
        lz4 = pytest.importorskip("lz4.frame")
        frame, size = lz4.compress(bytes(64 * MEGABYTE)), 64 * MEGABYTE
    file = mcap_with(40 * frame, 40 * size if honest else 1000, compression, tmp_path)
    said = in_little_memory("BagStream(sys.argv[1])", file, megabytes=400)
    assert ("unpacks to 2560 MiB" if honest else "more than the 1000 bytes it declares") in said and said.count(
        "\n"
    ) == 1
    assert unpacked(40 * frame, compression, MEGABYTE) == b""
    assert sum(map(len, pieces([frame[:50], frame[50:]], compression))) == size


@needs("rosbags")
def test_a_file_that_unpacks_to_gigabytes_is_not_written_to_the_disk(tmp_path):
    from backports import zstd

    file = tmp_path / "run.db3.zstd"
    file.write_bytes(zstd.compress(b"SQLite format 3\x00" + bytes(16)) + 8 * zstd.compress(bytes(64 * MEGABYTE)))
    refused(BagStream, file, match="unpacks to more than 256 MiB")


@needs("rosbags")
def test_an_index_that_speaks_of_other_chunks_is_not_used(tmp_path):
    bag = write_bag(tmp_path / "bag", states(50), "mcap", "storage")
    file = bag / "bag.mcap"
    content = bytearray(file.read_bytes())
    at = content.rindex(b"zstd") + 4  # of the chunk index: compressed, uncompressed size
    content[at + 8 : at + 16] = struct.pack("<Q", 2**40)
    file.write_bytes(content)
    stream = BagStream(bag)
    assert len(list(stream.messages())) == 50 and "its index does not fit its chunks" in stream.notes[0]


ENDLESS = (
    "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k) SELECT i AS id, 1 AS topic_id, i AS timestamp"
)


@needs("rosbags")
@pytest.mark.parametrize(
    "change, match",
    [
        (f"DROP TABLE messages; CREATE VIEW messages AS {ENDLESS}, zeroblob(100) AS data FROM k", "no table"),
        ("ALTER TABLE topics RENAME TO t; CREATE VIEW topics AS SELECT * FROM t", "no table"),
        ("CREATE VIRTUAL TABLE other USING fts5(x)", "no table"),
        (
            "DROP TABLE messages; CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, data GENERATED "
            "ALWAYS AS (zeroblob(900000000))); INSERT INTO messages(topic_id, timestamp) VALUES (1, 1)",
            "columns that are computed",
        ),
    ],
)
def test_tables_that_are_no_tables_are_refused(tmp_path, change, match):
    bag = write_bag(tmp_path / "bag", states(30), "sqlite3")
    file = bag / "bag.db3"
    with sqlite3.connect(file) as connection:
        connection.executescript(change)
    connection.close()
    refused(BagStream, bag, match=match)
    refused(load, file, match=match)
    (bag / "metadata.yaml").unlink()
    refused(BagStream, bag, match=match)


@needs("rosbags")
def test_pages_that_contain_each_other_have_no_end_of_rows(tmp_path):
    """An inner page of the table whose entries are all the same page, one below the other."""
    file = tmp_path / "loop.db3"
    with sqlite3.connect(file) as connection:
        connection.executescript(
            "PRAGMA page_size=512; CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, "
            "serialization_format TEXT, offered_qos_profiles TEXT);"
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB);"
        )
        connection.executemany("INSERT INTO messages VALUES (?, 1, ?, x'00')", [(k, k) for k in range(20_000)])
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()[0]
    connection.close()
    content, inner = bytearray(file.read_bytes()), []
    for page in range(len(content) // 512):
        if content[512 * page] == 5:
            inner.append(page)
    leaf = next(page for page in range(2, len(content) // 512) if content[512 * page] == 13)
    below = [page for page in inner if page != root - 1]
    for page, target in [(root - 1, below[0]), *zip(below[:6], [*below[1:6], leaf], strict=True)]:
        count = struct.unpack_from(">H", content, 512 * page + 3)[0]
        content[512 * page + 8 : 512 * page + 12] = struct.pack(">I", target + 1)
        for k in range(count):
            cell = struct.unpack_from(">H", content, 512 * page + 12 + 2 * k)[0]
            content[512 * page + cell : 512 * page + cell + 4] = struct.pack(">I", target + 1)
    file.write_bytes(content)
    with pytest.raises(DataError, match="more rows than its|nothing can be salvaged|more than a bag may"):
        BagStream(file)


@needs("rosbags")
def test_zeros_where_records_should_be_end_a_bag(tmp_path):
    bag = write_bag(tmp_path / "bag", states(50), "mcap", "storage")
    file = bag / "bag.mcap"
    content = file.read_bytes()
    file.write_bytes(content[:-200])
    with file.open("r+b") as out:
        out.truncate(4 << 30)  # a sparse file
    assert len(list(BagStream(bag).messages())) == 50


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, match",
    [
        ("control: {rate: .inf}", "'control.rate' must be a number, and finite"),
        ("planner: {horizon: .inf}", "'planner.horizon' must be a whole number, and finite"),
        ("planner: {horizon: .nan}", "whole number, and finite"),
        (f"planner: {{horizon: {'9' * 50_000}}}", "must be a whole number, got '999"),
        (f"planner: {{horizon: 0x{'f' * 50_000}}}", "must be a whole number, got '0xf"),
        (f"control: {{rate: {'1' * 300_000}x}}", "must be a number, got '111"),
        ("planner: {horizon: 1e300}", r"must lie in \[2, 500\] ticks"),
        ("control: {rate: 2001-13-45}", "must be a number, got '2001-13-45'"),
        ("control: {rate: 1, rate: 2}", "'rate' is given twice"),
        ("a: &a [x, x]\nb: &b [*a, *a]\n", "does not read aliases"),
        ("a: &a {x: 1}\nb: {<<: *a}\n", "does not read aliases"),
        (f"a: {'{a: ' * 5000}1{'}' * 5000}", "lists within each other|nesting depth"),
        (f"a: {'[' * 5000}{']' * 5000}", "lists within each other|nesting depth"),
        (f"a: [{'1,' * 300_000}1]", "over 200000 values"),
        ("#" * (5 * MEGABYTE), "larger than 4 MiB"),
        ('a: "\x00"', "is no YAML"),
        (f"planner: {{backend: {'x' * 100_000}}}", "must be one of"),
    ],
)
def test_settings_that_nobody_means_are_named_with_their_line(tmp_path, text, match):
    (tmp_path / "arm.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=match) as raised:
        read_settings(tmp_path / "arm.yaml")
    assert len(str(raised.value)) < 1000 and "\n" not in str(raised.value)
