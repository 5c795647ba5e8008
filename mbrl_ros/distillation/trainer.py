"""Learning as samples come: memory, fits, versions, checkpoints. Knows no ROS and starts no thread.

`offer` takes a sample, `learn` makes the next policy when enough is new, `checkpoint` writes what has to survive.
Everything that was offered up to the last checkpoint survives a kill at any moment, because files are replaced
atomically.
"""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import numpy as np

from ..config.sections.distillation import DistillationSettings
from ..exceptions import DataError
from ..robots import Robot
from ..types import Array
from . import storage
from .dataset import MOST_SOURCES, Memory, Supervision
from .ensemble import TeacherEnsemble
from .fit import Report, fit
from .inertia import PointMassInertia
from .policy import Policy, load
from .problem import FEWEST_SAMPLES

LARGEST_ANGLE = 1e4  # [rad] of a joint without stops
POLICY_FILE, MEMORY_FILE = "newest.policy", "samples.memory"
MEMORY_KIND = "memory"


def plausible(robot: Robot) -> Array:
    """Return bounds (3n,) of |q|, |qd| and |u| of a sample of `robot`: well beyond its limits, but of their size.

    The teacher's commands are within the limits; a robot pushed by hand may be faster than its limits, a joint without
    stops may have turned often.
    """
    position = np.maximum(np.abs(robot.position_lower), np.abs(robot.position_upper))
    command = np.maximum(np.abs(robot.command_lower), np.abs(robot.command_upper))
    return np.concatenate(
        [
            np.where(np.isfinite(position), 2.0 * position + 1.0, LARGEST_ANGLE),
            10.0 * robot.velocity_limit,
            2.0 * command,
        ]
    )


class Trainer:
    """Trains one student of `robot`'s kind; `offer` may be called from another thread than `learn` and `checkpoint`.

    Parameters
    ----------
    folder : where checkpoints are, '' for none; the ones in it are resumed

    Attributes
    ----------
    memory, policy, version : the samples, the newest policy and its number
    lost : gaps in the samples' numbers, by source
    other_kinds : samples before the first of the wanted kind
    refused : why checkpoints could not be resumed
    """

    def __init__(self, robot: Robot, settings: DistillationSettings, folder: str | Path = ""):
        self.robot, self.settings, self.folder = robot, settings, Path(folder) if folder else None
        self.memory: Memory | None = None
        self.policy: Policy | None = None
        self.lost: Counter[str] = Counter()
        self.version = self.other_kinds = self._learned = 0
        self._sequences: dict[str, int] = {}
        self._ensemble = TeacherEnsemble(settings.teachers)
        self._inertia_model, self._lock = PointMassInertia(robot), threading.Lock()
        self.refused: list[str] = []
        if self.folder is not None:
            self._resume(self.folder)

    def offer(self, sample: Supervision, sequence: int | None = None) -> bool:
        """Take in a sample; return whether it was. `sequence`: its number at its source; gaps are counted in `lost`."""
        s = self.settings
        with self._lock:
            if sequence is not None:
                self._count_lost(sample.source, sequence)
            joint = self._ensemble.add(sample)
            if joint is None:
                return False
            if self.memory is None:
                if joint.kind != s.kind:
                    self.other_kinds += 1
                    return False
                self.memory = Memory(
                    self.robot.n,
                    joint.kind,
                    joint.target.size,
                    capacity=s.capacity,
                    window=s.window,
                    tasks=s.tasks,
                    seed=s.seed,
                    largest=plausible(self.robot),
                )
            return self.memory.add(joint)

    def _count_lost(self, source: str, sequence: int) -> None:
        """Count the gap before a source's sample; of more sources than can teach, nothing is counted."""
        if source not in self._sequences and len(self._sequences) >= MOST_SOURCES:
            return
        gap = sequence - self._sequences.get(source, sequence - 1) - 1
        self.lost[source] += max(0, gap)
        self._sequences[source] = sequence

    def learn(self, fresh: int = 400) -> Report | None:
        """Fit anew if at least `fresh` samples came since the last fit; `policy` and `version` are the result."""
        with self._lock:
            memory = self.memory
            if memory is None or memory.count < FEWEST_SAMPLES or memory.offered - self._learned < fresh:
                return None
            samples, taught, offered = memory.samples(self.settings.fit_samples), memory.taught, memory.offered
        policy, report = fit(
            samples,
            self.robot,
            memory.kind,
            self.settings,
            tasks=memory.tasks,
            previous=self.policy,
            inertia_model=self._inertia_model,
            about={"version": self.version + 1, "taught_s": round(taught, 3)},
        )
        self.policy, self.version, self._learned = policy, self.version + 1, offered
        return report

    def checkpoint(self) -> None:
        """Write policy and memory. OSError if the disk does not take them; the old files then still stand."""
        if self.folder is None:
            return
        if self.policy is not None:
            self.policy.save(self.folder / POLICY_FILE)
        if self.memory is not None:
            with self._lock:
                meta, arrays = self.memory.state()
            storage.save(self.folder / MEMORY_FILE, MEMORY_KIND, meta, arrays)

    def _resume(self, folder: Path) -> None:
        """Resume what can be read; list the reasons for the rest in `refused` and move it aside, not overwritten."""
        for name in (POLICY_FILE, MEMORY_FILE):
            path = folder / name
            if not path.exists():
                continue
            try:
                if name == POLICY_FILE:
                    policy = load(path)
                    policy.check(self.robot)
                    self.policy, self.version = policy, policy.version
                else:
                    memory = Memory.restored(*storage.load(path, MEMORY_KIND))
                    if memory.kind != self.settings.kind:
                        raise DataError(
                            f"{path}: holds samples for {memory.kind} targets; distillation.kind is "
                            f"{self.settings.kind}"
                        )
                    if memory.n != self.robot.n:
                        raise DataError(f"{path}: holds samples of {memory.n} joints, the robot has {self.robot.n}")
                    memory.largest = plausible(self.robot)
                    self.memory = memory
            except DataError as error:
                self.refused.append(str(error))
                path.replace(path.with_suffix(path.suffix + ".refused"))
