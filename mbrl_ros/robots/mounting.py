"""How a robot is mounted: where its root link stands in a frame whose axis z points up, and so where gravity points."""

from __future__ import annotations

import numpy as np

from ..config.sections.robot import RobotSettings
from ..exceptions import ConfigurationError
from ..types import Array
from .urdf import Tree, transform


def mounted(settings: RobotSettings, tree: Tree) -> tuple[Array | None, tuple[float, ...]]:
    """Return where the root link is in the frame `mounting_frame`, and gravity in the root link's frame.

    Returns
    -------
    Array or None
        T (4, 4), which takes points of the root link's frame into that frame; None where the settings do not tell.
    tuple
        Gravity (3,) [m/s^2], R^T g with the rotation R of T.

    Raises
    ------
    ConfigurationError
        The settings are of the wrong length, or name a frame of the robot itself.
    """
    numbers, frame = settings.mounting, settings.mounting_frame
    if not numbers:
        return None, settings.gravity
    if len(numbers) != 6:
        raise ConfigurationError(
            f"'mounting' must have 6 entries (x, y, z [m], roll, pitch, yaw [rad]) or none, got {len(numbers)}",
            key="mounting",
            value=numbers,
        )
    if not frame or frame in {settings.frame_prefix + link for link in tree.links}:
        raise ConfigurationError(
            f"'mounting_frame' must name a frame that is no link of the robot, got '{frame}'",
            key="mounting_frame",
            value=frame,
        )
    T = transform(np.array(numbers[:3]), np.array(numbers[3:]))
    return T, tuple((T[:3, :3].T @ np.array(settings.gravity)).tolist())
