"""The DDS transport of the processes that must go on when another one is killed: also what guard_node needs."""

from __future__ import annotations

import os

from rclpy.utilities import get_rmw_implementation_identifier

from ..config.resources import share_directory

BUILTIN = "FASTDDS_BUILTIN_TRANSPORTS"
PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")  # of Fast DDS 2 and 3
RANGE, PEERS = "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_STATIC_PEERS"
LOCALHOST_ONLY = "ROS_LOCALHOST_ONLY"  # before Iron; it still overrides the range


def on_this_machine() -> dict[str, str]:
    """Return the variables of a process that communicates on this machine only: with Fast DDS, by UDP."""
    if "fastrtps" not in get_rmw_implementation_identifier():
        return {RANGE: "LOCALHOST"}
    profile = str(share_directory() / "config" / "dds" / "local_udp.xml")
    return {RANGE: "SYSTEM_DEFAULT", **dict.fromkeys(PROFILES, profile)}


def prefer_udp() -> None:
    """Switch shared memory with other processes off, unless the environment says otherwise.

    When one of them is killed while it holds the lock of a port, Fast DDS's senders wait for that lock, and every
    publisher of this process with them for a second. Where discovery is limited to this machine, rmw_fastrtps chooses
    the transports itself: a profile that is limited in the same way then takes its place.
    """
    if "fastrtps" not in get_rmw_implementation_identifier() or any(n in os.environ for n in (BUILTIN, *PROFILES)):
        return  # another middleware knows the limits of discovery only by the variables that are given
    local = os.environ.get(LOCALHOST_ONLY) == "1" or os.environ.get(RANGE) == "LOCALHOST"
    if local and not os.environ.get(PEERS):
        os.environ.update(on_this_machine())
        os.environ.pop(LOCALHOST_ONLY, None)
    else:
        os.environ[BUILTIN] = "UDPv4"
