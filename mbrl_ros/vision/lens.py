"""The distortion of a lens and its inverse, by the models of sensor_msgs/CameraInfo.

With the camera matrix K = [fx 0 cx; 0 fy cy; 0 0 1] a pixel p has the coordinates of a ray (x, y) =
((p_x - cx) / fx, (p_y - cy) / fy); r^2 = x^2 + y^2. The models give the distorted coordinates of an undistorted ray:

    plumb_bob (Brown 1966), D = (k1, k2, p1, p2, k3), and rational_polynomial, D = (k1, k2, p1, p2, k3, k4, k5, k6):
        c   = (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6)
        x_d = x c + 2 p1 x y + p2 (r^2 + 2 x^2),    y_d = y c + p1 (r^2 + 2 y^2) + 2 p2 x y
    equidistant (Kannala and Brandt 2006), D = (k1, k2, k3, k4), a = atan r:
        (x_d, y_d) = (x, y) a (1 + k1 a^2 + k2 a^4 + k3 a^6 + k4 a^8) / r

The inverse has no closed form: Newton's method from the distorted coordinates, with a Jacobian by differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..types import Array
from .picture import ImageError

UNDISTORT_STEPS = 30
DISTORTED_WITHIN = 1e-6  # [px] of a distorted point from the one that was given
PLUMB_BOB, RATIONAL, EQUIDISTANT = "plumb_bob", "rational_polynomial", "equidistant"
LEAST_COEFFICIENTS = {PLUMB_BOB: 4, RATIONAL: 8, EQUIDISTANT: 4}
WRONG_INFO, OTHER_SIZE = "wrong camera info", "camera info of another size"


class CameraInfo(Protocol):
    """The fields of a sensor_msgs/CameraInfo that are used."""

    height: int
    width: int
    distortion_model: str
    d: Any
    k: Any
    binning_x: int
    binning_y: int
    roi: Any


@dataclass(frozen=True, eq=False, slots=True)
class Lens:
    """A lens in front of images of width x height pixels: focal (2,) and center (2,) [px], model and D (8,)."""

    width: int
    height: int
    focal: Array
    center: Array
    model: str
    coefficients: Array

    def distort(self, points: Array) -> Array:
        """Return where pixel positions (n, 2) of an image without distortion are in the image with it."""
        return self._distorted((points - self.center) / self.focal) * self.focal + self.center

    def undistort(self, points: Array) -> Array:
        """Return where pixel positions (n, 2) would be without distortion; NaN where no ray has that image."""
        if not self.coefficients.any() and self.model != EQUIDISTANT:
            return points
        wanted = (points - self.center) / self.focal
        rays, tolerance, small = wanted.copy(), DISTORTED_WITHIN / float(self.focal.max()), 1e-6
        error = self._distorted(rays) - wanted
        with np.errstate(all="ignore"):  # what does not converge is found below
            for _ in range(UNDISTORT_STEPS):
                if np.nanmax(np.abs(error), initial=0.0) < tolerance:
                    break
                right, down = np.array([small, 0.0]), np.array([0.0, small])
                a, c = ((self._distorted(rays + right) - self._distorted(rays - right)) / (2.0 * small)).T
                b, d = ((self._distorted(rays + down) - self._distorted(rays - down)) / (2.0 * small)).T
                ex, ey = error.T
                rays = rays - np.column_stack((d * ex - b * ey, a * ey - c * ex)) / (a * d - b * c)[:, None]
                error = self._distorted(rays) - wanted
            found = np.abs(error).max(axis=1) < tolerance
        result: Array = np.where(found[:, None], rays * self.focal + self.center, np.nan)
        return result

    def _distorted(self, rays: Array) -> Array:
        x, y = rays.T
        r2 = x * x + y * y
        k = self.coefficients
        if self.model == EQUIDISTANT:
            r = np.sqrt(r2)
            a = np.arctan(r)
            s = a * a
            factor = np.where(r > 1e-12, a / np.maximum(r, 1e-12), 1.0)
            scaled: Array = rays * (factor * (1.0 + s * (k[0] + s * (k[1] + s * (k[2] + s * k[3])))))[:, None]
            return scaled
        radial = (1.0 + r2 * (k[0] + r2 * (k[1] + r2 * k[4]))) / (1.0 + r2 * (k[5] + r2 * (k[6] + r2 * k[7])))
        return np.column_stack(
            (
                x * radial + 2.0 * k[2] * x * y + k[3] * (r2 + 2.0 * x * x),
                y * radial + k[2] * (r2 + 2.0 * y * y) + 2.0 * k[3] * x * y,
            )
        )


def read_lens(info: CameraInfo) -> Lens:
    """Read the calibration of a camera, by the fields of a sensor_msgs/CameraInfo.

    K and the size are those of the whole sensor; binning and region of interest give those of the image.

    Raises
    ------
    ImageError
        "wrong camera info": it is not calibrated, its model is unknown, or numbers are missing or not finite.
    """
    k, d = np.array(info.k, dtype=float), np.array(info.d, dtype=float)
    model = info.distortion_model or PLUMB_BOB
    if model not in LEAST_COEFFICIENTS:
        raise ImageError(WRONG_INFO, f"the distortion model '{model[:40]}' is none of {', '.join(LEAST_COEFFICIENTS)}")
    if k.size != 9 or not np.isfinite(k).all() or not (k[0] > 0.0 and k[4] > 0.0):
        raise ImageError(WRONG_INFO, f"no camera matrix: k is {k.tolist()}")
    if not np.isfinite(d).all() or d.size > 8 or 0 < d.size < LEAST_COEFFICIENTS[model]:
        raise ImageError(WRONG_INFO, f"{model} with the coefficients {d.tolist()}")
    roi, binning = info.roi, np.array([max(1, info.binning_x), max(1, info.binning_y)], dtype=float)
    whole = np.array([roi.width or info.width, roi.height or info.height])
    size = (whole // binning).astype(int)
    if not (size > 0).all():
        raise ImageError(WRONG_INFO, f"it is for images of {size[0]} x {size[1]} pixels")
    # The center of a binned pixel is the middle of those that it joins.
    center = (np.array([k[2], k[5]]) - np.array([roi.x_offset, roi.y_offset]) - (binning - 1.0) / 2.0) / binning
    coefficients = np.zeros(8)
    coefficients[: d.size] = d
    return Lens(int(size[0]), int(size[1]), np.array([k[0], k[4]]) / binning, center, model, coefficients)


def fit_lens(lens: Lens | None, width: int, height: int) -> Lens:
    """Return the lens that images of width x height pixels are taken through.

    Raises
    ------
    ImageError
        There is none, or it belongs to images of another size.
    """
    if lens is None:
        raise ImageError("no camera info", "no camera info has come yet, which `undistort` needs")
    if (lens.width, lens.height) != (width, height):
        raise ImageError(OTHER_SIZE, f"{lens.width} x {lens.height} pixels, but the image has {width} x {height}")
    return lens
