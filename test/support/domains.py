"""DDS domains for tests: one that no other test process has taken and that nobody on this machine is in.

A process holds a lock on a file for each domain it took, so that two test sessions, or two workers of one, never share
one. The ports of the domain [RTPS 2.2, sec. 9.6.1.1] tell whether anybody else is in it.
"""

import fcntl
import itertools
import os
import tempfile
from collections import deque
from pathlib import Path

DOMAINS = range(1, 102)  # up to 101 the ports are below Linux's ephemeral ones; 0 is a robot's
HELD = 8  # domains that a process holds at once; its tests use one or two at a time
FIRST_PORT, PORTS = 7400, 250  # of domain 0, and of each

_order = itertools.count(37 * os.getpid())
_held: deque = deque()
_kept: list = []


def _used_ports() -> set[int]:
    """UDP ports in use on this machine; empty where /proc does not tell."""
    table = Path("/proc/net/udp")
    if not table.is_file():
        return set()
    return {int(line.split()[1].partition(":")[2], 16) for line in table.read_text().splitlines()[1:]}


def _locked(domain: int):
    """The open file that holds `domain` for this process; None where another one holds it."""
    folder = Path(tempfile.gettempdir()) / f"mbrl-test-domains-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    file = (folder / str(domain)).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def new_domain(keep: bool = False) -> int:
    """Take a domain: for the life of the process (`keep`), or until it has taken HELD others."""
    used = _used_ports()
    for _ in DOMAINS:
        domain = DOMAINS[next(_order) % len(DOMAINS)]
        first = FIRST_PORT + PORTS * domain
        if any(first <= port < first + PORTS for port in used):
            continue
        file = _locked(domain)
        if file is None:
            continue
        (_kept if keep else _held).append(file)
        if len(_held) > HELD:
            _held.popleft().close()
        return domain
    raise RuntimeError("no DDS domain is free on this machine")
