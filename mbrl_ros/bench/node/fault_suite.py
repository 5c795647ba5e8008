"""All kinds of faults with all interfaces, one after the other: what `mbrl bench faults` runs.

faults.py has the kinds of BENCH_PARTS, with the velocity interface over DDS. Every other kind is tried with every
interface: joint states in process and over DDS (message_faults.py, dds_messages.py), kills behind a guard
(guard_faults.py) and parameter files (file_faults.py).
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...exceptions import MbrlError
from .dds_messages import DDS_KINDS, DDS_SHARE, DdsMessages
from .fault_record import Cell
from .faults import BENCH_PARTS, FaultBench
from .file_faults import ACCIDENTS, FILES, FileFaults
from .guard_faults import GUARD_KINDS, GuardFaults
from .message_faults import MESSAGE_KINDS, MessageFaults

FAULT_INTERFACES = ("effort", "velocity", "position")
FAULT_KINDS = (*BENCH_PARTS, *MESSAGE_KINDS, *GUARD_KINDS, FILES)
OLD_INTERFACE = "velocity"  # of the kinds of BENCH_PARTS
FILES_PER_RESTARTS = 25  # so many restarts that were asked for are one round of all parameter files
QUICK_FILES = 6  # accidents per interface of a quick run
SECONDS = {  # that one fault of a kind takes: a first guess, for the remaining time
    "bad-messages": 0.012,
    "clock-jumps": 0.5,
    "pauses": 0.7,
    **dict.fromkeys(("robot-kills", "controller-kills", "full-disk"), 3.0),
    **dict.fromkeys(MESSAGE_KINDS, 0.02),
    **dict.fromkeys(GUARD_KINDS, 6.0),
    FILES: 4.0,
}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """How many faults of each kind.

    Parameters
    ----------
    messages
        wrong messages: of the kind bad-messages, and, over all kinds of joint states, with every interface.
    kills
        how often each process is killed: in the kinds of BENCH_PARTS, and behind a guard with every interface.
    restarts
        how often the controller starts with a full disk; parameter files are tried once for every 25 of them.
    quick
        only some parameter files.
    """

    messages: int
    kills: int
    restarts: int
    quick: bool = False


@dataclass(frozen=True)
class Part:
    """`count` faults of a kind with an interface."""

    kind: str
    interface: str
    count: int

    @property
    def guess(self) -> float:
        """Return how long it takes, as a first guess [s]."""
        return SECONDS[self.kind] * self.count


class FaultSuite:
    """Runs the selected kinds with the selected interfaces; `cells` holds what was counted.

    Parameters
    ----------
    seed
        of messages and times.
    progress
        is called now and then with what is done, and how much time remains.
    priority
        SCHED_FIFO priority of the nodes; 0: ordinary scheduling.
    kinds, interfaces
        those that are tried.
    """

    def __init__(
        self,
        seed: int = 0,
        progress: Progress = lambda text: None,
        priority: int = 0,
        kinds: Sequence[str] = FAULT_KINDS,
        interfaces: Sequence[str] = FAULT_INTERFACES,
    ):
        self._seed, self._show, self._priority = seed, progress, priority
        self._kinds, self._interfaces = kinds, interfaces
        self._old = FaultBench(seed, self._old_progress, priority)
        self.cells: list[Cell] = []
        self._parts: list[Part] = []
        self._number, self._begun = 0, 0.0

    def run(self, sizes: Sizes) -> None:
        """Run everything."""
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the children of a background job ignore it otherwise
        self._parts, self._begun = [part for part in self.parts(sizes) if part.count], time.monotonic()
        for number, part in enumerate(self._parts):
            self._number = number
            self._progress(0)
            cell = Cell(part.kind, part.interface)
            self.cells.append(cell)
            try:
                self._run(part, cell, sizes)
            except MbrlError as error:
                cell.unrecovered += 1
                cell.note(str(error))

    def parts(self, sizes: Sizes) -> Iterator[Part]:
        """Yield what is to be done."""
        old = {"bad-messages": sizes.messages, "full-disk": sizes.restarts}
        of_messages = [kind for kind in self._kinds if kind in MESSAGE_KINDS]
        files = QUICK_FILES if sizes.quick else max(1, sizes.restarts // FILES_PER_RESTARTS) * (len(ACCIDENTS) + 1)
        for kind in self._kinds:
            if kind in BENCH_PARTS:
                if OLD_INTERFACE in self._interfaces:
                    yield Part(kind, OLD_INTERFACE, old.get(kind, sizes.kills))
                continue
            count = files if kind == FILES else sizes.kills
            if kind in MESSAGE_KINDS:
                count = math.ceil(sizes.messages / len(of_messages))
            for interface in self._interfaces:
                yield Part(kind, interface, count)

    def _run(self, part: Part, cell: Cell, sizes: Sizes) -> None:
        if part.kind in BENCH_PARTS:
            self._run_old(part, cell)
        elif part.kind in MESSAGE_KINDS:
            if part.kind in DDS_KINDS:
                DdsMessages(part.kind, part.interface, self._seed, cell).run(
                    math.ceil(DDS_SHARE * part.count), self._progress
                )
            MessageFaults(part.kind, part.interface, self._seed, cell).run(part.count, self._progress)
        elif part.kind in GUARD_KINDS:
            GuardFaults(part.kind, part.interface, self._seed, self._priority, cell).run(part.count, self._progress)
        else:
            FileFaults(part.interface, self._seed, cell).run(part.count, self._progress)

    def _run_old(self, part: Part, cell: Cell) -> None:
        bench = self._old
        before, notes = dict(bench.counts), len(bench.notes)
        bench.run_part(part.kind, part.count)
        change = {key: count - before[key] for key, count in bench.counts.items()}
        cell.messages = cell.dds = change["bad_messages"]
        cell.kills = change["kills"]
        cell.outside = change["out_of_limit_commands"] + change["non_finite_commands"]
        cell.late, cell.unrecovered = change["late_safe_commands"], change["unrecovered"]
        cell.crashes = change["controller_crashes"]
        for note in bench.notes[notes:]:
            cell.note(note)

    # --- progress ---------------------------------------------------------------------------------------------------

    def _old_progress(self, what: str, done: int) -> None:
        self._progress(done)

    def _progress(self, done: int) -> None:
        part = self._parts[self._number]
        over = sum(other.guess for other in self._parts[: self._number])
        over += part.guess * min(1.0, done / max(1, part.count))
        total, elapsed = sum(other.guess for other in self._parts), time.monotonic() - self._begun
        left = elapsed * (total - over) / over if over > 0.02 * total else total - over
        self._show(
            f"{part.kind}, {part.interface}: {done}/{part.count}, part {self._number + 1}/{len(self._parts)}, "
            f"about {math.ceil(left / 60.0)} min left"
        )

    # --- results ----------------------------------------------------------------------------------------------------

    @property
    def notes(self) -> list[str]:
        """Return what went wrong."""
        return [note for cell in self.cells for note in cell.notes]

    def counts(self) -> dict[str, Any]:
        """Return the counts.

        `bad_messages` and `kills` are those of the kinds of BENCH_PARTS; `state_messages` and `guarded_kills` those
        of the others. All other counts are sums over all kinds.
        """
        new = [cell for cell in self.cells if cell.kind not in BENCH_PARTS]
        old = self._old.counts
        return {
            **old,
            "controller_crashes": old["controller_crashes"] + sum(cell.crashes for cell in new),
            "out_of_limit_commands": old["out_of_limit_commands"] + sum(cell.outside for cell in new),
            "late_safe_commands": old["late_safe_commands"] + sum(cell.late for cell in new),
            "unrecovered": sum(cell.unrecovered for cell in self.cells),
            "state_messages": sum(cell.messages for cell in new),
            "state_messages_over_dds": sum(cell.dds for cell in new),
            "guarded_kills": sum(cell.kills for cell in new if cell.kind in GUARD_KINDS),
            "parameter_files": sum(cell.kills for cell in new if cell.kind == FILES),
            "falls": sum(cell.falls for cell in self.cells),
            "silent_failures": sum(cell.silent for cell in self.cells),
            "unasked_commands": sum(cell.unasked for cell in self.cells),
            "disturbed_kills": sum(cell.disturbed for cell in self.cells),
        }

    def asked(self) -> tuple[int, int]:
        """Return how many bad messages and kills of the kinds of BENCH_PARTS were to be made."""
        asked = dict.fromkeys(BENCH_PARTS, 0) | {part.kind: part.count for part in self._parts}
        return asked["bad-messages"], asked["robot-kills"] + asked["controller-kills"]

    def unjudged(self) -> list[str]:
        """Return a line for each other kind and interface with fewer faults judged than were to be made."""
        return [
            f"{cell.judged} of {part.count} {part.kind} with {part.interface}"
            for part, cell in zip(self._parts, self.cells, strict=True)
            if part.kind not in BENCH_PARTS and cell.judged < part.count
        ]
