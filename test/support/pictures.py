"""Images with known truth: markers under a homography, textures moved by fractions of a pixel, colored discs."""

from __future__ import annotations

import numpy as np

from mbrl_ros.vision.opencv import opencv

CELL = 20  # [px] of a drawn marker's cell
SCALE = 4  # views are drawn this much larger and averaged, so that edges lie between pixels


def drawn_marker(number: int, dictionary: str = "4X4_50") -> np.ndarray:
    """A marker with a white margin of one cell."""
    cv2 = opencv()
    kind = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{dictionary}"))
    side = (kind.markerSize + 2) * CELL
    return np.pad(cv2.aruco.generateImageMarker(kind, number, side), CELL, constant_values=255)


def marker_view(quads: dict[int, np.ndarray], dictionary: str = "4X4_50", size=(640, 480)) -> np.ndarray:
    """A gray image with markers whose corners are at `quads` (4, 2) [px], clockwise from the first."""
    cv2 = opencv()
    width, height = size
    image = np.full((height * SCALE, width * SCALE), 200, np.uint8)
    for number, quad in quads.items():
        texture = drawn_marker(number, dictionary)
        low, high = CELL - 0.5, len(texture) - CELL - 0.5  # edges lie half a pixel beside the pixels' centers
        corners = np.array([[low, low], [high, low], [high, high], [low, high]], np.float32)
        large = (np.asarray(quad) + 0.5) * SCALE - 0.5
        H = cv2.getPerspectiveTransform(corners, large.astype(np.float32))
        drawn = cv2.warpPerspective(texture, H, image.shape[::-1], flags=cv2.INTER_LINEAR)
        mask = cv2.warpPerspective(np.full_like(texture, 255), H, image.shape[::-1], flags=cv2.INTER_NEAREST)
        image = np.where(mask > 0, drawn, image)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def texture(shape=(480, 640), seed: int = 0) -> np.ndarray:
    """Smooth random brightness (h, w) without two like places."""
    cv2 = opencv()
    raw = np.random.default_rng(seed).uniform(0.0, 255.0, shape).astype(np.float32)
    smooth = cv2.GaussianBlur(raw, (0, 0), 3.0)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def moved(image: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The image under an affine motion (2, 3) of its pixels."""
    cv2 = opencv()
    return cv2.warpAffine(image, motion, image.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def turned(degrees: float, shift=(0.0, 0.0), center=(320.0, 240.0)) -> np.ndarray:
    """The motion (2, 3) that turns about a center and then shifts."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    R, middle = np.array([[c, -s], [s, c]]), np.asarray(center)
    return np.column_stack((R, middle - R @ middle + np.asarray(shift)))


def discs(centers, colors, radius: float = 14.0, size=(640, 480)) -> np.ndarray:
    """An RGB image (h, w, 3) with discs whose edges are blended."""
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    image = np.full((height, width, 3), 90.0)
    for (cx, cy), color in zip(centers, colors, strict=True):
        share = np.clip(radius + 0.5 - np.hypot(x - cx, y - cy), 0.0, 1.0)[:, :, None]
        image = image * (1.0 - share) + share * np.asarray(color, dtype=float)
    return np.rint(image).astype(np.uint8)
