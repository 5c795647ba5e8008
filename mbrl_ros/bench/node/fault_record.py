"""What the fault bench counts, for every kind of fault and every interface, and how it is written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

LONGEST_NOTE = 1000  # characters
NOTES_PER_CELL = 20


@dataclass
class Cell:
    """The counts of one kind of fault with one interface; `notes` explain what went wrong.

    Parameters
    ----------
    kind, interface
        of the faults.
    messages
        wrong or unusual messages sent.
    dds
        how many of them went over DDS to a node; the others took the node's road in process.
    kills
        processes killed, stopped or not allowed to start.
    falls
        times that the tip went more than 5 cm beyond the braking distance (falls.py).
    outside
        commands outside limits, of a wrong length or not finite.
    silent
        faults that were neither counted in diagnostics nor reported.
    unasked
        commands for messages that must cause none, and commands of nodes that must not start.
    late
        safe commands that came too late.
    unrecovered
        times that the node did not continue as documented.
    disturbed
        kills after which this machine was late, so that no fall could be judged.
    crashes
        processes that ended by themselves, and errors inside the control cycle.
    largest
        the farthest that a tip went beyond its braking distance [m].
    """

    kind: str
    interface: str
    messages: int = 0
    dds: int = 0
    kills: int = 0
    falls: int = 0
    outside: int = 0
    silent: int = 0
    unasked: int = 0
    late: int = 0
    unrecovered: int = 0
    disturbed: int = 0
    crashes: int = 0
    largest: float = 0.0
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep an explanation, unless there are many already."""
        if len(self.notes) < NOTES_PER_CELL:
            self.notes.append(f"{self.kind}, {self.interface}: {text}"[:LONGEST_NOTE])

    @property
    def judged(self) -> int:
        """Return how many faults were made and could be judged."""
        return self.messages + self.kills - self.disturbed

    def numbers(self) -> dict[str, Any]:
        """Return everything but the notes."""
        numbers = asdict(self)
        del numbers["notes"]
        return numbers


COLUMNS = {  # of the table, after kind and interface: their heads
    "messages": "messages",
    "dds": "of them over DDS",
    "kills": "kills",
    "falls": "falls",
    "outside": "outside limits",
    "silent": "silent failures",
    "unasked": "unasked",
    "late": "late safe commands",
    "unrecovered": "unrecovered",
    "crashes": "crashes",
    "disturbed": "disturbed",
}


FAULT_MEANINGS = {
    "messages, of them over DDS": "wrong or unusual messages sent; the others took the node's road in process",
    "kills": "processes killed, stopped or not allowed to start",
    "falls": "times that the tip went more than 5 cm beyond its braking distance",
    "outside limits": "commands outside limits, of a wrong length or not finite",
    "silent failures": "faults that were neither counted in diagnostics nor reported",
    "unasked": "commands for messages that must cause none, and commands of nodes that must not start",
    "late safe commands": "safe commands that came too late",
    "unrecovered": "times that the node did not continue as documented",
    "crashes": "processes that ended by themselves, and errors inside the control cycle",
    "disturbed": "kills after which this machine was late, so that no fall could be judged",
    "farthest beyond braking": "that a tip went beyond its braking distance [mm]",
}


def table_of_cells(cells: Iterable[Cell]) -> str:
    """Format the cells as Markdown, one line for each."""
    heads = ["kind", "interface", *COLUMNS.values(), "farthest beyond braking [mm]"]
    lines = [f"| {' | '.join(heads)} |", "|---|---|" + "---:|" * (len(heads) - 2)]
    for cell in cells:
        numbers = [str(cell.numbers()[name]) for name in COLUMNS]
        far = f"{1e3 * cell.largest:.1f}" if cell.largest else ""
        lines.append(f"| {cell.kind} | {cell.interface} | {' | '.join(numbers)} | {far} |")
    return "\n".join(lines)


def table(counts: Mapping[str, int]) -> str:
    """Format the counts as Markdown."""
    return "\n".join(
        ["| what | count |", "|---|---|", *(f"| {key.replace('_', ' ')} | {value} |" for key, value in counts.items())]
    )
