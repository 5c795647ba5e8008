"""What sim_node simulates, tick by tick and without ROS: plant, camera, scheduled events, log.

Events happen at exact ticks: an event at t takes place at the beginning of the first tick at or after t.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config.sections.nodes import SimNodeSettings
from ..config.sections.simulation import CameraSettings, PlantSettings
from ..data.tick_log import TickLog
from ..exceptions import ConfigurationError
from ..robots import Robot
from ..simulation.camera import Camera, CameraPose, project, random_pose
from ..simulation.plant import Measurement, Plant
from ..types import Array, FeatureFrame

_TOLERANCE = 1e-9  # [s], for rounding where the time of an event falls on a tick


class Simulation:
    """One simulated robot with its camera. Times count from the start.

    begin_tick() returns what the sensors measure, end_tick(command) simulates one period.
    """

    def __init__(self, robot: Robot, plant: PlantSettings, camera: CameraSettings, settings: SimNodeSettings):
        self.robot, self.settings = robot, settings
        self.plant = Plant(plant, robot)
        self._payload_events = _groups("payload_schedule", settings.payload_schedule, 2)
        self._camera_events = list(settings.camera_schedule)
        self._motor_events = [
            (_number("motor_schedule", t), joint, _number("motor_schedule", factor))
            for t, joint, factor in _groups("motor_schedule", settings.motor_schedule, 3)
        ]
        self._poses = [
            CameraPose(np.array(entry[:3]), np.reshape(entry[3:], (3, 3)))
            for entry in _groups("camera_poses", settings.camera_poses, 12)
        ]
        # in lockstep the controller waits for the latency to pass, by the stamps
        self._camera_settings = camera = camera.replace(latency=0.0) if settings.lockstep else camera
        self._rng = np.random.default_rng(camera.seed)
        self._measurement = self.plant.reset()
        self.camera = Camera(camera, self._next_pose()) if settings.camera else None
        self._requested_payload: float | None = None
        self._reset_requested = False
        self.tick = self.held = 0
        self.payload, self._camera_index = 0.0, 0
        self._command: Array | None = None
        marks = 2 * len(self.plant.marks) if settings.camera else 0
        n = robot.n
        self._log = (
            TickLog(
                {
                    **dict.fromkeys(("stamp", "payload", "camera", "held")),
                    "q": n,
                    "qd": n,
                    "tip": 3,
                    "u": n,
                    "features": marks,
                }
            )
            if settings.log_file
            else None
        )

    @property
    def elapsed(self) -> float:
        """Return the simulated time since the start [s]."""
        return self.tick * self.plant.period

    @property
    def finished(self) -> bool:
        """Return whether settings.duration has passed; never if that is 0."""
        return 0.0 < self.settings.duration <= self.elapsed + _TOLERANCE

    @property
    def truth(self) -> Measurement:
        """Return the state without noise, with the stamp of this tick's measurement; effort is left empty."""
        truth = self.plant.truth
        return Measurement(self.elapsed, truth.q, truth.qd, np.zeros(0))

    def request_payload(self, kg: float) -> None:
        """Change the payload [kg] at the next tick; ConfigurationError if it is not a mass."""
        if not 0.0 <= kg < np.inf:
            raise ConfigurationError(f"a payload must be a mass of at least 0 kg, got {kg!r}", key="payload", value=kg)
        self._requested_payload = kg

    def request_reset(self) -> None:
        """Return the robot to its initial position at the next tick; time goes on."""
        self._reset_requested = True

    def begin_tick(self) -> tuple[Measurement, tuple[FeatureFrame, ...]]:
        """Return the measurement of this tick and the feature frames that became available."""
        if self._reset_requested:
            self._reset_requested = False
            self._measurement, self._command = self.plant.reset(), None
        self._run_events()
        frames: tuple[FeatureFrame, ...] = ()
        if self.camera is not None:
            start = self.settings.start_stamp
            frames = tuple(
                FeatureFrame(start + frame.stamp, frame.points, frame.confidence)
                for frame in self.camera.tick(self.elapsed, self.plant.marks)
            )
        m = self._measurement
        return Measurement(self.elapsed, m.q, m.qd, m.effort), frames

    def end_tick(self, command: Array | None) -> None:
        """Simulate one period with the command that answers this tick's state; None: the last one stays in effect."""
        if command is None:
            self.held += self._command is not None
            command = self._command
        if command is None:
            command = self._resting_command()
        else:
            self._command = command
        if self._log is not None:
            truth = self.plant.truth
            features = (
                None
                if self.camera is None
                else project(self.plant.marks, self.camera.pose, self.camera.settings)[0].ravel()
            )
            self._log.add(
                stamp=self.elapsed,
                q=truth.q,
                qd=truth.qd,
                tip=truth.tip,
                u=command,
                payload=self.payload,
                features=features,
                camera=self._camera_index,
                held=self.held,
            )
        self._measurement = self.plant.step(command)
        self.tick += 1

    def save(self, path: str) -> None:
        """Write the log of true states, if there is one (settings.log_file)."""
        if self._log is None:
            return
        self._log.save(
            path,
            {
                "joints": self.robot.joints,
                "dt": self.plant.period,
                "start_stamp": self.settings.start_stamp,
                "clipped": self.plant.clipped,
                "rejected": self.plant.rejected,
                "seed": self.plant.seed,
            },
        )

    def _resting_command(self) -> Array:
        """Return the command before the first one arrived: zero, or the present position."""
        if self.robot.interface == "position":
            return np.clip(self._measurement.q, self.robot.command_lower, self.robot.command_upper)
        return np.zeros(self.robot.n)

    def _run_events(self) -> None:
        now = self.elapsed + _TOLERANCE
        if self._requested_payload is not None:
            self.payload, self._requested_payload = self._requested_payload, None
            self.plant.set_payload(self.payload)
        while self._payload_events and self._payload_events[0][0] <= now:
            self.payload = self._payload_events.pop(0)[1]
            self.plant.set_payload(self.payload)
        while self._motor_events and self._motor_events[0][0] <= now:
            self.plant.scale_motor(*self._motor_events.pop(0)[1:])
        while self._camera_events and self._camera_events[0] <= now:
            self._camera_events.pop(0)
            if self.camera is not None:
                self._camera_index += 1
                self.camera.pose = self._next_pose()

    def _next_pose(self) -> CameraPose:
        if self._poses:
            return self._poses.pop(0)
        return random_pose(self._rng, self.plant.truth.tip, settings=self._camera_settings)


def _groups(name: str, values: Sequence[Any], size: int) -> list[tuple[Any, ...]]:
    """Split a flat list of events into groups of `size` entries."""
    if len(values) % size:
        raise ConfigurationError(
            f"'{name}' must have {size} entries per event, got {len(values)} in all", key=name, value=values
        )
    return [tuple(values[i : i + size]) for i in range(0, len(values), size)]


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"'{name}' holds '{text}' where a number belongs", key=name, value=text) from None
