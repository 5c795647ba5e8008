"""The conditions of the bench: what of the plant, or of what the controller is told, differs from a nominal start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RATE = 200.0  # [Hz], where a condition says nothing else


@dataclass(frozen=True)
class Condition:
    """What differs from a nominal start.

    plant: settings of the plant; delay: what the controller is configured for [ticks]; limits: factor of the effort
    limits, those of the drives and those the controller knows; spike: of two velocity samples [rad/s or m/s]; coulomb:
    dry friction [N m or N], at most COULOMB_SHARE of an effort limit; uneven: factor of the velocity noise of the last
    joint; loaded: half the load assumed in arms.py is fastened and taken off again; later: motor_lag [s] or
    command_delay [ticks] from LATER on in the first motion; lost_states: share of the states that do not arrive;
    stiffness: of the joints behind their drives, over their effort limits [1/rad or 1/m], 0: rigid; touching: a ball
    stands TOUCHED before the last target, on the way to it; interfaces: those that it concerns, empty: all; rate [Hz];
    engine: mujoco or dart; stripped: the controller's URDF has no <inertial>, and it guesses them.
    """

    meaning: str
    plant: Mapping[str, Any] = field(default_factory=dict)
    delay: float = 1.0
    limits: float = 1.0
    spike: float = 0.0
    coulomb: float = 0.0
    uneven: float = 1.0
    loaded: bool = False
    later: Mapping[str, float] = field(default_factory=dict)
    lost_states: float = 0.0
    stiffness: float = 0.0
    touching: bool = False
    interfaces: tuple[str, ...] = ()
    rate: float = RATE
    engine: str = "mujoco"
    stripped: bool = False


COULOMB_SHARE = 0.05
TOUCHED, BALL = (0.005, 0.05)  # [m] by which a target lies inside an obstacle; radius of the obstacle
NOMINAL = "nominal"
CONDITIONS = {
    NOMINAL: Condition("the plant of the demo, the delay known"),
    **{f"lag{ms}": Condition(f"the motors follow with {ms} ms", {"motor_lag": (0.001 * ms,)}) for ms in (5, 10, 20)},
    "delay-1": Condition("commands act a tick earlier than configured", delay=2.0),
    "delay+1": Condition("commands act a tick later than configured", {"command_delay": 2.0}),
    "delay+2": Condition("commands act two ticks later than configured", {"command_delay": 3.0}),
    "laterlag10": Condition("the motors begin to follow with 10 ms in the first motion", later={"motor_lag": 0.01}),
    "laterdelay+1": Condition("commands begin to act a tick later in the first motion", later={"command_delay": 2.0}),
    "diffvel": Condition("velocities are differences of positions", {"differentiated_velocity": True}),
    "jitter": Condition("commands act 0 or 1 tick later", {"command_jitter": 1}),
    "uneven10": Condition("the last joint's measured velocity has ten times the noise of the others'", uneven=10.0),
    "lost20": Condition("20 % of the states do not arrive", lost_states=0.2),
    "coulomb": Condition("dry friction of 2 N m, or 5 % of the effort limit", coulomb=2.0),
    "stribeck": Condition("dry friction twice as large at rest", {"stiction_factor": 2.0}),
    "encoder": Condition("encoders with 4096 steps per turn", {"position_resolution": 2.0 * math.pi / 4096.0}),
    "backlash": Condition("a milliradian of backlash", {"backlash": 0.001}),
    **{
        f"elastic{mrad}": Condition(
            f"joints elastic behind their drives: {mrad} mrad by the effort limit (efforts)",
            stiffness=1000.0 / mrad,
            interfaces=("effort",),
        )
        for mrad in (2, 5)
    },
    "contact": Condition("the last target lies 5 mm inside a stiff obstacle", touching=True),
    "carried": Condition("the driver carries the arm's weight", {"carried_weight": 1.0}),
    "carried0.9": Condition("the driver carries 90 % of the arm's weight", {"carried_weight": 0.9}),
    "servo": Condition(
        "drives that know nothing of each other, PI loops, 90 % of the weight carried (no efforts)",
        {"servo_time": 0.01, "servo_coupled": False, "servo_integral": 0.1, "carried_weight": 0.9},
        interfaces=("velocity", "position"),
    ),
    "limits3": Condition("effort limits times 3", limits=3.0),
    "limits1/3": Condition("a third of the effort limits", limits=1.0 / 3.0),
    "mass0.5": Condition("half the masses", {"mass_factor": 0.5}),
    "mass2": Condition("twice the masses", {"mass_factor": 2.0}),
    "arm0": Condition("no rotor inertia", {"armature": (0.0,)}),
    "arm0lag10": Condition("no rotor inertia, 10 ms of lag", {"armature": (0.0,), "motor_lag": (0.01,)}),
    "arm0delay+1": Condition("no rotor inertia, a tick later", {"armature": (0.0,), "command_delay": 2.0}),
    **{
        f"{name}vmax": Condition(f"{meaning}, velocity limits enforced", {**plant, "velocity_limited": True})
        for name, meaning, plant in (
            ("arm0", "no rotor inertia", {"armature": (0.0,)}),
            ("arm0lag10", "no rotor inertia, 10 ms of lag", {"armature": (0.0,), "motor_lag": (0.01,)}),
            ("arm0delay+1", "no rotor inertia, a tick later", {"armature": (0.0,), "command_delay": 2.0}),
        )
    },
    "arm0.01": Condition("rotor inertia of 0.01", {"armature": (0.01,)}),
    "arm0.5": Condition("rotor inertia of 0.5", {"armature": (0.5,)}),
    **{
        f"noinertials{name}": Condition(
            f"the controller's URDF has no <inertial>, and it guesses them{meaning}",
            plant,
            limits=limits,
            stripped=True,
            interfaces=("effort",),
        )
        for name, meaning, plant, limits in (
            ("", "", {}, 1.0),
            ("arm0", "; no rotor inertia", {"armature": (0.0,)}, 1.0),
            ("lag10", "; 10 ms of lag", {"motor_lag": (0.01,)}, 1.0),
            ("mass2", "; twice the masses", {"mass_factor": 2.0}, 1.0),
            ("limits3", "; effort limits times 3", {}, 3.0),
        )
    },
    "payload": Condition("half the load assumed for the arm, on and off", loaded=True),
    **{f"spike{size}": Condition(f"two velocity samples off by {size}", spike=size) for size in (5, 30, 100)},
    **{f"rate{hz}": Condition(f"control at {hz} Hz", rate=float(hz)) for hz in (50, 100, 500, 1000)},
    "dart": Condition("the plant of the demo in DART", engine="dart"),
    "dart0": Condition("in DART, no rotor inertia", {"armature": (0.0,)}, engine="dart"),
    "dart0vmax": Condition(
        "in DART as Gazebo runs a URDF", {"armature": (0.0,), "velocity_limited": True}, engine="dart"
    ),
}
QUICK_CONDITIONS = (NOMINAL, "lag10", "delay+1", "diffvel", "jitter", "spike30", "payload")
