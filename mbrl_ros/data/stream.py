"""A rosbag2 as a stream: messages in time order, one at a time, whole or damaged, in bounded memory.

Reads a folder with or without metadata.yaml, one storage file (.db3, .mcap), compressed by file, message or chunk, and
split ones. Order is by the bag's stamp and, among equal stamps, by topic, so that copies of a bag in another storage
give the same sequence. Where the bag is damaged, what `salvage` can still read follows; `notes` tell so.
"""

from __future__ import annotations

import heapq
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ..exceptions import DataError
from .packed import decompressed
from .salvage import Raw, salvaged
from .storage_files import is_storage, start_of, storage_files

WINDOW = 2_000_000_000  # [ns] within which salvaged messages are put into order
LATEST_STAMP = 2**62  # [ns] a later stamp (year 2116) is damage
LOOKED_AT = 50  # messages of a topic of joint states that tell whose it is; several publishers may share it
MOST_WAITING = 512 << 20  # bytes of salvaged messages that wait for earlier ones


class BagStream:
    """A bag, read as a stream; every call of messages() reads it anew.

    Attributes
    ----------
    topics : {name: (type, number of messages)}
    notes : what was found damaged
    definitions : the bag's definition of each type as text, where it has one
    duration : [s], 0 if only a full reading tells
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.notes: list[str] = []
        self.topics: dict[str, tuple[str, int]] = {}
        self.definitions: dict[str, str] = {}
        self.duration = 0.0
        self._salvage = False
        self._qos: dict[str, list[Any]] = {}
        self._check()
        self._folder = tempfile.TemporaryDirectory(prefix="mbrl_ros_bag_")  # unpacked, or links; as long as the stream
        self._files, found = storage_files(self.path, Path(self._folder.name))
        self.notes += found
        if not self._files:
            raise DataError(f"{path} is no bag: it holds neither metadata.yaml nor a storage file (.db3, .mcap)")
        try:
            self._open()
        except Exception as error:  # rosbags raises whatever its storage raises
            self._salvage = True
            self.topics = self._surveyed(error)

    def _open(self) -> None:
        """Fill in what the storage files say of themselves."""
        counts: Counter[str] = Counter()
        types: dict[str, str] = {}
        first, last = LATEST_STAMP, 0
        for file in self._files:
            if file.problem:
                raise DataError(file.problem)
            with self._reader(file.path) as reader:
                for c in reader.connections:
                    counts[c.topic] += c.msgcount
                    types.setdefault(c.topic, c.msgtype)
                    self.definitions.setdefault(c.msgtype, c.msgdef.data)
                    self._qos.setdefault(c.topic, list(c.ext.offered_qos_profiles))
                if reader.message_count:
                    first, last = min(first, reader.start_time), max(last, reader.end_time)
        self.topics = {topic: (kind, counts[topic]) for topic, kind in types.items()}
        self.duration = 1e-9 * min(max(last - first, 0), LATEST_STAMP)

    def messages(self, topics: Collection[str] | None = None) -> Iterator[Raw]:
        """Yield (topic, type, stamp [ns], serialized message) of `topics` (None: of all)."""
        wanted = set(self.topics if topics is None else topics) & set(self.topics)
        if not wanted:
            return
        if self._salvage:
            yield from _ties_sorted(_in_order(m for m in self._salvaged() if m[0] in wanted))
            return
        newest, count = -1, 0
        try:
            for message in _ties_sorted(self._read(wanted)):
                yield message
                newest, count = message[2], count + 1
        except GeneratorExit:
            raise
        except Exception as error:
            self.notes.append(f"the bag is damaged after {count} messages ({_line(error)}); what follows was salvaged")
            yield from _ties_sorted(_in_order(m for m in self._salvaged() if m[0] in wanted and m[2] > newest))

    def qos(self, topic: str) -> list[Any]:
        """Return the quality of service the topic was offered with, as rosbags describes it; empty where unknown."""
        return self._qos.get(topic, [])

    def _check(self) -> None:
        path = self.path
        if not path.exists():
            raise DataError(f"{path} does not exist")
        if path.is_dir():
            return
        start = start_of(path)
        if start.startswith(b"#ROSBAG V2"):
            raise DataError(f"{path} is a ROS 1 bag; convert it: rosbags-convert --src {path.name} --dst bag2")
        if not is_storage(start):
            what = "is empty" if not start else "is no rosbag2 (.db3, .mcap or a folder)"
            raise DataError(f"{path} {what}")

    def _reader(self, file: Path) -> Any:
        from rosbags.rosbag2 import Reader

        return Reader(file)

    def _read(self, wanted: set[str]) -> Iterator[Raw]:
        for file in self._files:
            with self._reader(file.path) as reader:
                connections = [connection for connection in reader.connections if connection.topic in wanted]
                for connection, stamp, data in reader.messages(connections) if connections else ():
                    if 0 <= stamp < LATEST_STAMP:
                        yield connection.topic, connection.msgtype, stamp, decompressed(data)

    def _salvaged(self) -> Iterator[Raw]:
        for file in self._files:
            yield from (message for message in salvaged(file.path) if 0 <= message[2] < LATEST_STAMP)

    def _surveyed(self, error: Exception) -> dict[str, tuple[str, int]]:
        types: dict[str, str] = {}
        counts: Counter[str] = Counter()
        first, last = LATEST_STAMP, 0
        for topic, kind, stamp, _ in self._salvaged():
            types.setdefault(topic, kind)
            counts[topic] += 1
            first, last = min(first, stamp), max(last, stamp)
        if not counts:
            raise DataError(
                f"{self.path} cannot be read as a bag and nothing can be salvaged: {_line(error)}"
            ) from None
        self.duration = 1e-9 * (last - first)
        self.notes.append(
            f"the bag is damaged ({_line(error)}): {sum(counts.values())} messages were salvaged, "
            "whatever came after them is lost"
        )
        return {topic: (kind, counts[topic]) for topic, kind in types.items()}


class Decoder:
    """Decodes serialized messages to objects with the fields of their ROS type; `broken` counts failures by topic.

    Types are those of ROS 2 Humble, which later distributions share; a bag's definition of a type is used where it
    differs and has every field that the usual one has.
    """

    def __init__(self, stream: BagStream | None):
        from rosbags.typesys import Stores, get_typestore

        self._definitions, self._usual = stream.definitions if stream else {}, get_typestore(Stores.ROS2_HUMBLE)
        self._stores: dict[str, Any] = {}
        self.broken: Counter[str] = Counter()

    def decode(self, topic: str, kind: str, data: bytes) -> Any:
        """Return the message of type `kind`, or None where `data` cannot be decoded."""
        store = self._stores.get(kind)
        if store is None:
            store = self._stores[kind] = self._store(kind)
        try:
            return store.deserialize_cdr(data, kind)
        except Exception:  # damaged bytes fail in many ways
            self.broken[topic] += 1
            return None

    def _store(self, kind: str) -> Any:
        from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

        text = self._definitions.get(kind, "")
        if not text:
            return self._usual
        try:
            is_idl = text.startswith("=" * 80 + "\nIDL: ")
            defined = get_types_from_idl(text) if is_idl else get_types_from_msg(text, kind)
            known = self._usual.fielddefs.get(kind)
            if known is not None and (defined.get(kind) == known or not _fields(known) <= _fields(defined[kind])):
                return self._usual
            store = get_typestore(Stores.EMPTY)
            store.register({**self._usual.fielddefs, **defined})
            return store
        except Exception:  # a definition that cannot be parsed is no better than none
            return self._usual


def joint_names(messages: Iterable[Raw], decoder: Decoder) -> list[str]:
    """Return the joints, each once, that the first LOOKED_AT messages of a topic of joint states name."""
    decoded = (decoder.decode(topic, kind, data) for topic, kind, _, data in islice(messages, LOOKED_AT))
    return list(dict.fromkeys(name for message in decoded if message is not None for name in message.name))


def _fields(definition: Any) -> set[str]:
    return {name for name, _ in definition[1]}


def _ties_sorted(messages: Iterator[Raw]) -> Iterator[Raw]:
    """Yield messages in time order, those with equal stamps by topic."""
    same: list[Raw] = []
    for message in messages:
        if same and message[2] != same[0][2]:
            yield from sorted(same, key=lambda m: m[0]) if len(same) > 1 else same
            same = []
        same.append(message)
    yield from sorted(same, key=lambda m: m[0])


def _in_order(messages: Iterator[Raw]) -> Iterator[Raw]:
    """Yield messages by stamp, where they are less than WINDOW out of order."""
    heap: list[tuple[int, int, Raw]] = []
    newest = waiting = 0
    for count, message in enumerate(messages):
        heapq.heappush(heap, (message[2], count, message))
        newest, waiting = max(newest, message[2]), waiting + len(message[3])
        while heap and (heap[0][0] < newest - WINDOW or waiting > MOST_WAITING):
            first = heapq.heappop(heap)[2]
            waiting -= len(first[3])
            yield first
    while heap:
        yield heapq.heappop(heap)[2]


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
