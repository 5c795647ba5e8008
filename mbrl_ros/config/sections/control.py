"""The controller: its rate, its kind and what it may do."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class ControlSettings(Section):
    """The loop around the controller."""

    rate: float = setting(200.0, "control rate", unit="Hz", low=1.0, high=2000.0)
    controller: str = setting(
        "mpc",
        "what computes commands: mpc; pid: the baseline; teach: mpc, whose plans a policy "
        "is distilled from; policy: a distilled policy, with mpc beside it; or a plug-in",
    )
    planner: str = setting("ilqr", "what plans for the controller mpc: a planner of mbrl_ros/planners or a plug-in")
    delay: float = setting(
        1.0,
        "ticks from a measurement until the command computed from it acts (fractions allowed)",
        unit="ticks",
        low=0.0,
        high=20.0,
    )
    missing_velocity: str = setting(
        "estimate", "JointState without velocity: differentiate positions or refuse", choices=("estimate", "refuse")
    )
    state_timeout: float = setting(
        0.05, "age of the newest joint state after which the safe command is sent", unit="s", low=1e-3, high=10.0
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
        0.002, "... and in the long run", unit="fraction of Robot.command_scale", low=0.0, high=0.5, dynamic=True
    )
    exploration_noise: float = setting(
        3.0,
        "largest standard deviation of the velocity change that exploration makes in one "
        "tick, over dynamics.noise (effort interface)",
        low=0.0,
    )
    full_acceleration: float = setting(
        600.0,
        "a command that accelerates its joint by less does not count as large, whatever the "
        "effort limit says (effort interface)",
        unit="rad/s^2 or m/s^2",
        low=1e-3,
    )
    known_delay_factor: float = setting(
        0.6,
        "factor on the weight of the command's change once it is known when commands act: a known "
        "delay allows a faster loop (effort interface)",
        low=0.01,
        high=1.0,
    )
    exploration_decay: float = setting(0.7, "time constant from the one to the other", unit="s", low=1e-3)
    stamp_clock: str = setting(
        "auto",
        "whose clock stamps the joint states: ros: this node's; own: the robot's own, "
        "age counts from the fastest message; auto: ros if the first stamp is within 10 s",
        choices=("auto", "ros", "own"),
    )
    velocity_cutoff: float = setting(30.0, "low-pass of velocities estimated from positions", unit="Hz", low=0.1)
    feature_latency: float = setting(
        0.05,
        "age of features that come without a stamp (features_vector), and of every frame in lockstep",
        unit="s",
        low=0.0,
        high=5.0,
    )
