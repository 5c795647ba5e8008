"""Whether postures are clear: every distance of a scene at least as large as asked, many at once.

A capsule lies in the ball about the middle of its axis with the radius R = half its length + r. Two capsules are no
nearer than |m_1 - m_2| - R_1 - R_2, a capsule and an obstacle no nearer than m and the obstacle less R. Only what these
bounds leave open is computed exactly (distance.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..types import Array
from .distance import segment_box, segment_plane, segment_segment
from .scene import Scene

Flags = NDArray[np.bool_]


class ClearPostures:
    """Says which postures of `scene` keep `clearance` from its present obstacles, and `own` between links, [m]."""

    def __init__(self, scene: Scene, clearance: float, own: float):
        self.scene, self.clearance, self.own = scene, clearance, own
        halves = [0.5 * float(np.linalg.norm(capsule.b - capsule.a)) for capsule in scene.capsules]
        self._balls = scene.radii + np.array(halves)

    def __call__(self, Q: Array) -> Flags:
        """Return (T,) whether the postures Q (T, n) are clear."""
        ends = self.scene.chain.many(Q)
        middles = ends.mean(axis=2)
        clear = self._of_pairs(ends, middles)
        clear &= self._of_planes(ends)
        clear &= self._of_boxes(ends, middles)
        return clear

    def _of_pairs(self, ends: Array, middles: Array) -> Flags:
        i, j = self.scene.pairs.T
        apart = np.linalg.norm(middles[:, i] - middles[:, j], axis=2) - self._balls[i] - self._balls[j]
        t, k = np.nonzero(apart < self.own)
        d = segment_segment(ends[t, i[k]], ends[t, j[k]]).d - self.scene.radii[i[k]] - self.scene.radii[j[k]]
        return _without(len(ends), t[d < self.own])

    def _of_planes(self, ends: Array) -> Flags:
        met, normals, offsets = self.scene.planes_met
        t, k = (index.ravel() for index in np.indices((len(ends), len(met))))
        d = segment_plane(ends[t, met[k]], normals[k], offsets[k]).d - self.scene.radii[met[k]]
        return _without(len(ends), t[d < self.clearance])

    def _of_boxes(self, ends: Array, middles: Array) -> Flags:
        met, centres, rotations, halves = self.scene.boxes_met
        at = np.abs(np.einsum("tki,kij->tkj", middles[:, met] - centres, rotations))
        apart = np.linalg.norm(np.maximum(at - halves, 0.0), axis=2) - self._balls[met]
        t, k = np.nonzero(apart < self.clearance)
        local = np.einsum("mki,mij->mkj", ends[t, met[k]] - centres[k][:, None], rotations[k])
        d = segment_box(local, halves[k]).d - self.scene.radii[met[k]]
        return _without(len(ends), t[d < self.clearance])


def _without(count: int, blocked: NDArray[np.intp]) -> Flags:
    """Return (count,) flags that are false for the numbers in `blocked`."""
    clear = np.ones(count, dtype=bool)
    clear[blocked] = False
    return clear
