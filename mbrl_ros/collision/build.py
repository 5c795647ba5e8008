"""The scene of a robot from its settings: capsules, pairs that can touch, obstacles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..config.sections.collision import CollisionSettings
from ..exceptions import ConfigurationError, listed, nearest
from ..robots import Robot, urdf
from ..robots.sources import folder_of
from .capsules import Capsule, parse_capsules
from .obstacles import parse_obstacles
from .pairs import find_ignored, find_pairs
from .scene import Index, Scene
from .shapes import capsules_of
from .srdf import disabled_pairs


class Built(NamedTuple):
    """A scene, what to say about what was guessed or left out, and the links whose shape was guessed."""

    scene: Scene
    notes: list[str]
    guessed: Sequence[str] = ()


def build_scene(robot: Robot, settings: CollisionSettings, description: str = "") -> Built:
    """Build the scene of `robot`; relative names of meshes are looked for beside the file `description`.

    Raises
    ------
    ConfigurationError, RobotDescriptionError
        A capsule, pair or obstacle is malformed or names no link, or the URDF's shapes are, or there is no shape. With
        `collision.rule: stop` also where nothing tells how large a link is.
    """
    links, notes, guessed = urdf.parse(robot.urdf).links, list[str](), list[str]()
    if settings.capsules:
        capsules = parse_capsules(settings.capsules, links)
    else:
        capsules, notes, guessed, unknown = capsules_of(robot.urdf, settings.link_radius, folder_of(description))
        if unknown and settings.rule == "stop":
            reasons = "; ".join(note for note in notes if any(f"link '{link}'" in note for link in unknown))
            raise ConfigurationError(
                f"how large {listed(unknown)} is, at the end of the arm, is not known ({reasons}): let the URDF's "
                "meshes be found, or write 'collision.capsules', which mbrl init begins",
                key="collision.capsules",
            )
    if not capsules:
        raise ConfigurationError(
            "the URDF has no <collision>; write 'collision.capsules', or let mbrl init write them",
            key="collision.capsules",
        )
    _check_followers(robot, capsules)
    search = {"samples": settings.samples, "seed": settings.seed}
    if settings.pairs:
        pairs = _named_pairs(settings.pairs, capsules, links)
    else:
        disabled = disabled_pairs(settings.srdf, links) if settings.srdf else frozenset()
        found = find_pairs(robot, capsules, settings.clearance, disabled=disabled, **search)
        pairs = found.pairs
        if found.touching:
            left_out = ", ".join(" - ".join(pair) for pair in found.touching)
            notes.append(f"pairs that are too near in most postures, and are not looked at: {left_out}")
    obstacles = parse_obstacles(settings.planes, settings.boxes, settings.keep_in)
    ignored = find_ignored(robot, capsules, obstacles, settings.clearance, **search)
    if ignored:
        left_out = ", ".join(sorted(f"{capsules[number].link} - {name}" for number, name in ignored))
        notes.append(f"distances that no posture changes, or too near in all of them, are not looked at: {left_out}")
    return Built(Scene(robot, capsules, pairs, obstacles, ignored), notes, guessed)


def _check_followers(robot: Robot, capsules: Sequence[Capsule]) -> None:
    """Raise ConfigurationError where a capsule moves with a joint that follows another: chain.py knows none."""
    following, tree = {follower.name for follower in robot.followers}, urdf.parse(robot.urdf)
    for capsule in capsules:
        behind = [joint.name for joint in tree.chain(capsule.link) if joint.name in following]
        if behind:
            raise ConfigurationError(
                f"link '{capsule.link}' moves with joint '{behind[0]}', which follows another (mimic), and the "
                "collision rule knows no such joints; write 'collision.capsules' without the links behind it",
                key="collision.capsules",
            )


def _named_pairs(texts: Sequence[str], capsules: Sequence[Capsule], links: Sequence[str]) -> Index:
    """Return the pairs of capsules (P, 2) of the pairs of links in `collision.pairs`."""
    key, found = "collision.pairs", []
    for text in texts:
        names = text.split()
        if len(names) != 2 or names[0] == names[1]:
            raise ConfigurationError(f"'{key}': write two links, 'LINK LINK', got '{text[:200]}'", key=key, value=text)
        for name in names:
            if name not in links:
                raise ConfigurationError(
                    f"'{key}' names the link '{name}', which the URDF does not have; did you mean "
                    f"'{nearest(name, links)}'? Links: {listed(links)}",
                    key=key,
                    value=text,
                )
        sides = [[i for i, capsule in enumerate(capsules) if capsule.link == name] for name in names]
        empty = next((name for name, side in zip(names, sides, strict=True) if not side), None)
        if empty is not None:
            raise ConfigurationError(f"'{key}': link '{empty}' of '{text}' has no capsule", key=key, value=text)
        found += [(i, j) for i in sides[0] for j in sides[1]]
    return np.array(sorted(set(found)), dtype=np.intp).reshape(-1, 2)
