"""The picture of a scene: obstacles, the arm's capsules at its poses and the path of the tip; distances over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..collision.obstacles import Box
from ..collision.scene import Scene
from ..console.colors import ACCENT, INK, PALE, WARN
from ..robots import Robot
from ..scenarios.scenario import Scenario
from ..types import Array
from .metrics import Log
from .pick_metrics import distances

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCENE_VIEW = (28.0, -52.0)  # elevation and azimuth [degrees]
THICKNESS = 1.5e3  # [points/m]: of a capsule's radius, about true to scale


def draw_scene(scene: Scene, clearance: float, scenario: Scenario, robot: Robot, truth: Log, control: Log) -> Figure:
    """Draw a run in a scene; `clearance` [m] as of the rule."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # the layout knows nothing of the label of the vertical axis in space: leave room for it
    figure = Figure(figsize=(11, 4.8), layout=ConstrainedLayoutEngine(wspace=0.15))
    room, over_time = figure.add_subplot(1, 2, 1, projection="3d"), figure.add_subplot(1, 2, 2)
    _draw_room(room, scene, scenario, truth)
    stamps, (own, apart) = truth["stamp"], distances(scene, truth["q"])
    for values, color, label in ((apart, ACCENT, "from obstacles"), (own, INK, "between links")):
        over_time.plot(stamps, 1e3 * values, color=color, lw=1.2, label=label)
    over_time.axhline(1e3 * clearance, color=INK, ls=":", lw=1, label="clearance of the rule")
    over_time.axhline(0.0, color=WARN, lw=1.2)
    for slot in scenario.slots:
        over_time.axvline(slot.start, color=PALE, lw=0.7, zorder=0)
    over_time.spines[["top", "right"]].set_visible(False)
    lowest = 1e3 * min(0.0, float(own.min()), float(apart.min()))
    over_time.set(xlabel="time [s]", ylabel="least distance [mm]", ylim=(lowest - 10.0, None))
    over_time.set_title("Distances of the true arm; below 0: contact")
    over_time.legend(frameon=False)
    return figure


def _draw_room(axis: Any, scene: Scene, scenario: Scenario, truth: Log) -> None:
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    for box, color in zip(scenario.obstacles, (PALE, WARN, WARN), strict=False):
        axis.add_collection3d(Poly3DCollection(_faces(box), facecolor=color, edgecolor=INK, lw=0.4, alpha=0.35))
    at = [0, *(int(np.searchsorted(truth["stamp"], slot.end)) - 1 for slot in scenario.slots)]
    for row, alpha in zip(at, np.linspace(0.25, 0.9, len(at)), strict=True):
        ends = scene.chain.at(truth["q"][row])[0]
        for (a, b), radius in zip(np.array(ends), scene.radii, strict=True):
            axis.plot(
                *zip(a, b, strict=True),
                color=ACCENT,
                lw=THICKNESS * radius / 10.0,
                alpha=alpha * 0.6,
                solid_capstyle="round",
            )
    axis.plot(*truth["tip"].T, color=INK, lw=1.0)
    for slot in scenario.slots:
        axis.scatter(*slot.value[:3], color=WARN, marker="x", s=40)
    axis.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]", title="The scene, the arm at start and poses")
    axis.set_box_aspect([float(np.ptp(limits)) for limits in (axis.get_xlim(), axis.get_ylim(), axis.get_zlim())])
    axis.view_init(*SCENE_VIEW)


def _faces(box: Box) -> list[Array]:
    """Return the corners (4, 3) [m] of the six faces of a box."""
    faces = []
    for i in range(3):
        for side in (-1.0, 1.0):
            corners = np.zeros((4, 3))
            corners[:, i] = side
            corners[:, (i + 1) % 3], corners[:, (i + 2) % 3] = (-1.0, 1.0, 1.0, -1.0), (-1.0, -1.0, 1.0, 1.0)
            faces.append(box.centre + (corners * box.half) @ box.rotation.T)
    return faces
