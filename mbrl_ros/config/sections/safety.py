"""The supervisor: limits of commands, time-outs, faults and the safe command."""

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
        "fraction of the velocity limit no command may push a joint beyond; the guard sets in 0.05 below",
        low=0.1,
        high=1.0,
    )
    guard_effort: float = setting(
        0.1,
        "braking of the guard at that speed (effort interface)",
        unit="fraction of the effort limit",
        low=0.0,
        high=1.0,
    )
    stop_deceleration: float = setting(
        1.0,
        "before a joint stop the allowed speed is what this deceleration can stop",
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
        "safe command of the effort interface: arrest: come to rest within the acceleration "
        "limits and carry the arm; zero; damp: damping; gravity: damping and what the URDF's "
        "masses weigh; hold: damping and stiffness about the average of the last commands",
        choices=("arrest", "zero", "damp", "gravity", "hold"),
    )
    arrest_rate: float = setting(
        20.0, "arrest: damping over inertia; stiffness and integral follow from it", unit="1/s", low=1.0, high=100.0
    )
    mean_time: float = setting(
        0.5, "arrest: time constant of the mean of commands that carries the arm", unit="s", low=1e-3
    )
    blind_time: float = setting(
        0.5, "arrest: without joint states the mean command goes on, open loop, for this time", unit="s", low=0.0
    )
    blind_effort: str = setting(
        "mean",
        "arrest: ... and then: mean: it still does; zero: no effort, for an arm whose brakes engage by themselves",
        choices=("mean", "zero"),
    )
    damping: tuple[float, ...] = setting(
        (),
        "damping of the safe command; empty: a twentieth of the effort limit at the velocity limit",
        unit="N m s/rad",
        low=0.0,
        per_joint=True,
    )
    stiffness: tuple[float, ...] = setting(
        (50.0,), "stiffness of the safe command 'hold'", unit="N m/rad", low=0.0, per_joint=True
    )
    steady_time: float = setting(0.5, "time constant of the average of commands for 'hold'", unit="s", low=1e-3)
    start: str = setting(
        "active",
        "after activation: follow the controller, whose first target is to stay (active), or wait for ~/resume (hold)",
        choices=("active", "hold"),
    )
    ramp_time: float = setting(
        0.3, "from holding to following the controller, velocity and position interface", unit="s", low=0.0, high=60.0
    )
    ramp_time_effort: float = setting(
        0.0,
        "the same for the effort interface; an arm that does not carry itself would fall meanwhile",
        unit="s",
        low=0.0,
        high=60.0,
    )
    max_failed_plans: int = setting(10, "failed decisions in a row before the fault state", unit="ticks", low=0)
    stale_limit: float = setting(
        0.5, "without joint states for longer, recovery is no longer automatic", unit="s", low=0.0
    )
    longest_saturation: float = setting(
        0.5, "a command at its limit for longer is a warning (effort, velocity)", unit="s", low=0.0
    )
    overspeed: float = setting(
        1.5, "a joint faster than this is a fault", unit="fraction of the velocity limit", low=1.0
    )
    on_inconsistency: str = setting(
        "degrade",
        "when the model's innovations stay far outside their bounds: ignore it, move slowly "
        "(degrade), or, after consistency.hold_after, send the safe command until it is trusted "
        "again (hold)",
        choices=("ignore", "degrade", "hold"),
    )
    degraded_speed: float = setting(
        0.6, "allowed speed while a warning holds", unit="fraction of the normal one", low=0.01, high=1.0
    )
    late_warning: float = setting(
        0.006,
        "mean age of the commands that act, beyond the delay that is compensated, from which on "
        "the controller is slower and softer: the machine answers late; at least 1.2 periods",
        unit="s",
        low=0.0,
    )
    late_limit: float = setting(
        0.012, "... and from which on the arm is held by the safe command; at least 2.4 periods", unit="s", low=1e-4
    )
    late_release: float = setting(0.5, "time below late_warning after which a held arm is released", unit="s", low=0.0)
    nominal_after: float = setting(0.2, "time without any warning after which a degraded state ends", unit="s", low=0.0)

    def validate(self) -> None:
        if self.late_limit <= self.late_warning:
            raise ConfigurationError(
                f"must be above late_warning ({self.late_warning:g} s), got {self.late_limit:g}",
                key="late_limit",
                value=self.late_limit,
            )
