"""Settings of sim_node itself: ROS parameters without a prefix. This module needs no ROS."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class SimNodeSettings(Section):
    """Settings of sim_node; robot, plant and camera have sections of their own."""

    robot_description: str = setting("", "URDF text; empty: robot.description")
    autostart: bool = setting(True, "start the simulation at once; false: wait for the service ~/start")
    readers: int = setting(
        0, "number of further subscribers to joint_states, such as a recorder, that the first state waits for", low=0
    )
    command_topics: tuple[str, ...] = setting(
        (),
        "'TOPIC JOINT JOINT ...': topics of commands for some of the joints each, so that several controllers move one "
        "robot; every joint belongs to one of them, and a brake holds it before its first command; empty: the topic "
        "commands, for all joints",
    )
    joint_commands: str = setting(
        "", "topic of commands as JointState, in place of commands, as ros2_control's topic-based hardware; empty: none"
    )
    lockstep: bool = setting(False, "every state waits for its command; false: simulate in real time")
    pace: bool = setting(
        False, "in lockstep: simulated time does not run faster than real time; false: as fast as possible"
    )
    lockstep_timeout: float = setting(
        120.0, "end with an error when a state has waited this long for its command", unit="s", low=1.0
    )
    brakes: bool = setting(True, "keep time and arm at rest until the first command (in lockstep always)")
    start_stamp: float = setting(
        1.0, "stamp of the first state; the next ones follow exactly one period apart", unit="s", low=1e-3
    )
    duration: float = setting(0.0, "exit after this much simulated time; 0: never", unit="s", low=0.0)
    camera: bool = setting(False, "publish image features")
    images: bool = setting(
        False, "publish rendered images (image, camera_info) in place of features, for feature_node or another detector"
    )
    images_answered: bool = setting(
        False,
        "in lockstep every image waits for its features, also while nobody publishes them yet, so that the first ones "
        "repeat too; false: only where somebody does",
    )
    occlusion_schedule: tuple[float, ...] = setting(
        (), "pairs of times: from the first to the second the marker is hidden from the camera", unit="s"
    )
    payload_schedule: tuple[float, ...] = setting(
        (),
        "pairs of time [s] and mass [kg], one after the other: the payload has this mass from this time "
        "after the start on",
        unit="s, kg",
    )
    camera_schedule: tuple[float, ...] = setting((), "times at which the camera moves to its next pose", unit="s")
    camera_poses: tuple[float, ...] = setting(
        (),
        "12 numbers per pose: position [m] and rotation matrix row by row, in the frame of the root link;"
        " the first is the initial pose; after the last one follow random poses with camera.seed",
    )
    motor_schedule: tuple[str, ...] = setting(
        (),
        "time [s], joint and factor, one after the other: the joint's motor keeps this fraction of its "
        "torque from this time on",
    )
    log_file: str = setting("", "file for the true state of every tick (.npz), written on exit; empty: none")
