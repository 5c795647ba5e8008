"""A tick of mpc_node in one process, without ROS: a recorded closed loop, and its states answered again.

First the control cycle of the node, with the controller and the supervisor of a configuration, drives the simulated
robot from nothing to the demo's end-effector targets, in lockstep. Then a new cycle answers the recorded states without
the simulation, so that nothing but ticks is measured: every tick begins with the arrival of a state and ends when the
controller has recorded the command that acted. What acted is what was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...config.configuration import Configuration
from ...config.sections.simulation import CameraSettings, PlantSettings, fitting_timestep
from ...controllers.factory import build_controller
from ...exceptions import ConfigurationError
from ...robots import load_robot
from ...runtime.conditions import SteppedConditions
from ...runtime.control_cycle import ControlCycle
from ...runtime.mailbox import Arrival
from ...safety.supervisor import Supervisor
from ...scenarios.scenario import build_scenario
from ...simulation.camera import Camera, random_pose
from ...simulation.model import TIP
from ...simulation.plant import Plant
from ...types import Array, FeatureFrame, Observation
from ..checked_outputs import CheckedOutputs

MARKS_RADIUS = 0.05  # [m]: of the circle of marks about the end effector
SHORTEST = 8.0  # [s] of the demo's scenario
RECORDED = ("stamp", "q", "qd", "effort", "u", "frame")


@dataclass(frozen=True, eq=False, slots=True)
class Recording:
    """What a closed loop saw and did, {name of RECORDED: (T, ...)}, and its end-effector targets.

    times (N,) [s], targets (N, 3) [m]; a row of `frame` is stamp, points, confidence, or NaN where none came.
    """

    rows: Mapping[str, Array]
    times: Array
    targets: Array

    def save(self, file: Path) -> None:
        """Write it to a file of numpy."""
        arrays: dict[str, Any] = {"times": self.times, "targets": self.targets, **self.rows}
        np.savez(file, **arrays)

    @classmethod
    def load(cls, file: Path) -> Recording:
        """Read what `save` wrote."""
        with np.load(file) as data:
            return cls({name: data[name] for name in RECORDED}, data["times"], data["targets"])

    def arrival(self, k: int, points: int) -> Arrival:
        """Return the state of tick k as it arrived."""
        row, frame = self.rows, self.rows["frame"][k]
        seen = bool(np.isfinite(frame[0]))
        frames = (FeatureFrame(frame[0], frame[1 : 1 + 2 * points], frame[1 + 2 * points :]),) if seen else ()
        stamp = float(row["stamp"][k])
        return Arrival(Observation(stamp, row["q"][k], row["qd"][k], frames), stamp, row["effort"][k])


class RepeatedTicks:
    """The control cycle of a configuration, and a recording whose states it answers, one after the other."""

    def __init__(self, configuration: Configuration, recording: Recording | None = None):
        self.configuration, self._recording = configuration, recording
        self.robot = load_robot(configuration.robot)
        controller = build_controller(self.robot, configuration)
        self.outputs = CheckedOutputs(self.robot)
        self._k, self._acted = 0, np.zeros(self.robot.n)
        self.cycle = ControlCycle(
            controller,
            Supervisor(self.robot, configuration.supervisor, controller.dt),
            self.outputs,
            SteppedConditions(lambda arrival, u: u if self._recording is None else self._acted),
            dt=controller.dt,
            timeout=configuration.control.state_timeout,
            lockstep=True,
        )
        if recording is not None:
            self.begin(recording.times, recording.targets)

    def begin(self, times: Array, targets: Array) -> None:
        """Give the controller its end-effector targets (N, 3) [m], each from its time (N,) [s] on."""
        for time, target in zip(times, targets, strict=True):
            self.cycle.controller.set_point_target(target, float(time))

    def run(self, count: int) -> None:
        """Answer the next `count` states."""
        for _ in range(count):
            self.prepare()
            self.cycle.tick(self.arrival)

    def prepare(self) -> None:
        """Take the next state as `arrival`."""
        recording, k = self._recording, self._k
        if recording is None:
            raise ConfigurationError("there is no recording whose states could be answered")
        self.arrival = recording.arrival(k, self.configuration.features.points)
        self._acted = recording.rows["u"][k]
        self._k += 1


def marks_at_tip(count: int) -> dict[str, Any]:
    """Return the settings of the simulated robot with `count` marks about its end effector; one needs none."""
    if count < 2:
        return {}
    angles = 2.0 * np.pi * np.arange(count) / count
    offsets = MARKS_RADIUS * np.column_stack((np.cos(angles), np.sin(angles), np.zeros(count)))
    return {"marks": (TIP,) * count, "mark_offsets": tuple(offsets.ravel().tolist())}


def record(configuration: Configuration, plant_settings: Mapping[str, Any], ticks: int) -> Recording:
    """Run the closed loop for `ticks` periods from nothing.

    Parameters
    ----------
    configuration
        Of the controller.
    plant_settings
        {key: value} of the simulated robot that differ from the defaults.
    ticks
        Control periods.

    Raises
    ------
    ConfigurationError
        The commands were outside their limits or the controller raised errors: nothing of it is worth measuring.
    """
    loop, rate, points = RepeatedTicks(configuration), configuration.control.rate, configuration.features.points
    values = {"timestep": fitting_timestep(rate), **marks_at_tip(points), **plant_settings, "rate": rate}
    plant = Plant(PlantSettings.from_mapping(values), loop.robot)
    measurement = plant.reset()
    duration = max(SHORTEST, (ticks + 1) * plant.period)
    slots = build_scenario(loop.robot, measurement.q, 0, duration=duration, reference=configuration.reference).slots
    times, targets = np.array([slot.start for slot in slots]), np.array([slot.value for slot in slots])
    camera = Camera(CameraSettings(), random_pose(np.random.default_rng(0), plant.truth.tip)) if points else None
    rows: dict[str, list[Any]] = {name: [] for name in RECORDED}
    for k in range(ticks):
        frames = camera.tick(plant.time, plant.marks) if camera else ()
        m = measurement
        if not k:
            loop.begin(times, targets)
        loop.cycle.tick(Arrival(Observation(m.stamp, m.q, m.qd, frames), m.stamp, m.effort))
        seen = frames[0] if frames else None
        frame = np.r_[seen.stamp, seen.points, seen.confidence] if seen else np.full(1 + 3 * points, np.nan)
        for name, value in zip(RECORDED, (m.stamp, m.q, m.qd, m.effort, loop.outputs.u, frame), strict=True):
            rows[name].append(value)
        measurement = plant.step(loop.outputs.u)
    if loop.outputs.outside or loop.outputs.errors:
        why = loop.outputs.errors[0] if loop.outputs.errors else f"{loop.outputs.outside} commands outside their limits"
        raise ConfigurationError(f"the closed loop that is to be measured failed: {why}")
    return Recording({name: np.array(values) for name, values in rows.items()}, times, targets)
