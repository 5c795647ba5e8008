"""Settings of the simulated robot and of the camera. This module needs no MuJoCo."""

from __future__ import annotations

import dataclasses

from ...exceptions import ConfigurationError
from ..section import Section, setting

USUAL_TIMESTEP = 0.001  # [s]


def fitting_timestep(rate: float) -> float:
    """Return the step of the physics [s] next to the usual one of which the period of `rate` [Hz] is a multiple."""
    period = 1.0 / rate
    return period / max(1, round(period / USUAL_TIMESTEP))


@dataclasses.dataclass(frozen=True)
class PlantSettings(Section):
    """The simulated robot. Its joints, interface and limits are the `Robot`'s."""

    model: str = setting("", "URDF or MJCF: a file, its text, or 'package-data:NAME'; empty: the URDF of the robot")
    rate: float = setting(200.0, "control rate; one step of the plant is one period", unit="Hz", low=1.0, high=2000.0)
    timestep: float = setting(
        USUAL_TIMESTEP, "step of the physics; the control period must be a multiple", unit="s", low=1e-5, high=0.01
    )
    position_noise: float = setting(1e-4, "standard deviation of measured positions", unit="rad or m", low=0.0)
    position_resolution: float = setting(
        0.0, "step of measured positions, as of an encoder; 0: none", unit="rad or m", low=0.0
    )
    velocity_noise: float = setting(0.01, "standard deviation of measured velocities", unit="rad/s or m/s", low=0.0)
    velocity_noise_factors: tuple[float, ...] = setting(
        (1.0,), "of velocity_noise: of a joint whose sensor is worse or better", low=0.0, per_joint=True
    )
    differentiated_velocity: bool = setting(
        False,
        "measured velocities are differences of the measured positions, low-pass filtered, as of a robot "
        "without velocity sensors",
    )
    velocity_cutoff: float = setting(30.0, "cutoff frequency of that low-pass filter", unit="Hz", low=0.1)
    velocity_spikes: tuple[str, ...] = setting(
        (), "time [s], joint and size [rad/s or m/s], one after the other: this one velocity sample has this error"
    )
    sensor_delay: int = setting(0, "age of a measurement when it is delivered", unit="ticks", low=0, high=100)
    command_delay: float = setting(
        1.0,
        "time from the delivery of a measurement until the command that is computed from it acts; rounded"
        " to steps of the physics",
        unit="ticks",
        low=0.0,
        high=100.0,
    )
    command_jitter: int = setting(
        0,
        "the delay of every command is longer by a random whole number of ticks from 0 to this; a command"
        " that arrives after a newer one is dropped",
        unit="ticks",
        low=0,
        high=100,
    )
    late_share: float = setting(
        0.0,
        "share of the commands that arrive late; until then the last one acts, and of commands that "
        "arrive together the newest",
        low=0.0,
        high=1.0,
    )
    late_ticks: int = setting(5, "a late command arrives 1 to this many ticks late", unit="ticks", low=1, high=1000)
    motor_lag: tuple[float, ...] = setting(
        (0.0,),
        "time constant of the applied effort, also of the drives' effort",
        unit="s",
        low=0.0,
        high=1.0,
        per_joint=True,
    )
    armature: tuple[float, ...] = setting(
        (0.1,),
        "inertia of the rotors, reflected through the gears (an MJCF has its own)",
        unit="kg m^2 or kg",
        low=0.0,
        per_joint=True,
    )
    damping: tuple[float, ...] = setting(
        (),
        "viscous friction (an MJCF has its own); empty: the URDF's (effort interface), and 0.1 where that is 0 or "
        "missing",
        unit="N m s/rad or N s/m",
        low=0.0,
        per_joint=True,
    )
    frictionloss: tuple[float, ...] = setting(
        (),
        "dry friction (an MJCF has its own); empty: the URDF's (effort interface), and where that is 0 or missing a "
        "sixtieth of the effort limit, at most 0.5",
        unit="N m or N",
        low=0.0,
        per_joint=True,
    )
    stiction_factor: float = setting(
        1.0,
        "dry friction at rest over that in motion (Stribeck); it falls off with exp(-(qd/v)^2)",
        low=1.0,
        high=10.0,
    )
    stribeck_velocity: float = setting(0.05, "that v", unit="rad/s or m/s", low=1e-4)
    backlash: float = setting(
        0.0, "play of every joint behind its drive; positions are measured at the drive", unit="rad or m", low=0.0
    )
    joint_stiffness: tuple[float, ...] = setting(
        (),
        "stiffness of every joint behind its drive; positions are measured at the drive; empty: rigid (effort "
        "interface)",
        unit="N m/rad or N/m",
        low=1e-3,
        per_joint=True,
    )
    joint_damping_time: float = setting(
        0.001, "damping of the joints behind their drives, over their stiffness", unit="s", low=0.0, high=1.0
    )
    carried_weight: float = setting(
        -1.0,
        "share of the robot's own weight (not the payload's) that the driver carries besides the command; -1: none "
        "with efforts, all with velocities and positions",
        low=-1.0,
        high=2.0,
    )
    servo_time: float = setting(
        0.005, "time constant of the drives' velocity loop (velocity and position interface)", unit="s", low=1e-3
    )
    servo_coupled: bool = setting(
        True,
        "whether the drives' loop takes the arm's present inertia into account, with its coupling and the payload, as "
        "computed torque does; false: each drive has the inertia of its joint in the first posture",
    )
    servo_integral: float = setting(
        0.0, "time constant of the integral part of the drives' velocity loop; 0: none", unit="s", low=0.0
    )
    obstacle: tuple[float, ...] = setting(
        (),
        "x, y, z and radius of a ball that the end-effector point runs into, in the root link's frame; empty: none",
        unit="m",
    )
    obstacle_stiffness: float = setting(1e4, "stiffness of that ball", unit="N/m", low=0.0)
    velocity_limited: bool = setting(
        False, "no joint gets faster than the robot description's limit, as in Gazebo: the drive takes the rest away"
    )
    effort_limit_factor: float = setting(
        1.0,
        "true effort limits of the drives over those of the robot description",
        low=0.01,
        high=100.0,
    )
    mass_factor: float = setting(
        1.0, "masses and inertias of the links over those of the model, without the payload", low=0.01, high=100.0
    )
    initial_position: tuple[float, ...] = setting(
        (), "joint positions at reset; empty: the middle of each range", unit="rad or m", per_joint=True
    )
    initial_noise: float = setting(0.02, "standard deviation of the positions at reset", unit="rad or m", low=0.0)
    seed: int = setting(0, "seed of every random number of the plant", low=0)
    gravity: tuple[float, ...] = setting((), "in the frame of the model's world; empty: robot.gravity", unit="m/s^2")
    payload_body: str = setting("", "body or site that carries the payload; empty: the end-effector point")
    payload_offset: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0), "center of the payload in the frame of that body", unit="m"
    )
    marks: tuple[str, ...] = setting((), "bodies or sites with a mark that a camera sees; empty: the end effector")
    mark_offsets: tuple[float, ...] = setting(
        (),
        "x, y, z of every mark in the frame of its body, one after the other; empty: the origins of the bodies",
        unit="m",
    )

    def validate(self) -> None:
        """Check what concerns more than one setting."""
        steps = 1.0 / (self.rate * self.timestep)
        if round(steps) < 1 or abs(steps - round(steps)) > 1e-6:
            fitting = 1.0 / self.rate / max(1, round(steps))
            raise ConfigurationError(
                f"the control period {1.0 / self.rate:g} s must be a multiple of the timestep "
                f"{self.timestep:g} s; a timestep of {fitting:g} s fits",
                key="timestep",
                value=self.timestep,
            )
        if self.obstacle and (len(self.obstacle) != 4 or self.obstacle[3] <= 0.0):
            raise ConfigurationError("must be x, y, z and a radius above 0", key="obstacle", value=self.obstacle)
        if self.backlash and self.joint_stiffness:
            raise ConfigurationError(
                "a joint has backlash or a stiffness, not both", key="backlash", value=self.backlash
            )
        for key, vector in (("gravity", self.gravity), ("payload_offset", self.payload_offset)):
            if len(vector) != 3 and (vector or key != "gravity"):
                raise ConfigurationError("must have 3 entries", key=key, value=vector)
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
        0.05, "time from the exposure of a frame until its features are available", unit="s", low=0.0, high=5.0
    )
    field_of_view: float = setting(60.0, "horizontal opening angle", unit="deg", low=1.0, high=170.0)
    width: int = setting(640, "image width", unit="px", low=8, high=16384)
    height: int = setting(480, "image height", unit="px", low=8, high=16384)
    noise: float = setting(0.3, "standard deviation of a feature's position", unit="px", low=0.0)
    seed: int = setting(0, "seed of the feature noise", low=0)
    body: str = setting("", "body or site that carries the camera, whose poses are in its frame; empty: the root link")
