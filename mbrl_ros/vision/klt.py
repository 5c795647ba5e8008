"""Corners of the first image, tracked: Kanade, Lucas and Tomasi, in pyramids (Bouguet 2000), through OpenCV.

A corner is followed from image to image, forward and backward; where it does not come back to where it was within
`max_error`, it is lost. So that nothing drifts, its place is then refined against the first image, turned and scaled as
the corners have moved together, wherever that fits. A lost corner is looked for in the same way, where the motion of
the others, or its last place, lets it be. Confidence is 1 - e / max_error with the distance e by which it did not come
back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config.section import Section, setting
from ..exceptions import ConfigurationError
from .base import Detection
from .opencv import opencv
from .picture import Picture, Pixels

Points = NDArray[np.float32]  # (n, 2) [px]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.float32]  # (n,)
REFINED_WITHIN = 3.0  # [px] that the first image may move a tracked corner
AS_COMPLEX = np.array([1.0, 1.0j])
LEAST_OTHERS = 3  # corners whose common motion tells where a lost one may be


@dataclass(frozen=True)
class Settings(Section):
    """Which corners, and when they are lost."""

    points: int = setting(4, "number of corners; the best ones of the first image that has so many", low=1, high=100)
    region: tuple[float, ...] = setting(
        (), "left, top, width and height of where corners are taken; empty: the whole image", unit="px", low=0.0
    )
    quality: float = setting(0.05, "least quality of a corner, in proportion to the best one", low=1e-4, high=1.0)
    min_distance: float = setting(20.0, "least distance between two corners", unit="px", low=1.0)
    window: int = setting(21, "side of the square that is compared", unit="px", low=5, high=101)
    levels: int = setting(3, "halvings of the image: fast motions need more", low=0, high=6)
    max_error: float = setting(
        1.0, "distance from its place after tracking back, beyond which a corner is lost", unit="px", low=0.01
    )
    min_likeness: float = setting(
        0.8, "least correlation with the first image for a lost corner to be found again", low=0.0, high=1.0
    )

    def validate(self) -> None:
        """Check the region."""
        if len(self.region) not in (0, 4):
            raise ConfigurationError("must be left, top, width and height", key="region", value=self.region)


class Tracker:
    """Tracks the corners of the first image."""

    def __init__(self, settings: Settings):
        self._cv2, self._settings = opencv(), settings
        self._ids = np.arange(settings.points, dtype=np.int32)
        self._side = (settings.window, settings.window)
        self.reset()

    def reset(self) -> None:
        """Take new corners from the next image."""
        self._first: Pixels | None = None
        self._origin: Points = np.zeros((0, 2), np.float32)  # the corners there
        self._last: Pixels = np.zeros((0, 0), np.uint8)  # the image before
        self._points = self._origin
        self._seen: Flags = np.zeros(0, bool)
        self._turn: Numbers = np.eye(2, dtype=np.float32)  # of the common motion since the first image

    def detect(self, picture: Picture) -> Detection:
        """Return the corners; see the top of this module."""
        found, gray = Detection.nothing(self._ids), picture.gray
        if self._first is None:
            if self._begin(gray):
                found.points[:], found.confidence[:] = self._points, 1.0
            return found
        if gray.shape != self._first.shape:
            return found
        points, error = self._follow(gray, self._first)
        self._look_for_lost(gray, self._first, points, error)
        self._seen = error < self._settings.max_error
        self._points = np.where(self._seen[:, None], points, self._points)
        self._last = gray
        found.points[self._seen] = self._points[self._seen]
        found.confidence[self._seen] = 1.0 - error[self._seen] / self._settings.max_error
        return found

    def _begin(self, gray: Pixels) -> bool:
        """Take the corners of this image, if it has enough."""
        settings, mask = self._settings, None
        if settings.region:
            left, top, width, height = (round(number) for number in settings.region)
            mask = np.zeros_like(gray)
            mask[top : top + height, left : left + width] = 255
        corners = self._cv2.goodFeaturesToTrack(
            gray, settings.points, settings.quality, settings.min_distance, mask=mask
        )
        if corners is None or len(corners) < settings.points:
            return False
        self._first = self._last = gray
        self._origin = self._points = corners.reshape(-1, 2).astype(np.float32)
        self._seen = np.ones(len(corners), bool)
        return True

    def _follow(self, gray: Pixels, first: Pixels) -> tuple[Points, Numbers]:
        """Return where the corners that were seen are now, and the error [px] of each; infinite: it is lost."""
        points, error = self._points.copy(), np.full(len(self._points), np.inf, np.float32)
        seen = np.flatnonzero(self._seen)
        if not len(seen):
            return points, error
        # Only the part of both images that the corners can reach, with all that is compared.
        reach = self._settings.window * 2**self._settings.levels
        left, top = np.maximum(points[seen].min(axis=0) - reach, 0.0).astype(int)
        right, bottom = points[seen].max(axis=0).astype(int) + reach
        before, now = self._last[top:bottom, left:right], gray[top:bottom, left:right]
        start = points[seen] - np.array([left, top], np.float32)
        forward, there = self._flow(before, now, start)
        back, here = self._flow(now, before, forward)
        inside = ((forward >= 0.0) & (forward <= [now.shape[1] - 1, now.shape[0] - 1])).all(axis=1)
        forward += np.array([left, top], np.float32)
        difference = back - start
        distance = np.hypot(difference[:, 0], difference[:, 1])
        good = there & here & inside
        points[seen[good]], error[seen[good]] = forward[good], distance[good]
        known = np.flatnonzero(error < self._settings.max_error)
        if len(known):
            turn, _ = self._motion(points, known)
            refined, fits = self._flow_near(first, gray, self._origin[known], points[known], 0, turn)
            fits &= (np.abs(refined - points[known]) < REFINED_WITHIN).all(axis=1)
            points[known[fits]] = refined[fits]
        return points, error

    def _look_for_lost(self, gray: Pixels, first: Pixels, points: Points, error: Numbers) -> None:
        """Write into `points` and `error` what is found of the lost corners."""
        found, settings = error < self._settings.max_error, self._settings
        lost = np.flatnonzero(~found)
        if not len(lost):
            return
        turn, shift = self._motion(points, np.flatnonzero(found))
        guess, origin = self._points[lost], self._origin[lost]
        if shift is not None:
            guess = origin @ turn.T + shift
        place, fits = self._flow_near(first, gray, origin, guess, settings.levels, turn)
        back, _ = self._flow_near(gray, first, place, origin, settings.levels, np.linalg.inv(turn))
        distance = np.linalg.norm(back - origin, axis=1)
        for at in np.flatnonzero(fits & (distance < settings.max_error)):
            if self._likeness(gray, first, place[at], origin[at], turn) >= settings.min_likeness:
                points[lost[at]], error[lost[at]] = place[at], distance[at]

    def _motion(self, points: Points, known: NDArray[np.intp]) -> tuple[Numbers, Numbers | None]:
        """Return A (2, 2) and b (2,) of the similarity x -> A x + b from the first image to this one.

        It is the one of least squares over the corners at the indices `known`; in complex numbers A is one factor.
        Without LEAST_OTHERS corners A is that of before, and b None.
        """
        if len(known) < LEAST_OTHERS:
            return self._turn, None
        before, after = self._origin[known], points[known]
        middle, there = before.mean(axis=0), after.mean(axis=0)
        z, w = (before - middle) @ AS_COMPLEX, (after - there) @ AS_COMPLEX
        factor = np.vdot(z, w) / np.vdot(z, z).real
        self._turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]], np.float32)
        return self._turn, there - self._turn @ middle

    def _flow(
        self, before: Pixels, after: Pixels, points: Points, guess: Points | None = None, levels: int | None = None
    ) -> tuple[Points, Flags]:
        """Return where `points` of one image are in another, and whether each was found."""
        found, status, _ = self._cv2.calcOpticalFlowPyrLK(
            before,
            after,
            points,
            guess,
            winSize=self._side,
            maxLevel=self._settings.levels if levels is None else levels,
            flags=0 if guess is None else self._cv2.OPTFLOW_USE_INITIAL_FLOW,
        )
        return found, status.ravel() == 1

    def _flow_near(
        self, before: Pixels, after: Pixels, points: Points, guess: Points, levels: int, turn: Numbers
    ) -> tuple[Points, Flags]:
        """Do the same for points (k, 2) with a guess, in parts of both images only: whole ones take long.

        The image before is turned by `turn` (2, 2), so that the parts differ by a shift alone. They lie side by side,
        each larger than what is compared, so that one call finds all.
        """
        reach = self._settings.window * 2**levels
        side, near = 2 * reach + 1, np.rint(guess)
        middle = np.column_stack((reach + side * np.arange(len(points)), np.full(len(points), reach)))
        middle = middle.astype(np.float32)
        a = np.hstack([self._turned(before, point, reach, turn) for point in points])
        b = np.hstack([self._cv2.getRectSubPix(after, (side, side), place.tolist()) for place in near])
        found, fits = self._flow(a, b, middle, middle + (guess - near), levels)
        result = found - middle + near
        fits &= ((result >= 0.0) & (result <= [after.shape[1] - 1, after.shape[0] - 1])).all(axis=1)
        return result, fits & (np.abs(result - near) <= reach).all(axis=1)

    def _turned(self, image: Pixels, point: Points, reach: int, turn: Numbers) -> Pixels:
        """Return the image within `reach` [px] of a point (2,), turned about it by `turn` (2, 2)."""
        motion = np.empty((2, 3), np.float32)
        motion[:, :2], motion[:, 2] = turn, reach - turn @ point
        side = 2 * reach + 1
        part: Pixels = self._cv2.warpAffine(image, motion, (side, side), borderMode=self._cv2.BORDER_REPLICATE)
        return part

    def _likeness(self, gray: Pixels, first: Pixels, point: Points, origin: Points, turn: Numbers) -> float:
        """Return the correlation of the squares around a corner now and, turned, in the first image."""
        reach = self._settings.window // 2
        now = self._cv2.getRectSubPix(gray, (2 * reach + 1, 2 * reach + 1), point.tolist())
        then = self._turned(first, origin, reach, turn)
        return float(self._cv2.matchTemplate(now, then, self._cv2.TM_CCOEFF_NORMED)[0, 0])


def build(settings: Settings) -> Tracker:
    """Build the tracker."""
    return Tracker(settings)
