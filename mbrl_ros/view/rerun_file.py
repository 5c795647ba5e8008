"""Write a recording as a file of Rerun (.rrd), the viewer of https://rerun.io: the arm, plan, target, curves, messages.

The time line is `stamp`, that of the joint states: a date where they count from 1970, else a duration.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..console.progress import Progress
from ..exceptions import ConfigurationError
from ..robots.rotation import quaternion_of
from ..types import Array
from .link_poses import LinkPoses
from .recorded import Recorded
from .shapes import Shapes
from .snapshot import CURVES, PLAN_COLOR, TARGET_COLOR, TUBE_SHARE, Snapshot
from .solids import solids_of

TIMELINE, ROBOT_ENTITY = "stamp", "robot"
WRITTEN_EVERY = 1.0 / 50.0  # [s] of the poses
SINCE_1970 = 1e8  # [s] from which on a stamp is a date
LINE_RADIUS, POINT_RADIUS = 0.003, 0.015  # [m]


def checked_rerun(file: Path) -> None:
    """Raise an error where `file` could not be written, or where rerun-sdk or trimesh is missing."""
    import rerun  # noqa: F401  # only whether it is there
    import trimesh  # noqa: F401  # only whether it is there

    if file.suffix.lower() != ".rrd":
        raise ConfigurationError(f"{file}: a file of Rerun ends with .rrd", key="rerun", value=str(file))
    if not file.resolve().parent.is_dir():
        raise ConfigurationError(f"{file}: there is no such folder", key="rerun", value=str(file))


def write_rerun(file: Path, shapes: Shapes, recorded: Recorded, shown: Progress) -> list[str]:
    """Write `recorded` of a robot with `shapes` to `file`; return the names of meshes that are not in it."""
    import rerun

    part = file.with_name(f".{file.stem}.part.rrd")
    try:
        stream = rerun.RecordingStream("mbrl_ros", send_properties=False)
        stream.save(part)
        undrawn = _Writer(rerun, stream, shapes, recorded).write(shown)
        stream.flush()
        stream.disconnect()
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return undrawn


class _Writer:
    def __init__(self, rerun: Any, stream: Any, shapes: Shapes, recorded: Recorded):
        self._rr, self._stream, self._shapes, self._recorded = rerun, stream, shapes, recorded
        self._poses = LinkPoses(shapes.tree)
        self._placed: dict[str, Array] = {}
        self._path: Array | None = None
        self._target: Array | None = None
        self._curve_time = -math.inf

    def write(self, shown: Progress) -> list[str]:
        recorded = self._recorded
        shown.show("loading the meshes")
        undrawn = self._meshes()
        for k in range(math.floor((recorded.end - recorded.begin) / WRITTEN_EVERY) + 1):
            stamp = recorded.begin + k * WRITTEN_EVERY
            self._at(stamp)
            self._moment(recorded.at(stamp))
            shown.show("writing the moments", stamp - recorded.begin)
        for stamp, text in recorded.messages():
            self._at(max(stamp, recorded.begin))
            self._stream.log("messages", self._rr.TextLog(text))
        return undrawn

    def _at(self, stamp: float) -> None:
        kind = "timestamp" if stamp > SINCE_1970 else "duration"
        self._stream.set_time(TIMELINE, **{kind: stamp})

    def _meshes(self) -> list[str]:
        """Write the meshes, which hold at all times, below the frame of each link."""
        self._stream.log("/", self._rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        solids, undrawn = solids_of(self._shapes)
        for link, parts in solids.items():
            for number, solid in enumerate(parts):
                corners = len(solid.faces) * 3
                mesh = self._rr.Mesh3D(
                    vertex_positions=solid.vertices[solid.faces].reshape(corners, 3).astype(np.float32),
                    triangle_indices=np.arange(corners, dtype=np.uint32).reshape(-1, 3),
                    vertex_normals=np.repeat(solid.normals, 3, axis=0).astype(np.float32),
                    vertex_colors=np.round(255.0 * np.repeat(solid.colors, 3, axis=0)).astype(np.uint8),
                )
                self._stream.log([ROBOT_ENTITY, link, str(number)], mesh, static=True)
        return undrawn

    def _moment(self, shot: Snapshot) -> None:
        rr, log = self._rr, self._stream.log
        for link, T in self._poses.at(shot.positions).items():
            if link not in self._placed or not np.array_equal(T, self._placed[link]):
                self._placed[link] = T
                log([ROBOT_ENTITY, link], rr.Transform3D(translation=T[:3, 3], mat3x3=T[:3, :3]))
        if shot.path is not self._path:
            self._plan(shot)
        if shot.target is not self._target:
            self._target = shot.target
            point = None if shot.target is None else rr.Points3D([shot.target], colors=TARGET_COLOR, radii=POINT_RADIUS)
            log("target", point or rr.Clear(recursive=False))
        times = shot.curves.get("time", np.zeros(0))
        if len(times) and times[-1] > self._curve_time:
            self._curve_time = float(times[-1])
            for name in CURVES:
                if math.isfinite(value := float(shot.curves[name][-1])):
                    log(["curves", name], rr.Scalars(value))

    def _plan(self, shot: Snapshot) -> None:
        rr, log = self._rr, self._stream.log
        self._path = shot.path
        if shot.path is None:
            log("plan", rr.Clear(recursive=True))
            return
        log("plan", rr.LineStrips3D([shot.path.astype(np.float32)], colors=PLAN_COLOR, radii=LINE_RADIUS))
        if shot.tube is not None:
            sizes = np.maximum(np.linalg.norm(shot.tube, axis=1), 1e-6)
            turned = [rr.Quaternion(xyzw=quaternion_of(A / s)) for A, s in zip(shot.tube, sizes, strict=True)]
            color = (*PLAN_COLOR, round(255 * TUBE_SHARE))
            tube = rr.Ellipsoids3D(
                half_sizes=sizes,
                centers=shot.path,
                quaternions=turned,
                colors=color,
                fill_mode=rr.components.FillMode.Solid,
            )
            log("plan/tube", tube)
