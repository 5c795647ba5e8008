r"""The image Jacobian: how camera features move with the joints, learned while they move.

For points fixed to the robot and a camera fixed in the world, s = h(q) with an unknown h, so locally

    s(t2) - s(t1) = G (q(t2) - q(t1)) + noise,      sd = G qd

and the image Jacobian G (m, n) is regressed from pairs of frames, evidence forgotten per frame (online image
Jacobian estimation: Hutchinson, Hager, Corke, IEEE TRA 1996, section V; Jagersand, Fuentes, Nelson, ICRA 1997).
Frames come slower and later than joint states: q at the exposure is interpolated from the joint history, and the
newest frame is carried to the present by G. A jump of s that G cannot explain (the camera was moved) makes G start
anew. Points whose confidence is low are left out of the regression.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config.sections.dynamics import FeatureSettings
from ..types import FeatureFrame, FeatureVector, Gain, JointVector


@dataclass(frozen=True, eq=False, slots=True)
class _Frame:
    """A frame with the joints at its exposure: q (n,), s (m,), and which coordinates were seen (m,) bool."""

    stamp: float
    q: JointVector
    s: FeatureVector
    seen: NDArray[np.bool_]


class FeatureMotion:
    """G (m, n) and the features' present state for n joints and m coordinates.

    confidence in [0, 1] is the share of G that the evidence determines; known: it has been enough; restarts: how often
    the camera was found to have moved.
    """

    def __init__(self, n: int, settings: FeatureSettings):
        self.settings, self.n, self.m = settings, n, 2 * settings.points
        self._joints: deque[tuple[float, JointVector]] = deque(maxlen=1024)
        self._precision = (settings.noise * np.sqrt(2.0) / settings.jacobian_spread) ** 2
        self._S, self._C = np.zeros((n, n)), np.zeros((n, self.m))
        self.G: Gain = np.zeros((self.m, n))
        self._frames: deque[_Frame] = deque(maxlen=64)
        self.confidence, self.known, self.restarts = 0.0, False, 0

    def reset(self) -> None:
        """Forget everything."""
        self._joints.clear()
        self._forget()

    def restart(self) -> None:
        """Forget G: the camera has moved."""
        self._forget()
        self.restarts += 1

    def _forget(self) -> None:
        self._S = np.zeros((self.n, self.n))
        self._C = np.zeros((self.n, self.m))
        self.G = np.zeros((self.m, self.n))
        self._frames.clear()
        self.confidence, self.known = 0.0, False

    def add_joints(self, stamp: float, q: JointVector) -> None:
        """Take note of q (n,) at `stamp` [s], if it is finite."""
        if not np.isfinite(q).all():
            return
        self._joints.append((stamp, np.array(q)))

    def add_frame(self, frame: FeatureFrame) -> bool:
        """Learn from a frame; False (and nothing learned) if it is out of order, too old or not finite."""
        if (self._frames and frame.stamp <= self._frames[-1].stamp) or not self._joints:
            return False
        q = self._joints_at(frame.stamp)
        s = np.array(frame.points)
        if q is None or not np.isfinite(q.sum() + s.sum() + frame.confidence.sum()):
            return False
        seen = np.repeat(frame.confidence >= self.settings.min_confidence, 2)
        if self._frames:
            last = self._frames[-1]
            both = seen & last.seen
            dq = q - last.q
            explained = self.G @ dq
            # motion blurs the test: by half of what G explains and by what it may be off, which is more while unknown
            blur = (
                0.5 * np.abs(explained).max()
                + (0.5 if self.known else 2.0) * self.settings.jacobian_spread * np.abs(dq).max()
            )
            if both.any() and np.abs(s - last.s - explained)[both].max() > self.settings.jump + blur:
                self.restart()
        self._frames.append(_Frame(frame.stamp, q, s, seen))
        self._learn(self._frames[-1])
        return True

    def _learn(self, frame: _Frame) -> None:
        latest = frame.stamp - self.settings.baseline + 1e-6
        pair = next((f for f in reversed(self._frames) if f.stamp <= latest), None)
        if pair is None or not (frame.seen & pair.seen).all():
            return
        dq, ds = frame.q - pair.q, frame.s - pair.s
        if np.abs(dq).max() * self.settings.jacobian_spread < self.settings.noise:
            return  # too little motion: forgetting now would replace what is known by noise
        self._S = self.settings.forgetting * self._S + np.outer(dq, dq)
        self._C = self.settings.forgetting * self._C + np.outer(dq, ds)
        information = self._S + self._precision * np.eye(self.n)
        self.G = np.linalg.solve(information, self._C).T
        self.confidence = 1.0 - self._precision * np.trace(np.linalg.inv(information)) / self.n
        # once known it stays so until a restart: motion along the way keeps it up to date
        self.known = self.known or self.confidence >= self.settings.known

    @property
    def usable(self) -> Gain | None:
        """G (m, n) once it is known, else None."""
        return self.G if self.known else None

    def present(self, stamp: float, q: JointVector, qd: JointVector) -> tuple[FeatureVector, FeatureVector, bool]:
        """Return s (m,), sd (m,) at `stamp` [s] and the joint state then, and whether they rest on a recent frame."""
        if not self._frames:
            return np.zeros(self.m), np.zeros(self.m), False
        newest = self._frames[-1]
        fresh = bool(newest.seen.all()) and stamp - newest.stamp <= self.settings.timeout
        return newest.s + self.G @ (q - newest.q), self.G @ qd, fresh

    def _joints_at(self, stamp: float) -> JointVector | None:
        """Interpolate q (n,) at `stamp`; None outside the history."""
        newer: tuple[float, JointVector] | None = None
        for entry in reversed(self._joints):
            if entry[0] <= stamp + 1e-9:
                if newer is None:
                    return entry[1] if stamp - entry[0] < 1e-6 else None
                share = (stamp - entry[0]) / (newer[0] - entry[0])
                return entry[1] + share * (newer[1] - entry[1])
            newer = entry
        return None
