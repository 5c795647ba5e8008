"""The counted program: `python -m mbrl_ros.bench.tick.count FOLDER TOOL`, where FOLDER holds what `Job` wrote.

It answers the recorded states twice, each time with a new control cycle. The first time only a whole tick is between
two marks, the second time every part of it. TOOL is perf, valgrind, or none: then the ticks are made and nothing is
counted, so that whatever is compiled for them is compiled.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import sys
from pathlib import Path

from ...config.configuration import Configuration
from ..counted_process import LOG, RESULT
from ..counters import CallgrindCounter, Counter, PerfCounter
from .parts import OUTERMOST, Marks, Overhead, mark_parts, shares, summed_to
from .repeated import Recording, RepeatedTicks

JOB, RECORDING = "job.json", "recording.npz"


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Job:
    """What is counted: `ticks` of a recording after `warm_up` of them, with the controller of a configuration."""

    configuration: Configuration
    recording: Recording
    warm_up: int
    ticks: int

    def save(self, folder: Path) -> None:
        """Write it to a folder."""
        self.recording.save(folder / RECORDING)
        numbers = {"settings": self.configuration.flat(), "warm_up": self.warm_up, "ticks": self.ticks}
        (folder / JOB).write_text(json.dumps(numbers), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Job:
        """Read what `save` wrote."""
        numbers = json.loads((folder / JOB).read_text(encoding="utf-8"))
        configuration = Configuration.from_flat(numbers["settings"])
        return cls(configuration, Recording.load(folder / RECORDING), numbers["warm_up"], numbers["ticks"])


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """Instructions of a tick, {part: instructions of its own} with the same sum, and how far that had to be corrected.

    correction: the sum of the marked parts minus the whole, as a fraction of the whole; what the overhead of the marks
    was not known to.
    """

    instructions: float
    by_part: dict[str, float]
    correction: float


def count(job: Job, counter: Counter) -> Counts:
    """Count the instructions of the job's ticks."""
    plain, whole_marks = _warm(job), Marks(counter)
    mark_parts(plain.cycle, whole_marks, only=OUTERMOST)
    counter.start()
    first = len(counter.counts())
    plain.run(job.ticks)
    counter.stop()
    marked, marks = _warm(job), Marks(counter)
    mark_parts(marked.cycle, marks)
    counter.start()
    second = len(counter.counts())
    marked.run(job.ticks)
    third = len(counter.counts())
    overhead = Overhead.measure(counter)
    counter.stop()
    counts = counter.counts()
    (whole,) = shares(whole_marks.entered, counts[first:second], overhead).values()
    parts = shares(marks.entered, counts[second:third], overhead)
    whole, parts = whole / job.ticks, {part: value / job.ticks for part, value in parts.items()}
    return Counts(whole, summed_to(whole, parts), sum(parts.values()) / whole - 1.0)


def _warm(job: Job) -> RepeatedTicks:
    """Return a control cycle after the ticks of the warm-up, its objects out of the garbage collector's sight."""
    ticks = RepeatedTicks(job.configuration, job.recording)
    ticks.run(job.warm_up)
    gc.collect()
    gc.freeze()  # as the node does
    return ticks


def main(folder: Path, tool: str) -> None:
    """Count, and write the result into the folder."""
    job = Job.load(folder)
    if tool == "none":
        _warm(job)
        return
    counts = count(job, PerfCounter() if tool == "perf" else CallgrindCounter(folder / LOG))
    (folder / RESULT).write_text(json.dumps(dataclasses.asdict(counts)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
