"""Options of every command that reads recordings, and the reading."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..config.configuration import Configuration
from ..data import ReadOptions, Recording, load
from ..data.dataset import Dataset
from ..evaluation.scores import anonymous, anonymous_robot
from ..exceptions import ConfigurationError, JointNameError
from ..robots import Robot, load_robot
from ._numbers import POSITIVE
from ._settings import assignments


def add_arguments(parser: argparse.ArgumentParser, fewest: int = 1) -> None:
    """Add the options of the command, which needs at least `fewest` files, 0 or 1."""
    many = "+" if fewest else "*"
    parser.add_argument("files", nargs=many, metavar="FILE", help="rosbag2 folder, .db3, .mcap, .csv or .csv.gz")
    parser.add_argument(
        "--columns",
        default="",
        metavar="MAP",
        help="columns of a table, for instance "
        "'time=Time:ms,q=Position{}:deg,qd=Velocity{},u=Cur{}'; default: found by their usual names",
    )
    parser.add_argument(
        "--topic", default="", metavar="TOPIC", help="topic of a bag with the joint states (JointState)"
    )
    parser.add_argument(
        "--command-topic", default="", metavar="TOPIC", help="topic of a bag with the commands (Float64MultiArray)"
    )
    parser.add_argument("--joints", nargs="+", default=(), metavar="NAME", help="joints to use, in this order")
    parser.add_argument(
        "--rate",
        type=POSITIVE,
        default=None,
        metavar="HZ",
        help="resample to this rate (default: as recorded, at most 200 Hz)",
    )
    parser.add_argument(
        "--robot",
        default="",
        metavar="URDF",
        help="URDF file or 'package-data:NAME': for limits and the rigid_body prior",
    )
    parser.add_argument(
        "--by-order",
        action="store_true",
        help="match the recording's joints to the robot's by their order instead of their names",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=(),
        metavar="KEY=VALUE",
        dest="changes",
        help="change settings of the robot, and for evaluate of the priors, as prior.rigid_body.armature=0.2",
    )


def read(args: argparse.Namespace, path: str) -> Recording:
    """Read the recording at `path`, resampled to --rate."""
    options = ReadOptions(args.columns, args.topic, args.command_topic, tuple(args.joints))
    return load(path, options).resampled(args.rate)


def robot_for(args: argparse.Namespace, recording: Recording | Dataset, sections: Sequence[str] = ("robot",)) -> Robot:
    """Return the robot of --robot with the joints of the recording or data set; without --robot one without a model.

    Raises ConfigurationError for a setting of --set that is in none of the `sections` that the command uses.
    """
    owner = recording.owner if isinstance(recording, Dataset) else recording
    changes = assignments(args.changes)
    values = {"robot.description": args.robot, **changes} if args.robot else changes
    section = Configuration.from_flat(values).robot
    for key in changes:
        if key.partition(".")[0] not in sections:
            raise ConfigurationError(f"--set {key} would change nothing; in use: {', '.join(sections)}", key=key)
        if not args.robot:
            raise ConfigurationError(f"--set {key} would change nothing without --robot", key=key)
    if not args.robot:
        if isinstance(recording, Dataset):
            return anonymous(owner.joints, owner.interface, recording.X[:, len(owner.joints) :], recording.U)
        return anonymous_robot(recording)
    known = load_robot(section)
    names = owner.joints
    if args.by_order:
        names = known.joints[: len(names)]
    if not set(names) <= set(known.joints):
        raise JointNameError(names, known.joints, what="joints of the recording and of the robot (or use --by-order)")
    return load_robot(section.replace(joints=names, interface=owner.interface))
