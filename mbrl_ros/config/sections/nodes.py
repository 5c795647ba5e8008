"""Settings of the nodes themselves: ROS parameters without a prefix. This module needs no ROS."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class NodeSettings(Section):
    """Settings of mpc_node; those of the controller are in the sections of the configuration."""

    robot_description: str = setting(
        "", "URDF text; empty: robot.description, and if that is empty too, the latched topic robot_description"
    )
    autostart: bool = setting(True, "configure and activate at start; false: wait for lifecycle transitions")
    end_with_parent: bool = setting(
        False,
        "send the safe command and end when the process that started the node ends; the launch files set it (Linux)",
    )
    shadow: bool = setting(
        False,
        "publish to ~/shadow_commands instead of commands, and learn from the effort in joint_states as "
        "the applied command (effort interface)",
    )
    lockstep: bool = setting(
        False,
        "answer every state with one command, in the order of the stamps, whatever the clock is; for "
        "sim_node in lockstep",
    )
    player_rate: float = setting(
        0.0,
        "largest rate at which states between two plans are answered with the feedback of the last plan; "
        "0: answer only with new plans",
        unit="Hz",
        low=0.0,
        high=10000.0,
    )
    guard: str = setting(
        "",
        "name of the guard_node that stands between this node and the robot's controller: commands go to its topic "
        "GUARD/commands_in, and only if it ends to commands; empty: there is none",
    )
    forward_controller: str = setting(
        "",
        "node name of the forward_command_controller of ros2_control that receives the commands; its "
        "parameter joints gives their order; empty: the order of the robot's joints",
    )
    trajectory_commands: bool = setting(
        False,
        "publish the commands also as JointTrajectory with one point that applies at once on trajectory_commands, "
        "for a joint_trajectory_controller with positions",
    )
    feedback_commands: bool = setting(
        False,
        "publish the plan's feedback law each tick as linear_feedback_controller_msgs/Control on feedback_commands, "
        "for a linear_feedback_controller of ros2_control that plays it at its own rate (effort interface; without "
        "player_rate, guard and shadow)",
    )
    gripper_joints: tuple[str, ...] = setting(
        (),
        "names of a gripper's joints in the robot description, whose positions pass from ~/gripper to "
        "gripper_commands, within their limits, while the node is active and there is no fault; empty: none",
    )
    progress_rate: float = setting(
        20.0, "rate of ~/target_progress; 0: never, and ~/message tells no outcomes", unit="Hz", low=0.0, high=1000.0
    )
    plan_rate: float = setting(10.0, "rate of ~/plan and ~/markers; 0: never", unit="Hz", low=0.0, high=1000.0)
    answer_after: float = setting(
        0.0007,
        "least time between the earliest possible arrival of a state and its command, so that commands "
        "leave at the same time in every tick (at most 35 % of a period); 0: at once",
        unit="s",
        low=0.0,
        high=0.1,
    )
    priority: int = setting(
        0,
        "SCHED_FIFO priority of the control thread, where permitted; the other threads of the node get "
        "one less; 0: ordinary scheduling",
        low=0,
        high=99,
    )
    processors: tuple[float, ...] = setting(
        (), "numbers of the processors that the control thread may use; empty: all", low=0.0
    )
    lock_memory: bool = setting(False, "lock the memory of the process, where permitted, so that it is not paged out")
    largest_message: int = setting(
        65536,
        "a message on joint_states, features or a target's topic that is longer than this, besides what the robot's "
        "joints, image points and the longest trajectory need, is refused before it is read",
        unit="bytes",
        low=4096,
        high=16 * 1024 * 1024,
    )
    compute_warning: float = setting(
        0.8,
        "compute time that 99 % of the ticks must stay below, else diagnostics warn; above 1 they report an error",
        unit="fraction of the period",
        low=0.01,
        high=1.0,
    )
    missed_warning: float = setting(
        0.001,
        "share of recently missed ticks above which diagnostics warn; above ten times as many they report an error",
        low=0.0,
        high=1.0,
    )
    model_file: str = setting("", "file of ~/save_model and ~/load_model (.npz)")
    transitions_file: str = setting(
        "",
        "file for every transition that was learned from (.npz, for `mbrl fit-prior`), written on "
        "deactivation; empty: none",
    )
    log_file: str = setting("", "file for the table of all ticks (.npz), written on deactivation; empty: none")


@dataclasses.dataclass(frozen=True)
class DistillationNodeSettings(Section):
    """Settings of distillation_node; robot and distillation have sections of their own."""

    robot_description: str = setting("", "URDF text; empty: robot.description")
    topics: tuple[str, ...] = setting(("mpc_node/supervision",), "supervision topics, one for each robot that teaches")
    folder: str = setting("", "folder of the checkpoints, from which the node resumes at start; empty: none")
    period: float = setting(5.0, "pause between two fits", unit="s", low=0.1, high=3600.0)
    checkpoint_period: float = setting(
        10.0, "time between two checkpoints; a killed node loses at most this much", unit="s", low=0.1, high=86400.0
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


@dataclasses.dataclass(frozen=True)
class ViewNodeSettings(Section):
    """Settings of view_node."""

    robot_description: str = setting(
        "", "URDF text, file or 'package-data:NAME'; empty: the latched topic robot_description"
    )
    node: str = setting("mpc_node", "the node whose plan, status and messages are shown")
    summary: str = setting("", "summary.json of a run, whose verdict is shown once it is there; empty: none")
    host: str = setting(
        "127.0.0.1", "address to serve the page on; 0.0.0.0: to whoever can reach this computer, without a password"
    )
    port: int = setting(8080, "first port that is tried", low=1, high=65535)
    open_browser: bool = setting(False, "open the page in the browser of this computer's desktop, if it has one")
    frame_rate: float = setting(30.0, "how often the scene is drawn", unit="Hz", low=1.0, high=60.0)


@dataclasses.dataclass(frozen=True)
class DisplayNodeSettings(Section):
    """Settings of display_node, besides those of the robot."""

    robot_description: str = setting(
        "", "URDF text, file or 'package-data:NAME'; empty: robot.description, or the latched topic robot_description"
    )
    node: str = setting("mpc_node", "the node whose plan is drawn and that gets the targets")
    send_on_release: bool = setting(
        False, "send the marker's pose as soon as the mouse lets go of it, and not only by its menu: the arm moves"
    )


@dataclasses.dataclass(frozen=True)
class HealthNodeSettings(Section):
    """Settings of model_health_node; the robot and what is learned are in the sections of the configuration."""

    robot_description: str = setting("", "URDF text; empty: robot.description")
    publish_rate: float = setting(20.0, "largest rate of what is published", unit="Hz", low=0.1, high=1000.0)
    memory: float = setting(
        1.0, "time over which the mass of the load and the prediction error are averaged", unit="s", low=0.05, high=60.0
    )
    efforts: str = setting(
        "with gravity",
        "whether the efforts in joint_states contain what carries the arm itself",
        choices=("with gravity", "without gravity"),
    )
    largest_message: int = setting(
        65536, "a longer message is refused unread", unit="bytes", low=4096, high=16 * 1024 * 1024
    )
    end_with_parent: bool = setting(
        False, "end when the process that started the node ends (Linux); the launch file sets it"
    )


@dataclasses.dataclass(frozen=True)
class GuardNodeSettings(Section):
    """guard_node. It cannot import this list, so guard/settings.py repeats it; a test compares both."""

    missing_periods: float = setting(
        2.5, "without a command for so long, the safe command goes out", unit="periods", low=1.0, high=100.0
    )
    missing_time: float = setting(
        0.015, "... but not before this time, however short the period is", unit="s", low=0.001, high=1.0
    )
    heartbeat_timeout: float = setting(
        0.25,
        "without mpc_node's parameters (20 a second) for so long, the safe command goes out",
        unit="s",
        low=0.1,
        high=10.0,
    )
    handover_periods: int = setting(
        10, "good commands in a row after which mpc_node commands the arm again", unit="commands", low=1, high=1000
    )
    priority: int = setting(
        0, "SCHED_FIFO priority of the guard's threads, where permitted; 0: ordinary scheduling", low=0, high=99
    )
    largest_message: int = setting(
        65536, "a longer command or joint state is refused unread", unit="bytes", low=1024, high=16777216
    )
    end_with_parent: bool = setting(
        False, "end in order when the process that started the guard ends (Linux); the launch files set it"
    )
