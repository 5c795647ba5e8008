"""Serialized commands, read without a message object: the same as rclpy reads, and never an exception."""

import numpy as np

from mbrl_ros.guard.command_bytes import read_command, read_nanoseconds, read_stamp
from support.needs import needs, present

if present("rclpy"):
    from builtin_interfaces.msg import Time
    from rclpy.serialization import deserialize_message, serialize_message
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray, MultiArrayDimension

pytestmark = needs("rclpy")


def command(values, labels) -> bytes:
    message = Float64MultiArray(data=[float(value) for value in values])
    message.layout.dim = [MultiArrayDimension(label=label, size=k, stride=7) for k, label in enumerate(labels)]
    return serialize_message(message)


def test_commands_are_read_as_rclpy_reads_them():
    rng = np.random.default_rng(0)
    for _ in range(300):
        values = rng.normal(size=int(rng.integers(0, 12))) * 10.0 ** rng.uniform(-300, 300)
        labels = [
            "é" * int(rng.integers(0, 20)) + "x" * int(rng.integers(0, 5)) for _ in range(int(rng.integers(0, 9)))
        ]
        raw = command(values, labels)
        told = deserialize_message(raw, Float64MultiArray)
        label, got = read_command(raw)
        assert label == (labels[0] if labels else "") and list(got) == list(told.data)


def test_damaged_bytes_are_none_or_values_and_never_an_error():
    rng, good = np.random.default_rng(1), command([1.0, 2.0, 3.0], ["1.5", "joint1"])
    for _ in range(5000):
        raw = bytearray(good[: int(rng.integers(0, len(good) + 1))])
        for _ in range(int(rng.integers(0, 4))):
            if raw:
                raw[int(rng.integers(len(raw)))] = int(rng.integers(256))
        read = read_command(bytes(raw))
        assert read is None or len(read[1]) <= len(good) // 8


def test_another_encoding_is_left_to_rclpy():
    good = command([1.0], ["x"])
    for header in (b"\x00\x00", b"\x00\x07", b"\x00\x03"):
        assert read_command(header + good[2:]) is None


def test_stamps_and_clock_are_read_to_the_nanosecond():
    for sec, nanosec in ((0, 1), (1_700_000_000, 999_999_999), (2**31 - 1, 0), (-1, 5)):
        time, state = Time(sec=sec, nanosec=nanosec), JointState(name=["joint1"], position=[1.0])
        state.header.stamp = time
        assert read_nanoseconds(serialize_message(Clock(clock=time))) == sec * 10**9 + nanosec
        assert read_stamp(serialize_message(state)) == float(sec + 1e-9 * nanosec)
    for raw in (b"", b"\x00\x01\x00\x00\x01", b"\x00\x07" + bytes(10)):
        assert read_nanoseconds(raw) is None and read_stamp(raw) is None
