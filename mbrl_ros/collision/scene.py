"""All signed distances of a robot: between pairs of its capsules, and from capsules that move to obstacles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..robots import Robot
from ..types import Array
from .capsules import Capsule
from .chain import Chain, carrying
from .distance import Nearest, segment_box, segment_plane, segment_segment
from .obstacles import Box, Obstacle, Plane

Index = NDArray[np.intp]


class Distances(NamedTuple):
    """Signed distances d (N,) [m] and their derivatives dd/dq (N, n), in the order of `Scene.name`."""

    d: Array
    gradient: Array


class Scene:
    """The capsules of `robot`, their `pairs` (P, 2) that can touch, and obstacles.

    Parameters
    ----------
    robot, capsules
        which stand for its links.
    pairs
        (P, 2) numbers of capsules.
    obstacles
        all capsules that a controlled joint moves keep away from them, except those of `ignored`.
    ignored
        {(number of a capsule, name of an obstacle)}.

    `joint_signs` (N, n) tells which joints move which distance, -1 through the second capsule of a pair; `sizes` (N,)
    [m] is what the radii take of a distance between segments.
    """

    def __init__(
        self,
        robot: Robot,
        capsules: Sequence[Capsule],
        pairs: Index,
        obstacles: Sequence[Obstacle] = (),
        ignored: frozenset[tuple[int, str]] = frozenset(),
    ):
        self.robot, self.capsules, self.pairs = robot, list(capsules), pairs.reshape(-1, 2)
        self.ignored = ignored
        self.chain = Chain(robot, self.capsules)
        self.carried = carrying(robot, [capsule.link for capsule in capsules])
        self.radii = np.array([capsule.radius for capsule in capsules])
        self.movers = np.flatnonzero(self.carried.any(axis=1))
        first, second = self.pairs.T
        self._pair_radii = self.radii[first] + self.radii[second]
        self._pair_joints = self.carried[first].astype(np.float64) - self.carried[second]
        self.set_obstacles(obstacles)

    def set_obstacles(self, obstacles: Sequence[Obstacle]) -> None:
        """Replace all obstacles."""
        self.obstacles = list(obstacles)
        planes = [one for one in obstacles if isinstance(one, Plane)]
        boxes = [one for one in obstacles if isinstance(one, Box)]
        self._of_planes, self._of_boxes = self._met(planes), self._met(boxes)
        which = self._of_planes[:, 1]
        self._normals = np.array([plane.normal for plane in planes]).reshape(-1, 3)[which]
        self._offsets = np.array([plane.offset for plane in planes])[which]
        which = self._of_boxes[:, 1]
        self._rotations = np.array([box.rotation for box in boxes]).reshape(-1, 3, 3)[which]
        self._centres = np.array([box.centre for box in boxes]).reshape(-1, 3)[which]
        self._halves = np.array([box.half for box in boxes]).reshape(-1, 3)[which]
        self.joint_signs = np.concatenate(
            (self._pair_joints, self.carried[self._of_planes[:, 0]], self.carried[self._of_boxes[:, 0]])
        )
        self.sizes = np.concatenate(
            (self._pair_radii, self.radii[self._of_planes[:, 0]], self.radii[self._of_boxes[:, 0]])
        )
        self._named: list[Obstacle] = [*planes, *boxes]
        self._plane_count = len(planes)

    def _met(self, obstacles: Sequence[Obstacle]) -> Index:
        """Return (M, 2): which capsule keeps away from which of `obstacles`."""
        met = [
            (capsule, number)
            for number, obstacle in enumerate(obstacles)
            for capsule in self.movers.tolist()
            if (capsule, obstacle.name) not in self.ignored
        ]
        return np.array(met, dtype=np.intp).reshape(-1, 2)

    @property
    def planes_met(self) -> tuple[Index, Array, Array]:
        """Return which capsule keeps away (M,), from a plane of which normal (M, 3) and offset (M,) [m]."""
        return self._of_planes[:, 0], self._normals, self._offsets

    @property
    def boxes_met(self) -> tuple[Index, Array, Array, Array]:
        """Return which capsule keeps away (M,), from a box of which centre, rotation and half edges (see `Box`)."""
        return self._of_boxes[:, 0], self._centres, self._rotations, self._halves

    def __len__(self) -> int:
        """Return the number of distances N."""
        return len(self.sizes)

    def parties(self, number: int) -> tuple[int, str]:
        """Return the capsule of a distance, and what it is a distance from: a link, or an obstacle."""
        if number < len(self.pairs):
            first, second = self.pairs[number]
            return int(first), self.capsules[second].link
        number -= len(self.pairs)
        planes = len(self._of_planes)
        capsule, which = self._of_planes[number] if number < planes else self._of_boxes[number - planes]
        return int(capsule), self._named[int(which) + (0 if number < planes else self._plane_count)].name

    def name(self, number: int) -> str:
        """Name the two bodies of a distance."""
        capsule, other = self.parties(number)
        return f"{self.capsules[capsule].link} - {other}"

    def place(self, r: Array | None) -> None:
        """Take r (k,) for the positions of the joints that are not controlled; see `Chain.place`."""
        if r is not None:
            self.chain.place(r)

    def distances(self, q: Array) -> Distances:
        """Return all distances at q (n,) [rad or m]."""
        ends, Z, W = self.chain.at(q)
        near = self._nearest(ends)
        gradient = np.cross(near.p, near.n) @ Z.T + near.n @ W.T
        return Distances(near.d - self.sizes, gradient * self.joint_signs)

    def values(self, q: Array) -> Array:
        """Return all distances (N,) [m] at q (n,), without derivatives."""
        return np.asarray(self._nearest(self.chain.at(q)[0]).d - self.sizes)

    def sampled(self, Q: Array, R: Array | None = None) -> Array:
        """Return all distances (T, N) [m] at every row of Q (T, n) and, if given, of R (T, k); see `Chain.many`."""
        T, parts = len(Q), [np.empty((len(Q), 0))]
        ends = self.chain.many(Q, R)

        def of(capsules: Index) -> Array:
            return ends[:, capsules].reshape(-1, 2, 3)

        if T and len(self.pairs):
            parts.append(segment_segment(of(self.pairs[:, 0]), of(self.pairs[:, 1])).d.reshape(T, -1))
        if T and len(self._of_planes):
            normals, offsets = np.tile(self._normals, (T, 1)), np.tile(self._offsets, T)
            parts.append(segment_plane(of(self._of_planes[:, 0]), normals, offsets).d.reshape(T, -1))
        if T and len(self._of_boxes):
            R, centre = self._rotations, self._centres
            local = np.einsum("tnki,nij->tnkj", ends[:, self._of_boxes[:, 0]] - centre[:, None], R)
            parts.append(segment_box(local.reshape(-1, 2, 3), np.tile(self._halves, (T, 1))).d.reshape(T, -1))
        return np.asarray(np.concatenate(parts, axis=1) - self.sizes).reshape(T, len(self))

    def _nearest(self, ends: Array) -> Nearest:
        """Return the nearest points of all segments with the given ends (K, 2, 3), in the root link's frame."""
        parts = []
        if len(self.pairs):
            parts.append(segment_segment(ends[self.pairs[:, 0]], ends[self.pairs[:, 1]]))
        if len(self._of_planes):
            parts.append(segment_plane(ends[self._of_planes[:, 0]], self._normals, self._offsets))
        if len(self._of_boxes):
            R, centre = self._rotations, self._centres
            local = np.einsum("nki,nij->nkj", ends[self._of_boxes[:, 0]] - centre[:, None], R)
            d, n, p = segment_box(local, self._halves)
            parts.append(Nearest(d, np.einsum("nij,nj->ni", R, n), np.einsum("nij,nj->ni", R, p) + centre))
        if not parts:
            return Nearest(np.empty(0), np.empty((0, 3)), np.empty((0, 3)))
        return Nearest(*(np.concatenate(column) for column in zip(*parts, strict=True)))
