"""Settings of the controller: rate, kind, delay, exploration and its inputs."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class ControlSettings(Section):
    """The controller and its inputs."""

    rate: float = setting(200.0, "control rate", unit="Hz", low=1.0, high=2000.0)
    controller: str = setting(
        "mpc",
        "what computes commands: mpc; pid: a baseline; teach: mpc, whose plans are labels for distilling "
        "a policy; policy: a distilled policy, with mpc beside it; or the name of a plug-in",
    )
    planner: str = setting("ilqr", "planner of the controller mpc: one of mbrl_ros/planners or the name of a plug-in")
    delay: float = setting(
        1.0,
        "time from a measurement until the command that is computed from it acts; fractions are allowed",
        unit="ticks",
        low=0.0,
        high=20.0,
    )
    missing_velocity: str = setting(
        "estimate",
        "what happens with joint states that have no velocity: estimate: differentiate the positions; "
        "refuse: reject them",
        choices=("estimate", "refuse"),
    )
    state_timeout: float = setting(
        0.05, "age of the newest joint state above which the safe command is sent", unit="s", low=1e-3, high=10.0
    )
    seed: int = setting(0, "seed of the exploration noise", low=0)
    exploration_start: float = setting(
        0.03,
        "standard deviation of the exploration noise at the start",
        unit="fraction of Robot.command_scale",
        low=0.0,
        high=0.5,
    )
    exploration_end: float = setting(
        0.002,
        "standard deviation of the exploration noise in the long run",
        unit="fraction of Robot.command_scale",
        low=0.0,
        high=0.5,
        dynamic=True,
    )
    exploration_noise: float = setting(
        3.0,
        "largest standard deviation of the velocity change that exploration causes in one tick, as a "
        "multiple of dynamics.noise (effort and position interface)",
        low=0.0,
    )
    full_acceleration: float = setting(
        600.0,
        "a command that accelerates its joint by less than this does not count as large, whatever the "
        "effort limit is (effort interface)",
        unit="rad/s^2 or m/s^2",
        low=1e-3,
    )
    known_delay_factor: float = setting(
        0.6,
        "factor on the weight of command changes while the delay is known, which allows faster feedback "
        "(effort interface)",
        low=0.01,
        high=1.0,
    )
    exploration_decay: float = setting(
        0.7,
        "time constant with which the exploration noise goes from its value at the start to that in the long run",
        unit="s",
        low=1e-3,
    )
    stamp_clock: str = setting(
        "auto",
        "clock of the stamps of joint states: ros: the clock of this node; own: a clock of the robot, "
        "ages are then counted from the message that arrived with the least delay; auto: ros if the first"
        " stamp is within 10 s of it, else own",
        choices=("auto", "ros", "own"),
    )
    velocity_cutoff: float = setting(
        30.0, "cutoff frequency of the low-pass filter of velocities estimated from positions", unit="Hz", low=0.1
    )
    feature_latency: float = setting(
        0.05,
        "age of image features that have no stamp (features_vector), and of every frame in lockstep",
        unit="s",
        low=0.0,
        high=5.0,
    )
