"""Settings of the nodes themselves, ROS parameters without a prefix. They can be listed without ROS."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class NodeSettings(Section):
    """mpc_node. Everything about control stands in the controller's sections."""

    robot_description: str = setting(
        "", "URDF text; empty: robot.description, and if that is empty too, the latched robot_description topic"
    )
    autostart: bool = setting(True, "configure and activate at start; otherwise wait for lifecycle transitions")
    end_with_parent: bool = setting(
        False,
        "end in order, safe command included, when the process that started the node dies; "
        "the launch files set it (Linux)",
    )
    shadow: bool = setting(
        False,
        "publish to ~/shadow_commands instead of commands, and learn from the effort in "
        "joint_states as the command in effect (effort interface)",
    )
    lockstep: bool = setting(
        False, "one command per state, in the order of the stamps, whatever the clock says; for sim_node in lockstep"
    )
    player_rate: float = setting(
        0.0,
        "between plans, answer states at up to this rate with the plan's feedback; 0: answer only with plans",
        unit="Hz",
        low=0.0,
        high=10000.0,
    )
    forward_controller: str = setting(
        "",
        "node name of the ros2_control forward_command_controller that gets the "
        "commands: its parameter 'joints' gives their order; empty: the robot's order",
    )
    trajectory_commands: bool = setting(
        False,
        "publish commands as JointTrajectory of one point on trajectory_commands "
        "as well (position and velocity interface)",
    )
    plan_rate: float = setting(10.0, "rate of ~/plan and ~/markers; 0: never", unit="Hz", low=0.0, high=1000.0)
    answer_after: float = setting(
        0.0007,
        "a command leaves no earlier than this after its state can have come, and so "
        "after the same time every tick (at most 35 % of a period); 0: at once",
        unit="s",
        low=0.0,
        high=0.1,
    )
    priority: int = setting(
        0,
        "SCHED_FIFO priority of the control thread, where permitted; the node's other "
        "threads get one less; 0: ordinary scheduling",
        low=0,
        high=99,
    )
    processors: tuple[float, ...] = setting((), "processors the control thread may run on; empty: all", low=0.0)
    lock_memory: bool = setting(False, "keep the process's memory from being paged out, where permitted")
    compute_warning: float = setting(
        0.8,
        "99 % of the ticks should compute in less; else diagnostics warn, and above 1 they report an error",
        unit="fraction of the period",
        low=0.01,
        high=1.0,
    )
    missed_warning: float = setting(
        0.001,
        "share of ticks missed lately above which diagnostics warn; an error above ten times that",
        low=0.0,
        high=1.0,
    )
    model_file: str = setting("", "file of ~/save_model and ~/load_model (.npz)")
    transitions_file: str = setting(
        "", "keep every transition learned from (.npz, for `mbrl fit-prior`), written on deactivation; empty: none"
    )
    log_file: str = setting("", "table of all ticks (.npz), written on deactivation; empty: none")


@dataclasses.dataclass(frozen=True)
class SimNodeSettings(Section):
    """sim_node. The robot, the plant and the camera have their own sections (robot, plant, camera)."""

    robot_description: str = setting("", "URDF text; empty: robot.description")
    autostart: bool = setting(True, "start simulating at once; otherwise wait for the service ~/start")
    readers: int = setting(0, "the first state waits until so many others read joint_states, such as a recorder", low=0)
    lockstep: bool = setting(False, "every state waits for its command; otherwise simulate in real time")
    pace: bool = setting(
        False, "in lockstep: simulated time never runs ahead of real time; otherwise as fast as possible"
    )
    lockstep_timeout: float = setting(
        120.0, "end with an error when a state waited this long for its command", unit="s", low=1.0
    )
    brakes: bool = setting(True, "time stands still and the arm with it until the first command (in lockstep always)")
    start_stamp: float = setting(
        1.0, "stamp of the first state; the following ones are exactly one period apart", unit="s", low=1e-3
    )
    duration: float = setting(0.0, "exit after this much simulated time; 0: never", unit="s", low=0.0)
    camera: bool = setting(False, "publish features")
    payload_schedule: tuple[float, ...] = setting(
        (), "t, mass [kg], t, mass, ...: payload changes at t after the start", unit="s, kg"
    )
    camera_schedule: tuple[float, ...] = setting((), "t, t, ...: the camera jumps to its next pose", unit="s")
    camera_poses: tuple[float, ...] = setting(
        (),
        "12 numbers per pose: position [m] and rotation matrix row by row, in the "
        "root link's frame; the first is the initial one; when they are used "
        "up, random poses by camera.seed follow",
    )
    motor_schedule: tuple[str, ...] = setting(
        (), "t, joint, factor, ...: the joint's motor keeps this share of its torque"
    )
    log_file: str = setting("", "the true state of every tick (.npz), written on exit; empty: none")


@dataclasses.dataclass(frozen=True)
class DistillationNodeSettings(Section):
    """distillation_node. Student and school have their own section (distillation)."""

    robot_description: str = setting("", "URDF text; empty: robot.description")
    topics: tuple[str, ...] = setting(("mpc_node/supervision",), "supervision topics, one for each robot that teaches")
    folder: str = setting("", "for checkpoints, resumed from at start; empty: none")
    period: float = setting(5.0, "pause between fits", unit="s", low=0.1, high=3600.0)
    checkpoint_period: float = setting(
        10.0, "between checkpoints: what a killed node loses at most", unit="s", low=0.1, high=86400.0
    )


@dataclasses.dataclass(frozen=True)
class RecordNodeSettings(Section):
    """Settings of record_node."""

    output: str = setting("", "folder of the bag, created anew; empty: mbrl_ and the date")
    storage: str = setting("mcap", "storage format of the bag", choices=("mcap", "sqlite3"))
    compress: bool = setting(False, "compress with zstd")
    part_mb: float = setting(64.0, "a new storage file begins at this size", unit="MB", low=0.1)
    total_mb: float = setting(1024.0, "the oldest storage files are deleted beyond this", unit="MB", low=0.2)
    min_free_mb: float = setting(512.0, "recording pauses while less is free on the disk", unit="MB", low=0.0)
    topics: tuple[str, ...] = setting((), "patterns of further topics, such as /camera/*; '*' for everything")
    node: str = setting("mpc_node", "the parameters of nodes with this name are recorded")


@dataclasses.dataclass(frozen=True)
class ReplayNodeSettings(Section):
    """Settings of replay_node."""

    bag: str = setting("", "rosbag2 folder, .db3 or .mcap")
    rate: float = setting(1.0, "speed of the playback: 2 plays twice as fast", low=0.01, high=100.0)
    begin: float = setting(0.0, "seconds of the bag left out at its beginning", unit="s", low=0.0)
    end: float = setting(1e9, "seconds of the bag after which the playback ends", unit="s", low=0.0)
    loop: bool = setting(False, "begin again at the end; stamps and /clock begin again too")
    paused: bool = setting(False, "begin paused, until ~/resume")
    keys: bool = setting(False, "the Enter key pauses and resumes")
    clock_rate: float = setting(100.0, "rate of /clock; 0: none", unit="Hz", low=0.0, high=1000.0)
    readers: int = setting(1, "wait until so many nodes subscribe to the joint states", low=0)
    patience: float = setting(10.0, "begin without them after so long", unit="s", low=0.0)
    topics: tuple[str, ...] = setting((), "patterns of the topics to play; empty: all but those that command a robot")
