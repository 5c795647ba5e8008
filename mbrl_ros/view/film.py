"""A film of a robot: the scene of the page as pictures, drawn by the processor alone.

It draws what the page shows of a moment (`Snapshot`): the links, the plan and its tube, the target; and in words the
state, the time, the distance from the target and the newest message.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from ..console.plain import printable
from ..types import Array
from .link_poses import LinkPoses
from .raster import Canvas, Eye, shaded
from .shapes import Shapes
from .snapshot import PLAN_COLOR, TARGET_COLOR, TUBE_SHARE, Snapshot
from .solids import Solid, ball, joined, line_along, solids_of, tube_along
from .video import Picture

LIGHT = np.array([0.35, -0.45, 0.82])  # where light comes from
SKY, GROUND, GRID = (0.93, 0.95, 0.97), (0.80, 0.83, 0.86), (0.68, 0.72, 0.77)
FINENESS = 2  # pixels drawn for one shown, along each side
SHADOW, SHADOW_FINENESS = 0.28, 0.5
VIEWED_FROM = (-1.05, 0.34)  # [rad] turned from where the arm reaches to, and above it
SAMPLED_MOMENTS = 60  # moments that decide what has to be seen
PLAN_SHARE, TARGET_SHARE, FREE_AROUND = 0.006, 0.022, 0.08  # of the reach: of the line, of the target, left free around
FLOOR_CELL = 0.1  # [m] of the floor's grid
LONGEST_WORDS = 90  # characters
PLOTTED = 8.0  # [s] of the curve in the corner


class Moments(Protocol):
    """Something that can be shown: its moments from `begin` to `end` [s]."""

    begin: float
    end: float

    @property
    def title(self) -> str:
        """Return its name."""

    def at(self, stamp: float) -> Snapshot:
        """Return the moment at `stamp` [s]."""


class Film:
    """Pictures of `moments` of a robot with `shapes`, each `size` (width, height) pixels; time is since `origin` [s].

    `undrawn` names the meshes that are missing or cannot be read.
    """

    def __init__(self, shapes: Shapes, moments: Moments, size: tuple[int, int], origin: float):
        self._poses, self._moments = LinkPoses(shapes.tree), moments
        self._solids, self.undrawn = solids_of(shapes)
        reach = max((float(np.linalg.norm(T[:3, 3])) for T in self._poses.at({}).values()), default=0.0)
        self._reach = max(0.3, reach)
        self._eye = self._placed_eye(size)
        self._fine = self._eye.scaled(FINENESS)
        self._ground = self._drawn_ground()
        self._words = _Words(size, moments.title, origin)

    def frames(self, rate: float, speed: float = 1.0) -> Iterator[tuple[float, Picture]]:
        """Yield (moment's stamp [s], picture (height, width, 3) of bytes), `rate` for a second of the film.

        A second of the film shows `speed` seconds.
        """
        begin, end = self._moments.begin, self._moments.end
        for k in range(max(1, math.floor((end - begin) * rate / speed + 1e-9) + 1)):
            stamp = begin + k * speed / rate
            yield stamp, self.picture(self._moments.at(stamp))

    def picture(self, shot: Snapshot) -> Picture:
        """Return the picture (height, width, 3) of bytes of one moment."""
        solid = self._scene(shot)
        canvas = Canvas(self._fine)
        canvas.draw(solid.vertices, solid.faces)
        drawn = canvas.number >= 0
        image = (self._ground * (1.0 - SHADOW * self._shadow(solid))[..., None]).reshape(-1, 3)
        colors = shaded(solid.normals, solid.colors, LIGHT / np.linalg.norm(LIGHT), -self._eye.R[2])
        image[drawn] = colors[canvas.number[drawn]]
        if shot.path is not None and shot.tube is not None and len(shot.tube) == len(shot.path):
            over, tube = Canvas(self._fine), tube_along(shot.path, shot.tube, _unit(PLAN_COLOR))
            over.draw(tube.vertices, tube.faces)
            shown = over.inverse > canvas.inverse
            image[shown] += TUBE_SHARE * (np.array(_unit(PLAN_COLOR)) - image[shown])
        fine = image.reshape(*self._fine.size[::-1], 3)
        small = sum(fine[k::FINENESS, m::FINENESS] for k in range(FINENESS) for m in range(FINENESS)) / FINENESS**2
        picture = np.round(255.0 * np.clip(small, 0.0, 1.0)).astype(np.uint8)
        return self._words.written(picture, shot)

    # --- the scene --------------------------------------------------------------------------------------------------

    def _scene(self, shot: Snapshot) -> Solid:
        """Return everything of a moment that is solid, in the root link's frame."""
        placed = []
        for link, T in self._poses.at(shot.positions).items():
            for solid in self._solids.get(link, ()):
                vertices = solid.vertices @ T[:3, :3].T + T[:3, 3]
                placed.append(Solid(vertices, solid.faces, solid.normals @ T[:3, :3].T, solid.colors))
        if shot.target is not None:
            placed.append(ball(shot.target, TARGET_SHARE * self._reach * np.eye(3), _unit(TARGET_COLOR)))
        if shot.path is not None and len(shot.path) > 1:
            placed.append(line_along(shot.path, PLAN_SHARE * self._reach, _unit(PLAN_COLOR)))
        return joined(placed)

    def _placed_eye(self, size: tuple[int, int]) -> Eye:
        """Return a camera that sees the arm, its targets and its plans during the whole film."""
        seen, tips = [], []
        for stamp in np.linspace(self._moments.begin, self._moments.end, SAMPLED_MOMENTS):
            shot = self._moments.at(float(stamp))
            points = np.array([T[:3, 3] for T in self._poses.at(shot.positions).values()])
            seen.append(points)
            tips.append(points[np.argmax(np.linalg.norm(points, axis=1))])
            seen += [np.atleast_2d(p) for p in (shot.target, shot.path) if p is not None]
        points = np.concatenate(seen)
        around = FREE_AROUND * self._reach * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        points = (points[:, None] + around).reshape(-1, 3)
        points = points[np.isfinite(points).all(axis=1)]
        x, y, _ = np.mean(tips, axis=0)
        azimuth = (math.atan2(y, x) if math.hypot(x, y) > 0.05 * self._reach else 0.0) + VIEWED_FROM[0]
        aside, above = math.cos(VIEWED_FROM[1]), math.sin(VIEWED_FROM[1])
        return Eye.around(points, np.array([aside * math.cos(azimuth), aside * math.sin(azimuth), above]), size)

    def _drawn_ground(self) -> Array:
        """Return the floor, the plane z = 0 of the root link with its grid, and the sky (height, width, 3)."""
        rays = self._fine.rays()
        with np.errstate(divide="ignore", invalid="ignore"):
            away = np.where(rays[..., 2] < -1e-6, -self._eye.eye[2] / rays[..., 2], np.inf)
        away[away <= 0.0] = np.inf
        floor = np.isfinite(away)
        image = np.empty((*floor.shape, 3), dtype=np.float32)
        image[:] = SKY
        xy = self._eye.eye[:2] + rays[floor][:, :2] * away[floor][:, None]
        pixel = (away[floor] / self._fine.f)[:, None] / np.maximum(np.abs(rays[floor][:, 2:]), 0.1)  # [m] on the floor
        off = np.abs(xy / FLOOR_CELL - np.round(xy / FLOOR_CELL)) * FLOOR_CELL
        line = np.clip(1.5 - off / pixel, 0.0, 1.0).max(axis=1, keepdims=True)
        near = np.exp(-((np.linalg.norm(xy, axis=1, keepdims=True) / (2.2 * self._reach)) ** 2))
        tone = np.array(SKY) + near * (np.array(GROUND) - SKY)
        image[floor] = tone + near * line * (np.array(GRID) - GROUND)
        return image

    def _shadow(self, solid: Solid) -> Array:
        """Return the share (height, width) of the light that what is solid takes from the floor, 0 to 1."""
        from PIL import Image, ImageFilter

        eye = self._eye.scaled(SHADOW_FINENESS)
        canvas, vertices = Canvas(eye), solid.vertices
        canvas.draw(vertices - np.maximum(vertices[:, 2:], 0.0) / LIGHT[2] * LIGHT, solid.faces)
        mask = Image.fromarray(((canvas.number >= 0) * np.uint8(255)).reshape(eye.size[::-1]))
        soft = mask.filter(ImageFilter.GaussianBlur(2.0)).resize(self._fine.size, Image.Resampling.BILINEAR)
        shadow: Array = np.asarray(soft, dtype=np.float32) / np.float32(255.0)
        return shadow


class _Words:
    """Writes the state of a moment on its picture."""

    def __init__(self, size: tuple[int, int], title: str, origin: float):
        from PIL import ImageFont

        self._title, self._origin = title, origin
        self._height = max(11, size[1] // 28)
        self._font = ImageFont.load_default(self._height)
        self._bold = ImageFont.load_default(round(1.25 * self._height))

    def written(self, picture: Picture, shot: Snapshot) -> Picture:
        """Return the picture with words and the curve of the distance."""
        from PIL import Image, ImageDraw

        image = Image.fromarray(picture)
        draw, step = ImageDraw.Draw(image), round(1.5 * self._height)
        draw.text((step, 0.6 * step), _line(self._title), (30, 40, 55), self._bold)
        for k, line in enumerate(lines_of(shot, self._origin)):
            draw.text((step, (1.9 + k) * step), _line(line), (60, 70, 85), self._font)
        if shot.messages:
            draw.text((step, image.height - 1.6 * step), _line(shot.messages[-1]), (150, 60, 20), self._font)
        self._plot(draw, shot, image.size)
        return np.asarray(image)

    def _plot(self, draw: Any, shot: Snapshot, size: tuple[int, int]) -> None:
        """Draw the distance from the target over the last PLOTTED seconds, from 0 to the largest."""
        times, values = shot.curves.get("time"), shot.curves.get("distance")
        if times is None or values is None or not len(times):
            return
        recent = times >= times[-1] - PLOTTED
        times, values = times[recent], values[recent]
        known = np.isfinite(values)
        if not known.any():
            return
        width, height, gap = size[0] // 4, size[1] // 6, self._height
        left, top = size[0] - width - gap, size[1] - height - gap
        most = max(1.0, float(values[known].max()))
        draw.rectangle((left, top, left + width, top + height), outline=(150, 160, 172))
        draw.text((left, top - 1.5 * gap), f"distance, 0 to {most:.0f} mm", (60, 70, 85), self._font)
        x, y = left + width * (1.0 - (times[-1] - times) / PLOTTED), top + height * (1.0 - values / most)
        for piece in np.split(np.arange(len(times)), np.flatnonzero(np.diff(known)) + 1):
            if known[piece[0]]:
                draw.line(list(zip(x[piece].tolist(), y[piece].tolist(), strict=True)), fill=PLAN_COLOR, width=2)


def lines_of(shot: Snapshot, origin: float) -> list[str]:
    """Return what is written of a moment: its time since `origin` [s], the state, the distance from the target."""
    lines = [f"{shot.stamp - origin:.1f} s   {shot.supervisor}".rstrip()]
    distance = shot.curves.get("distance", np.zeros(0))
    if shot.target is not None and len(distance) and math.isfinite(distance[-1]):
        lines.append(f"{distance[-1]:.1f} mm from the target")
    return lines


def _line(text: str) -> str:
    text = printable(text, kept="")
    return text if len(text) <= LONGEST_WORDS else text[: LONGEST_WORDS - 3] + "..."


def _unit(color: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = (channel / 255.0 for channel in color)
    return red, green, blue
