"""Settings of the supervisor and of the loop monitor: limits of commands, time-outs, faults, the safe command."""

from __future__ import annotations

import dataclasses

from ...exceptions import ConfigurationError
from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class SupervisorSettings(Section):
    """Limits of commands, warnings, faults and the safe command."""

    command_rate: tuple[float, ...] = setting(
        (0.5,), "largest change of a command per tick", unit="fraction of its range", low=1e-4, high=1.0, per_joint=True
    )
    speed_guard: float = setting(
        0.95,
        "fraction of the velocity limit above which no command may accelerate a joint further; it begins "
        "to act 0.05 below",
        low=0.1,
        high=1.0,
    )
    guard_effort: float = setting(
        0.1,
        "braking effort at that speed (effort interface)",
        unit="fraction of the effort limit",
        low=0.0,
        high=1.0,
    )
    stop_deceleration: float = setting(
        1.0,
        "deceleration that determines the allowed speed in front of a position limit",
        unit="fraction of the acceleration limit",
        low=0.01,
        high=10.0,
    )
    acceleration: float = setting(
        20.0,
        "largest acceleration of a velocity or position command",
        unit="fraction of the acceleration limit",
        low=0.01,
    )
    safe_effort: str = setting(
        "arrest",
        "safe command of the effort interface: arrest: stop within the acceleration limits and hold the "
        "arm against gravity; zero: no effort; damp: damping; gravity: damping and the gravity of the "
        "URDF's masses; hold: damping and stiffness about the mean of the last commands",
        choices=("arrest", "zero", "damp", "gravity", "hold"),
    )
    arrest_rate: float = setting(
        20.0,
        "arrest: ratio of damping to inertia, from which stiffness and integral gain follow",
        unit="1/s",
        low=1.0,
        high=100.0,
    )
    mean_time: float = setting(
        0.5, "arrest: time constant of the mean of the commands, which compensates gravity", unit="s", low=1e-3
    )
    blind_time: float = setting(
        0.5,
        "arrest: time without joint states during which the mean command is still sent, open loop",
        unit="s",
        low=0.0,
    )
    blind_effort: str = setting(
        "mean",
        "arrest: command after blind_time: mean: still the mean command; zero: no effort, for an arm "
        "whose brakes engage by themselves",
        choices=("mean", "zero"),
    )
    damping: tuple[float, ...] = setting(
        (),
        "damping of the safe command; empty: a twentieth of the effort limit at the velocity limit",
        unit="N m s/rad",
        low=0.0,
        high=1e6,
        per_joint=True,
    )
    allow_sinking: bool = setting(
        False,
        "damp: permit it although some pose of the arm sinks faster than 0.05 of its speed limit under it",
    )
    stiffness: tuple[float, ...] = setting(
        (50.0,), "stiffness of the safe command hold", unit="N m/rad", low=0.0, high=1e7, per_joint=True
    )
    steady_time: float = setting(
        0.5, "time constant of the mean of the commands for the safe command hold", unit="s", low=1e-3
    )
    start: str = setting(
        "active",
        "after activation: active: run the controller, whose first target is the measured position; hold:"
        " hold until ~/resume is called",
        choices=("active", "hold"),
    )
    ramp_time: float = setting(
        0.3,
        "duration of the transition from holding to the controller, velocity and position interface",
        unit="s",
        low=0.0,
        high=60.0,
    )
    ramp_time_effort: float = setting(
        0.0,
        "the same for the effort interface, where an arm that is not balanced would fall during the transition",
        unit="s",
        low=0.0,
        high=60.0,
    )
    max_failed_plans: int = setting(
        10, "number of failed decisions in a row before the fault state", unit="ticks", low=0
    )
    stale_limit: float = setting(
        0.5,
        "time without joint states above which the fault state begins, which ends only with ~/resume",
        unit="s",
        low=0.0,
    )
    longest_saturation: float = setting(
        0.5,
        "time of a command at its limit above which there is a warning (effort and velocity interface)",
        unit="s",
        low=0.0,
    )
    overspeed: float = setting(1.5, "speed of a joint that is a fault", unit="fraction of the velocity limit", low=1.0)
    on_inconsistency: str = setting(
        "degrade",
        "reaction to innovations that stay far outside their bounds: ignore; degrade: move slowly; hold: "
        "after consistency.hold_after send the safe command until the model is consistent again",
        choices=("ignore", "degrade", "hold"),
    )
    degraded_speed: float = setting(
        0.6, "allowed speed during a warning", unit="fraction of the normal one", low=0.01, high=1.0
    )
    late_warning: float = setting(
        0.006,
        "mean lateness of the commands, beyond the delay that is compensated, above which the controller "
        "is slowed down and its gains are reduced; at least 1.2 periods",
        unit="s",
        low=0.0,
    )
    late_limit: float = setting(
        0.012,
        "mean lateness of the commands above which the safe command is sent; at least 2.4 periods",
        unit="s",
        low=1e-4,
    )
    late_release: float = setting(
        0.5, "time below late_warning after which the controller takes over again", unit="s", low=0.0
    )
    nominal_after: float = setting(0.2, "time without warnings after which the degraded state ends", unit="s", low=0.0)

    def validate(self) -> None:
        """Check what concerns more than one setting."""
        if self.late_limit <= self.late_warning:
            raise ConfigurationError(
                f"must be above late_warning ({self.late_warning:g} s), got {self.late_limit:g}",
                key="late_limit",
                value=self.late_limit,
            )


@dataclasses.dataclass(frozen=True)
class MonitorSettings(Section):
    """When the closed loop counts as bad, and what follows (safety/loop_monitor.py)."""

    reaction: str = setting(
        "hold",
        "what follows: ignore: nothing; warn: the arm is slowed down (DEGRADED); lower: the gain of the controller is "
        "lowered, too; hold: and where that does not help the safe command is sent",
        choices=("ignore", "warn", "lower", "hold"),
    )
    memory: float = setting(
        0.05, "time constant of the means that are compared with the thresholds", unit="s", low=1e-3, high=1.0
    )
    noise: float = setting(
        10.0,
        "standard deviation of what the model does not explain of a joint's acceleration, above which the loop is bad "
        "if it also is noise_growth times its long-run value",
        unit="rad/s^2 or m/s^2",
        low=1e-3,
    )
    noise_growth: float = setting(
        5.0, "see noise; the long-run value is a mean over noise_memory, at least dynamics.noise", low=1.0
    )
    noise_memory: float = setting(2.0, "time constant of the long-run noise", unit="s", low=0.01, high=60.0)
    tracking: float = setting(
        0.5,
        "speed at which the end effector moves away from its reference above which the loop is bad; a reference that "
        "goes ahead of it does not count",
        unit="m/s",
        low=1e-3,
    )
    chatter: float = setting(
        120.0,
        "mean acceleration by which a joint's commands go to and fro from tick to tick, above which the loop is bad",
        unit="rad/s^2 or m/s^2",
        low=1e-3,
    )
    offset: float = setting(
        8.0,
        "mean change to and fro, from tick to tick, of the acceleration that the model expects of a joint beside that "
        "by the command's change, above which the loop is bad (effort interface)",
        unit="rad/s^2 or m/s^2",
        low=1e-3,
    )
    saturation: float = setting(
        0.5,
        "share of the ticks with a command at its limit above which the loop is bad (effort interface)",
        low=0.0,
        high=1.0,
    )
    least_gain: float = setting(
        0.2,
        "share of its usual gain to which a controller is lowered; a change of the command costs 1/share^2 times as "
        "much then",
        low=0.05,
        high=1.0,
    )
    recovery: float = setting(2.0, "time constant with which the gain rises again", unit="s", low=0.01, high=60.0)
    hold_after: float = setting(
        0.3, "time of a bad loop, at the lowered gain, after which the arm is held", unit="s", low=0.0
    )
    release_after: float = setting(
        0.5, "time without a bad loop after which the gain rises, and the arm is no longer held", unit="s", low=0.0
    )
