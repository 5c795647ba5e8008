"""Compute what became of a scene: the least distances of the true arm, and whether it reached its poses.

A contact is a signed distance below zero, in any tick, between the capsule of a link that moves and an obstacle or the
capsule of another link of a pair that can touch (collision/scene.py). The simulation knows no obstacles: an arm that
is in contact goes through. The scene is reached if at each pose the tool rests within the tolerance and REACHED_DEG.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..collision.build import build_scene
from ..collision.scene import Scene
from ..config.configuration import Configuration
from ..robots import Robot
from ..scenarios.scenario import Scenario
from ..types import Array
from .metrics import Log

REACHED_DEG = 1.0


def scene_of(scenario: Scenario, robot: Robot, configuration: Configuration) -> Scene:
    """Return the robot's capsules with the obstacles of its settings and those of a scenario."""
    scene = build_scene(robot, configuration.collision, configuration.robot.description).scene
    scene.set_obstacles([*scene.obstacles, *scenario.obstacles])
    return scene


def distances(scene: Scene, q: Array) -> tuple[Array, Array]:
    """Return the least distances (T,) [m] at q (T, n): between two links, and from obstacles."""
    d, pairs = scene.sampled(q), len(scene.pairs)
    return np.min(d[:, :pairs], axis=1, initial=np.inf), np.min(d[:, pairs:], axis=1, initial=np.inf)


def picked(
    scenario: Scenario, scene: Scene, truth: Log, poses: Sequence[Mapping[str, Any]], tolerance_mm: float
) -> dict[str, Any]:
    """Return the entry `pick` of the summary of one scene; `poses` as of pose_metrics.pose_targets."""
    own, room = (1e3 * float(d.min()) for d in distances(scene, truth["q"]))
    reached = all(
        pose["rest_mm"] is not None and pose["rest_mm"] <= tolerance_mm and pose["rest_deg"] <= REACHED_DEG
        for pose in poses
    )
    contact = min(own, room) < 0.0
    return {
        "with_plan": scenario.with_plan,
        "planned": all(slot.path is not None for slot in scenario.slots),
        "contact": contact,
        "reached": reached and not contact,
        "least_distance_mm": room,
        "least_own_distance_mm": own,
    }


def counted(scenes: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the entry `pick` of the summary of many scenes from those of each.

    reached counts among those with a plan. A scene whose run failed has no entry but `with_plan`.
    """
    return {
        "scenes": len(scenes),
        "with_plan": sum(bool(scene["with_plan"]) for scene in scenes),
        "contacts": sum(bool(scene.get("contact")) for scene in scenes),
        "reached": sum(bool(scene["with_plan"] and scene.get("reached")) for scene in scenes),
    }
