"""Settings of the room that the robot keeps: its shape, which parts of it can touch, obstacles, and what is kept."""

from __future__ import annotations

import dataclasses

from ..section import Section, setting


@dataclasses.dataclass(frozen=True)
class CollisionSettings(Section):
    """The robot's capsules, the pairs of links that can touch, obstacles, and the rule before contact."""

    rule: str = setting(
        "none",
        "what the supervisor does before the robot touches itself or an obstacle: none: nothing; stop: it slows the "
        "robot down and stops it, and lets motion away go on",
        choices=("none", "stop"),
    )
    clearance: float = setting(0.02, "distance at which the robot has stopped", unit="m", low=0.001, high=1.0)
    deceleration: float = setting(
        0.5,
        "deceleration that determines the allowed speed in front of a contact",
        unit="fraction of the acceleration limit",
        low=0.05,
        high=1.0,
    )
    reaction_time: float = setting(
        0.02, "time from a state until a command that answers it acts", unit="s", low=0.0, high=1.0
    )
    capsules: tuple[str, ...] = setting(
        (),
        "shape of the robot, each entry 'LINK x y z  x y z  r': the ends of a capsule's axis in the link's frame and "
        "its radius [m]; empty: the smallest capsule over the <collision> elements of each link of the URDF",
    )
    link_radius: float = setting(
        0.06, "radius of the capsule of a link whose shape cannot be read", unit="m", low=0.001, high=1.0
    )
    pairs: tuple[str, ...] = setting(
        (), "pairs of links that can touch, each entry 'LINK LINK'; empty: they are found by trying postures"
    )
    srdf: str = setting("", "SRDF file; pairs of links with <disable_collisions> are left out of those found")
    samples: int = setting(2000, "number of postures that are tried to find pairs", low=200, high=100000)
    seed: int = setting(0, "of these postures", low=0)
    planes: tuple[str, ...] = setting(
        (), "each entry 'NAME nx ny nz d': the robot stays where n . p > d [m], in the frame of the root link"
    )
    boxes: tuple[str, ...] = setting(
        (),
        "boxes that the robot stays outside of, each entry 'NAME x y z  roll pitch yaw  dx dy dz': centre [m], "
        "rotation [rad] and edges [m] in the frame of the root link",
    )
    keep_in: tuple[str, ...] = setting((), "boxes that the robot stays inside of, written as those of `boxes`")
