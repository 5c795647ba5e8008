"""How references move to a target."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class ReferenceSettings(Section):
    """How the reference moves to a new target: never faster than these fractions of the robot's limits."""

    velocity_fraction: float = setting(0.5, "of the joint velocity limit", low=0.01, high=1.0)
    acceleration_fraction: float = setting(0.5, "of the joint acceleration limit", low=0.01, high=1.0)
    jerk_fraction: float = setting(1.0, "of the joint jerk limit", low=0.01, high=1.0)
    feature_speed: float = setting(0.4, "speed of a feature's reference", unit="image widths/s", low=1e-3)
    feature_acceleration: float = setting(
        1.0, "acceleration of a feature's reference", unit="image widths/s^2", low=1e-3
    )
    posture: float = setting(
        5e-5,
        "weight of the joint reference while the target is a point or features, over its weight for joint targets",
        low=0.0,
        high=1.0,
    )
    home: tuple[float, ...] = setting(
        (),
        "joint positions from which the pose of an end-effector target is sought, which "
        "makes it a function of the target alone; empty: from the last target's pose",
        unit="rad or m",
    )
    excitation_amplitude: float = setting(
        0.04, "motion of every joint while the image Jacobian is unknown", unit="rad or m", low=0.0, high=0.5
    )
    excitation_frequency: float = setting(0.8, "mean frequency of that motion", unit="Hz", low=0.01, high=10.0)
    reach_tolerance: float = setting(
        0.001, "an end-effector target further than this from every pose is refused", unit="m", low=1e-6
    )
