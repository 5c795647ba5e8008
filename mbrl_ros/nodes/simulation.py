"""What sim_node simulates, tick by tick and without ROS: plant, camera, scheduled events, log.

Events happen at exact ticks: an event at t takes place at the beginning of the first tick at or after t.
"""

from __future__ import annotations

import numpy as np

from ..config.sections.images import ImageSettings
from ..config.sections.sim_node import SimNodeSettings
from ..config.sections.simulation import CameraSettings, PlantSettings
from ..data.tick_log import TickLog
from ..exceptions import ConfigurationError
from ..robots import Robot
from ..simulation.brakes import Brakes
from ..simulation.camera import Camera, project
from ..simulation.pictures import Exposure
from ..simulation.plant import Measurement, Plant
from ..types import Array, FeatureFrame
from .simulated_camera import EVENT_ROUNDING, SimulatedCamera, groups


class Simulation:
    """One simulated robot with its camera. Times count from the start.

    begin_tick() returns what the sensors measure, end_tick(command) simulates one period.
    """

    def __init__(
        self,
        robot: Robot,
        plant: PlantSettings,
        camera: CameraSettings,
        settings: SimNodeSettings,
        image: ImageSettings | None = None,
    ):
        self.robot, self.settings = robot, settings
        self.plant = Plant(plant, robot)
        self._payload_events = groups("payload_schedule", settings.payload_schedule, 2)
        self._motor_events = [
            (_number("motor_schedule", t), joint, _number("motor_schedule", factor))
            for t, joint, factor in groups("motor_schedule", settings.motor_schedule, 3)
        ]
        self._measurement = self.plant.reset()
        self._brakes = Brakes(self.plant) if settings.command_topics else None
        watched = settings.camera or settings.images
        self._watching = SimulatedCamera(camera, image or ImageSettings(), settings, self.plant) if watched else None
        self._requested_payload: float | None = None
        self._reset_requested = False
        self.tick = self.held = 0
        self.payload = 0.0
        self._command: Array | None = None
        marks = 2 * len(self.plant.marks) if watched else 0
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
    def camera(self) -> Camera | None:
        """Return the camera, if there is one."""
        return None if self._watching is None else self._watching.camera

    @property
    def finished(self) -> bool:
        """Return whether settings.duration has passed; never if that is 0."""
        return 0.0 < self.settings.duration <= self.elapsed + EVENT_ROUNDING

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
            if self._brakes is not None:
                self._brakes.release()
        self._run_events()
        frames: tuple[FeatureFrame, ...] = ()
        if self._watching is not None:
            frames = self._watching.frames(self.elapsed)
        m = self._measurement
        return Measurement(self.elapsed, m.q, m.qd, m.effort), frames

    def exposure(self) -> Exposure | None:
        """Return what an image shows that is exposed at this tick, None without one; call once, after begin_tick."""
        return None if self._watching is None else self._watching.exposure(self.elapsed)

    def end_tick(self, command: Array | None) -> None:
        """Simulate one period with the command (n,) that answers this tick's state.

        None: the last one stays in effect. With `command_topics` brakes hold the joints for which it is NaN.
        """
        if command is None:
            self.held += self._command is not None
            command = self._command
        if command is None:
            command = self._resting_command()
        else:
            self._command = command
        if self._brakes is not None:
            command = self._brakes.filled(command, self._measurement)
        if self._log is not None:
            truth = self.plant.truth
            camera = self.camera
            features = None
            if camera is not None:
                features = project(self.plant.marks, camera.standing, camera.settings)[0].ravel()
            self._log.add(
                stamp=self.elapsed,
                q=truth.q,
                qd=truth.qd,
                tip=truth.tip,
                u=command,
                payload=self.payload,
                features=features,
                camera=0 if self._watching is None else self._watching.index,
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
        now = self.elapsed + EVENT_ROUNDING
        if self._requested_payload is not None:
            self.payload, self._requested_payload = self._requested_payload, None
            self.plant.set_payload(self.payload)
        while self._payload_events and self._payload_events[0][0] <= now:
            self.payload = self._payload_events.pop(0)[1]
            self.plant.set_payload(self.payload)
        while self._motor_events and self._motor_events[0][0] <= now:
            self.plant.scale_motor(*self._motor_events.pop(0)[1:])
        if self._watching is not None:
            self._watching.run_events(self.elapsed)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"'{name}' holds '{text}' where a number belongs", key=name, value=text) from None
