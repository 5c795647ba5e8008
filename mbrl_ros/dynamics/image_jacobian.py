"""How camera features move with the joints, learned while looking.

For points fixed to the robot and a camera fixed in the world, s = h(q) with an unknown h, so locally

    s(t2) - s(t1) = G (q(t2) - q(t1)) + noise,      sd = G qd

and the image Jacobian G (m, n) is regressed from pairs of frames, evidence forgotten per frame (online image
Jacobian estimation: Hutchinson, Hager, Corke, IEEE TRA 1996, sec. V; Jagersand, Fuentes, Nelson, ICRA 1997).
Frames come slower and later than joint states: q at the exposure is interpolated from the joint history, and the
newest frame is carried to the present by G. A jump of s that G cannot explain (the camera was moved) makes G start
anew. Points whose confidence is low are left out of the regression.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from ..config.sections.dynamics import FeatureSettings
from ..types import Array, FeatureFrame


class FeatureMotion:
    """G (m, n) and the features' present state for n joints and m coordinates."""

    def __init__(self, n: int, settings: FeatureSettings):
        self.settings, self.n, self.m = settings, n, 2 * settings.points
        self._joints: deque[tuple[float, Array]] = deque(maxlen=1024)
        self._precision = (settings.noise * np.sqrt(2.0) / settings.jacobian_spread) ** 2
        self.reset()

    def reset(self) -> None:
        self._joints.clear()
        self.restart()

    def restart(self) -> None:
        """Forget G: the camera has moved."""
        self._S = np.zeros((self.n, self.n))
        self._C = np.zeros((self.n, self.m))
        self.G = np.zeros((self.m, self.n))
        self._frames: deque[tuple[float, Array, Array, Array]] = deque(maxlen=64)
        self.restarts = getattr(self, "restarts", -1) + 1
        self.confidence, self.known = 0.0, False

    def add_joints(self, stamp: float, q: Array) -> None:
        self._joints.append((stamp, np.array(q)))

    def add_frame(self, frame: FeatureFrame) -> bool:
        """Learn from a frame; False (and nothing learned) if it is out of order or outside the joint history."""
        if (self._frames and frame.stamp <= self._frames[-1][0]) or not self._joints:
            return False
        q = self._joints_at(frame.stamp)
        if q is None:
            return False
        s = np.array(frame.points)
        seen = np.repeat(frame.confidence >= self.settings.min_confidence, 2)
        if self._frames:
            _, last_q, last_s, last_seen = self._frames[-1]
            both = seen & last_seen
            dq = q - last_q
            explained = self.G @ dq
            # motion blurs the test: by half of what G explains and by what it may be off, which is more while unknown
            blur = (
                0.5 * np.abs(explained).max()
                + (0.5 if self.known else 2.0) * self.settings.jacobian_spread * np.abs(dq).max()
            )
            if both.any() and np.abs(s - last_s - explained)[both].max() > self.settings.jump + blur:
                self.restart()
        self._frames.append((frame.stamp, q, s, seen))
        self._learn(frame.stamp, q, s, seen)
        return True

    def _learn(self, stamp: float, q: Array, s: Array, seen: Array) -> None:
        pair = next((f for f in reversed(self._frames) if f[0] <= stamp - self.settings.baseline + 1e-6), None)
        if pair is None or not (seen & pair[3]).all():
            return
        dq, ds = q - pair[1], s - pair[2]
        if np.abs(dq).max() * self.settings.jacobian_spread < self.settings.noise:
            return  # nothing to see: forgetting now would trade knowledge for noise
        self._S = self.settings.forgetting * self._S + np.outer(dq, dq)
        self._C = self.settings.forgetting * self._C + np.outer(dq, ds)
        information = self._S + self._precision * np.eye(self.n)
        self.G = np.linalg.solve(information, self._C).T
        self.confidence = 1.0 - self._precision * np.trace(np.linalg.inv(information)) / self.n
        # once known it stays so until a restart: motion along the way keeps it up to date
        self.known = self.known or self.confidence >= self.settings.known

    def present(self, stamp: float, q: Array, qd: Array) -> tuple[Array, Array, bool]:
        """S (m,) and sd (m,) at `stamp` [s], and whether a frame recent enough stands behind them."""
        if not self._frames:
            return np.zeros(self.m), np.zeros(self.m), False
        frame_stamp, frame_q, s, seen = self._frames[-1]
        fresh = bool(seen.all()) and stamp - frame_stamp <= self.settings.timeout
        return s + self.G @ (q - frame_q), self.G @ qd, fresh

    def _joints_at(self, stamp: float) -> Array | None:
        """Q (n,) at `stamp`, linearly interpolated; None outside the history."""
        newer = None
        for entry in reversed(self._joints):
            if entry[0] <= stamp + 1e-9:
                if newer is None:
                    return entry[1] if stamp - entry[0] < 1e-6 else None
                share = (stamp - entry[0]) / (newer[0] - entry[0])
                return entry[1] + share * (newer[1] - entry[1])
            newer = entry
        return None
