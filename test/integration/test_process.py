"""A node's process and its signals."""

import os
import subprocess
import sys

import pytest

from support.domains import new_domain
from support.needs import needs, present

if present("rclpy"):
    from rclpy.utilities import get_rmw_implementation_identifier

    from mbrl_ros.nodes import transport

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


def variables():
    return {name: os.environ.get(name) for name in (transport.BUILTIN, *transport.PROFILES, transport.RANGE)}


@pytest.mark.parametrize(
    "given, expected",
    [
        ({}, "UDPv4"),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}, "LARGE_DATA"),
        ({"FASTRTPS_DEFAULT_PROFILES_FILE": "own.xml"}, None),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_STATIC_PEERS": "192.168.0.7"}, "UDPv4"),
    ],
)
def test_the_controller_avoids_shared_memory_unless_told_otherwise(monkeypatch, given, expected):
    for name in (*variables(), transport.PEERS):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    before = variables()
    transport.prefer_udp()
    assert variables() == {**before, transport.BUILTIN: expected}


def test_another_middleware_keeps_the_limits_of_discovery(monkeypatch):
    for name in (*variables(), transport.PEERS):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv(transport.LOCALHOST_ONLY, "1")
    monkeypatch.setattr(transport, "get_rmw_implementation_identifier", lambda: "rmw_cyclonedds_cpp")
    before = dict(os.environ)
    transport.prefer_udp()
    assert dict(os.environ) == before


THREADS = """
import glob, rclpy
from mbrl_ros.nodes.transport import prefer_udp
prefer_udp()
rclpy.init()
node = rclpy.create_node("quiet")
print(*(open(name).read() for name in glob.glob("/proc/self/task/*/comm")))
"""


@pytest.mark.parametrize("limit", ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, {"ROS_LOCALHOST_ONLY": "1"}))
def test_no_memory_is_shared_where_discovery_is_limited_to_this_machine(limit):
    if "fastrtps" not in get_rmw_implementation_identifier():
        pytest.skip("other DDS implementations share no memory of their own accord")
    environment = {name: value for name, value in os.environ.items() if name not in (*variables(), transport.PEERS)}
    environment |= {**limit, "ROS_DOMAIN_ID": str(new_domain())}
    run = subprocess.run(
        [sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert "dds.udp" in run.stdout and "dds.shm" not in run.stdout
