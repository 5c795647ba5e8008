"""Settings of the simulated robot and camera. They can be listed without MuJoCo."""

from __future__ import annotations

import dataclasses

from ...exceptions import ConfigurationError
from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class PlantSettings(Section):
    """The simulated robot. Its joints, interface and limits are the `Robot`'s."""

    model: str = setting("", "URDF or MJCF: a file, its text, or 'package-data:NAME'; empty: the robot's own URDF")
    rate: float = setting(200.0, "control rate; one step is one period", unit="Hz", low=1.0, high=2000.0)
    timestep: float = setting(
        0.001, "physics step; the control period must be a multiple", unit="s", low=1e-5, high=0.01
    )
    position_noise: float = setting(1e-4, "standard deviation of measured positions", unit="rad or m", low=0.0)
    velocity_noise: float = setting(0.01, "standard deviation of measured velocities", unit="rad/s or m/s", low=0.0)
    differentiated_velocity: bool = setting(
        False,
        "measured velocities are differences of the measured positions, low-passed, as of a robot without tachometers",
    )
    velocity_cutoff: float = setting(30.0, "that low-pass", unit="Hz", low=0.1)
    velocity_spikes: tuple[str, ...] = setting(
        (), "time [s], joint and size [rad/s or m/s], one after the other: that one velocity sample is off by it"
    )
    sensor_delay: int = setting(0, "age of a measurement when it is delivered", unit="ticks", low=0, high=100)
    command_delay: float = setting(
        1.0,
        "from the delivery of a measurement until the command computed from it acts "
        "(fractions are rounded to physics steps)",
        unit="ticks",
        low=0.0,
        high=100.0,
    )
    command_jitter: int = setting(
        0,
        "every command's delay is longer by a whole number of ticks drawn from 0 to this; one "
        "that arrives after a newer one is dropped",
        unit="ticks",
        low=0,
        high=100,
    )
    late_share: float = setting(
        0.0,
        "share of the commands that come late; meanwhile the last one stands, and of those "
        "that arrive together the newest acts",
        low=0.0,
        high=1.0,
    )
    late_ticks: int = setting(5, "a late command comes 1 to this many ticks late", unit="ticks", low=1, high=1000)
    motor_lag: tuple[float, ...] = setting(
        (0.0,), "time constant of the applied effort, also of the drives'", unit="s", low=0.0, high=1.0, per_joint=True
    )
    armature: tuple[float, ...] = setting(
        (0.1,), "reflected motor inertia (an MJCF keeps its own)", unit="kg m^2 or kg", low=0.0, per_joint=True
    )
    damping: tuple[float, ...] = setting(
        (0.1,), "viscous friction (an MJCF keeps its own)", unit="N m s/rad or N s/m", low=0.0, per_joint=True
    )
    frictionloss: tuple[float, ...] = setting(
        (),
        "dry friction (an MJCF keeps its own); empty: a sixtieth of the effort limit, at most 0.5",
        unit="N m or N",
        low=0.0,
        per_joint=True,
    )
    effort_limit_factor: float = setting(
        1.0,
        "the drives' true effort limits over those of the robot description, which may be nominal",
        low=0.01,
        high=100.0,
    )
    mass_factor: float = setting(
        1.0, "the links' masses and inertias, over those of the model; the payload keeps its own", low=0.01, high=100.0
    )
    initial_position: tuple[float, ...] = setting(
        (), "joint positions at reset; empty: the middle of each range", unit="rad or m", per_joint=True
    )
    initial_noise: float = setting(0.02, "standard deviation of the positions at reset", unit="rad or m", low=0.0)
    seed: int = setting(0, "seed of every random number of the plant", low=0)
    gravity: tuple[float, ...] = setting((0.0, 0.0, -9.81), "in the frame of the model's world", unit="m/s^2")
    payload_body: str = setting("", "body or site that carries the payload; empty: the end-effector point")
    payload_offset: tuple[float, ...] = setting((0.0, 0.0, 0.0), "payload's centre in that body's frame", unit="m")
    marks: tuple[str, ...] = setting((), "bodies or sites with a mark a camera sees; empty: the end effector")
    mark_offsets: tuple[float, ...] = setting(
        (), "x, y, z of every mark in its body's frame, one after the other; empty: the bodies' origins", unit="m"
    )

    def validate(self) -> None:
        steps = 1.0 / (self.rate * self.timestep)
        if round(steps) < 1 or abs(steps - round(steps)) > 1e-6:
            fitting = 1.0 / self.rate / max(1, round(steps))
            raise ConfigurationError(
                f"the control period {1.0 / self.rate:g} s must be a multiple of the timestep "
                f"{self.timestep:g} s; a timestep of {fitting:g} s fits",
                key="timestep",
                value=self.timestep,
            )
        for key, length in (("gravity", 3), ("payload_offset", 3)):
            if len(getattr(self, key)) != length:
                raise ConfigurationError(f"must have {length} entries", key=key, value=getattr(self, key))
        if len(self.mark_offsets) not in (0, 3 * len(self.marks)):
            raise ConfigurationError(
                f"must have three entries for each of {len(self.marks)} marks, got {len(self.mark_offsets)}",
                key="mark_offsets",
                value=self.mark_offsets,
            )


@dataclasses.dataclass(frozen=True)
class CameraSettings(Section):
    """The simulated camera. Half the image's width is one unit of image coordinates."""

    rate: float = setting(30.0, "frames per second, exposed on control ticks", unit="Hz", low=0.1, high=1000.0)
    latency: float = setting(
        0.05, "from the exposure of a frame until its features are available", unit="s", low=0.0, high=5.0
    )
    field_of_view: float = setting(60.0, "horizontal opening angle", unit="deg", low=1.0, high=170.0)
    width: int = setting(640, "image width", unit="px", low=8, high=16384)
    height: int = setting(480, "image height", unit="px", low=8, high=16384)
    noise: float = setting(0.3, "standard deviation of a feature's position", unit="px", low=0.0)
    seed: int = setting(0, "seed of the feature noise", low=0)
