"""Settings of the references, which lead from the present state to a target."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class ReferenceSettings(Section):
    """The motion of the reference to a new target, within these fractions of the robot's limits."""

    velocity_fraction: float = setting(
        0.5, "fraction of the joint velocity limits that a reference uses", low=0.01, high=1.0
    )
    acceleration_fraction: float = setting(
        0.5, "fraction of the joint acceleration limits that a reference uses", low=0.01, high=1.0
    )
    jerk_fraction: float = setting(1.0, "fraction of the joint jerk limits that a reference uses", low=0.01, high=1.0)
    feature_speed: float = setting(
        0.4,
        "speed of the reference of an image feature, less where the joints would be too fast",
        unit="image widths/s",
        low=1e-3,
    )
    feature_acceleration: float = setting(
        1.0, "acceleration of the reference of an image feature", unit="image widths/s^2", low=1e-3
    )
    posture: float = setting(
        0.05,
        "weight of the joint reference while the target is an end-effector point, as a fraction of its weight with "
        "joint targets; with much less, an arm near a singular posture takes seconds to arrive",
        low=0.0,
        high=1.0,
    )
    posture_in_image: float = setting(
        5e-5,
        "the same while the target is image features; the joint reference rests where the motion began, so that a "
        "large weight keeps the features from their target",
        low=0.0,
        high=1.0,
    )
    home: tuple[float, ...] = setting(
        (),
        "joint positions from which the inverse kinematics of an end-effector target starts, so that the "
        "pose depends on the target alone; empty: the pose of the last target",
        unit="rad or m",
    )
    excitation_amplitude: float = setting(
        0.04,
        "amplitude of the motion of every joint while the image Jacobian is unknown, less for slow joints",
        unit="rad or m",
        low=0.0,
        high=0.5,
    )
    excitation_frequency: float = setting(0.8, "mean frequency of that motion", unit="Hz", low=0.01, high=10.0)
    shortest_way: bool = setting(
        True,
        "whether a continuous joint goes to a target, and to the first point of a trajectory, the short way, at most "
        "half a turn; otherwise to the angle as it is given",
    )
    oldest_target: float = setting(
        2.0, "a target stamped longer ago is refused; a trajectory is refused once it has ended", unit="s", low=0.0
    )
    latest_target: float = setting(60.0, "a target stamped further in the future is refused", unit="s", low=0.0)
    most_targets: int = setting(100, "number of targets that may wait for their time", low=1, high=10000)
    rotation_weights: tuple[float, ...] = setting(
        (1.0, 1.0, 1.0),
        "how much the rotations about the x, y and z axis of the tool's frame count in a pose target; 0: free, so that "
        "[1, 1, 0] lets the tool turn about its z axis, and [0, 0, 0] asks for its point alone",
        low=0.0,
        high=1.0,
    )
    jog_timeout: float = setting(
        0.25,
        "a velocity of the tool or of the joints holds for so long after its stamp, then the arm comes smoothly to "
        "rest; one stamped longer ago, or further in the future, has no effect; at least two periods of control.rate",
        unit="s",
        low=0.01,
        high=10.0,
    )
    jog_lead: float = setting(
        0.15,
        "how far the reference of a jog may be ahead of an arm that is blocked or held: the way of each joint at the "
        "speed limit of references in this time, at least 0.02 rad or m; from half of it on the jog is slowed down",
        unit="s",
        low=0.01,
        high=10.0,
    )
    jog_linear_speed: float = setting(
        1.0, "a twist of the tool with a larger linear velocity has no effect", unit="m/s", low=0.0, high=10.0
    )
    jog_angular_speed: float = setting(
        3.0, "a twist of the tool with a larger angular velocity has no effect", unit="rad/s", low=0.0, high=30.0
    )
    jog_condition: float = setting(
        50.0,
        "condition number of the Jacobian of the tool's velocity, with 0.2 m for a radian, at which a twist that leads "
        "to a singular posture has been slowed down to rest; the way back stays free",
        low=2.0,
        high=1e6,
    )
    wait_for_arm: bool = setting(
        True,
        "whether a trajectory waits while the supervisor keeps an arm from following it, as before contact, and then "
        "goes on along its path from where the arm is; otherwise its time goes on, and the arm catches up with it",
    )
    stop_distance: float = setting(
        0.06,
        "the posture of a pose target keeps this distance from the joint stops where one near by does; nearer to them "
        "cost.joint_limits pushes the arm off its target. 0: as found",
        unit="rad or m",
        low=0.0,
        high=0.5,
    )
    reach_angle: float = setting(
        0.005, "a pose target is rejected if no posture comes closer to its orientation than this", unit="rad", low=1e-6
    )
    reach_tolerance: float = setting(
        0.001, "an end-effector target is rejected if no pose comes closer to it than this", unit="m", low=1e-6
    )
