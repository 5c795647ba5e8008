"""What `mbrl init` writes of the room that a robot keeps: its capsules and the pairs that can touch, to be edited."""

from __future__ import annotations

from ..collision.build import build_scene
from ..config.scalars import quoted
from ..config.sections.collision import CollisionSettings
from ..exceptions import MbrlError
from ..robots import Robot

MOST_PAIRS = 60  # that are written


def collision_lines(robot: Robot, description: str, notes: list[str]) -> list[str]:
    """Return the lines below mpc_node's `collision`, none where the URDF shows no shape; notes say what was guessed."""
    try:
        scene, said, _ = build_scene(robot, CollisionSettings(), description)
    except MbrlError as error:
        notes.append(f"collision: no capsules of the links: {error}")
        return []
    notes += [f"collision: {note}: CHECK" for note in said]
    used = {*scene.movers.tolist(), *scene.pairs.ravel().tolist()}  # others are never looked at
    capsules = [capsule for number, capsule in enumerate(scene.capsules) if number in used]
    pairs = dict.fromkeys(f"{scene.capsules[i].link} {scene.capsules[j].link}" for i, j in scene.pairs.tolist())
    lines = [
        "    collision:",
        '      rule: "none"                  # stop: slow down and stop before contact; see doc/collision.md',
        '      # planes: ["table 0 0 1 0.0"]  # WRITE what stands around the arm',
        "      # capsules over the links, 'LINK x y z  x y z  r' in the link's frame [m]: CHECK in RViz (~/capsules)",
        "      capsules:",
        *(f"        - {quoted(capsule.text)}" for capsule in capsules),
    ]
    if len(pairs) > MOST_PAIRS:
        lines.append(f"      # pairs: {len(pairs)} pairs of links can touch; they are found anew at every start")
    elif pairs:
        lines += ["      # pairs of links that can touch, found by trying postures:", "      pairs:"]
        lines += [f"        - {quoted(pair)}" for pair in pairs]
    return lines
