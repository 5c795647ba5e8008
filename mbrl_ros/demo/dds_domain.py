"""A DDS domain of this machine that no other process takes part in."""

from __future__ import annotations

import os
import random
import socket

from ..exceptions import MbrlError


def private_domain(domain: int | None = None) -> dict[str, str]:
    """Return this process's environment with `domain`, or an unused one, and with discovery on this machine only."""
    environment = dict(os.environ)
    environment["ROS_DOMAIN_ID"] = str(free_domain() if domain is None else domain)
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    environment.pop("ROS_STATIC_PEERS", None)
    environment.setdefault("RCUTILS_LOGGING_BUFFERED_STREAM", "0")
    # one thread per call of linear algebra: the matrices are small and the cores are in use
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        environment.setdefault(name, "1")
    return environment


def free_domain() -> int:
    """Return a domain in which no process of this machine takes part, by the port of its first participant.

    Source: RTPS 2.3, section 9.6.1.1: port 7410 + 250 domain.
    """
    candidates = random.SystemRandom().sample(range(1, 102), 101)  # above 101 are Linux's ephemeral ports
    for domain in candidates:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7410 + 250 * domain))
            except OSError:
                continue
        return domain
    raise MbrlError("all DDS domains of this machine are in use; choose one with --domain")
