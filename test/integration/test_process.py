"""A node's process and its signals."""

import os
import subprocess
import sys

import pytest

from support.needs import needs, present

if present("rclpy"):
    from mbrl_ros.nodes import executor

pytestmark = needs("rclpy")


ELSEWHERE = """
import signal, threading
from mbrl_ros.nodes.executor import EndRequest
end = EndRequest()
end.on_signals()
threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.{name})).start()
assert end.wait(60.0)
end.close()
signal.raise_signal(signal.{name})
print("ended in order")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_that_another_thread_gets_ends_the_node_too_and_a_second_one_changes_nothing(name):
    """The system may hand it to any thread, and the main thread sleeps."""
    run = subprocess.run(
        [sys.executable, "-c", ELSEWHERE.format(name=name)], capture_output=True, text=True, timeout=120
    )
    assert run.stdout == "ended in order\n" and run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "given, expected",
    [
        ({}, "UDPv4"),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}, "LARGE_DATA"),
        ({"FASTRTPS_DEFAULT_PROFILES_FILE": "own.xml"}, None),
    ],
)
def test_the_controller_avoids_shared_memory_unless_told_otherwise(monkeypatch, given, expected):
    for name in executor.DDS_SETTINGS:
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    executor.prefer_udp()
    assert os.environ.get("FASTDDS_BUILTIN_TRANSPORTS") == expected
