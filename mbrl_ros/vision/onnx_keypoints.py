"""Learned keypoints: a network in an ONNX file gives one activation map a point; spatial soft-argmax its place.

For the map a_k (h, w) of point k with cells at positions p_ij (Levine, Finn, Darrell and Abbeel 2016, section 5):

    w_ij = exp(a_k,ij / T) / sum exp(a_k / T),   f_k = sum w_ij p_ij,   spread_k = sqrt(sum w_ij |p_ij - f_k|^2)

Positions are in half image widths. A map that is spread over the image sees nothing in particular: confidence is
exp(-(spread_k / spread)^2 / 2), and 0 where the largest activation is below `min_activation`. The network runs in
onnxruntime; its input (1, channels, height, width) has 1 channel (gray) or 3 (RGB), scaled from 0..255 to 0..1, then
less `mean` and divided by `std`. An image of another size is resized to the network's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.section import Section, setting
from ..exceptions import ConfigurationError
from ..types import Array
from .base import Detection, pixels
from .opencv import opencv
from .picture import Picture

INSTALL_KEYPOINTS = "pip install 'mbrl_ros[keypoints]'"
FILE_KEY = "vision.onnx_keypoints.file"
GRAY, COLOR = 1, 3  # channels of the network's input
WHITE = np.float32(255.0)
Maps = NDArray[np.float32]


@dataclass(frozen=True)
class Settings(Section):
    """Which network, and how its maps are read."""

    file: str = setting("", "ONNX file of a network from images to activation maps")
    temperature: float = setting(1.0, "T: a smaller one takes the largest activation alone", low=1e-6)
    spread: float = setting(0.2, "spread of a map at which confidence is 0.6", unit="half image widths", low=1e-6)
    min_activation: float = setting(-1e9, "least value of a map's largest activation")
    mean: tuple[float, ...] = setting(
        (0.0,), "taken from each channel's brightness in 0..1; one number or one a channel"
    )
    std: tuple[float, ...] = setting((1.0,), "... which is then divided by it", low=1e-6)


class Keypoints:
    """Finds what a network was trained to find."""

    def __init__(self, settings: Settings):
        self._cv2, self._settings = opencv(), settings
        self._session = _session(settings.file)
        (self._input, *others), (self._output, *_) = self._session.get_inputs(), self._session.get_outputs()
        shape, maps = self._input.shape, self._output.shape
        if others or len(shape) != 4 or shape[1] not in (GRAY, COLOR) or not all(isinstance(n, int) for n in shape[2:]):
            raise _unfit(settings.file, f"its input must be (1, 1 or 3, height, width), but is {shape}")
        if self._input.type != "tensor(float)":
            raise _unfit(settings.file, f"its input must be float32, but is {self._input.type}")
        if len(maps) != 4 or not isinstance(maps[1], int):
            raise _unfit(settings.file, f"its output must be (1, points, height, width), but is {maps}")
        self._channels, self._height, self._width = shape[1:]
        for name in ("mean", "std"):
            if len(getattr(settings, name)) not in (1, self._channels):
                raise _unfit(settings.file, f"vision.onnx_keypoints.{name} must have 1 or {self._channels} numbers")
        mean, std = (np.reshape(numbers, (-1, 1, 1)).astype(np.float32) for numbers in (settings.mean, settings.std))
        self._factor, self._shift = 1.0 / (WHITE * std), mean / std  # (x / 255 - mean) / std = x factor - shift
        self._ids = np.arange(maps[1], dtype=np.int32)

    def detect(self, picture: Picture) -> Detection:
        """Return one point a map; see the top of this module."""
        cv2, image = self._cv2, picture.gray if self._channels == GRAY else picture.rgb
        if image.shape[:2] != (self._height, self._width):
            image = cv2.resize(image, (self._width, self._height), interpolation=cv2.INTER_AREA)
        planes = np.empty((1, self._channels, self._height, self._width), np.float32)
        np.multiply(np.reshape(image, (self._height, self._width, -1)).transpose(2, 0, 1), self._factor, out=planes[0])
        planes[0] -= self._shift
        (maps,) = self._session.run([self._output.name], {self._input.name: planes})
        points, spread = soft_argmax(maps[0], picture.height / picture.width, self._settings.temperature)
        confidence = np.exp(-0.5 * (spread / self._settings.spread) ** 2)
        confidence[~(maps[0].max(axis=(1, 2)) >= self._settings.min_activation) | ~np.isfinite(confidence)] = 0.0
        return Detection(pixels(points, picture.width, picture.height), confidence, self._ids)

    def reset(self) -> None:
        """Nothing is remembered."""


def soft_argmax(maps: Maps, aspect: float, temperature: float = 1.0) -> tuple[Array, Array]:
    """Return the mean position (k, 2) and the spread (k,) of activation maps (k, h, w), in half image widths.

    aspect: the image's height over its width. The cells of a map cover the image: the first and the last are half a
    cell from its edges.
    """
    count, h, w = maps.shape
    x, y = (2.0 * np.arange(w) + 1.0) / w - 1.0, aspect * ((2.0 * np.arange(h) + 1.0) / h - 1.0)
    scaled = np.asarray(maps, dtype=np.float32).reshape(count, -1)
    scaled = (scaled - scaled.max(axis=1, keepdims=True)) * np.float32(1.0 / temperature)
    weights = np.exp(scaled, out=scaled).reshape(count, h, w)
    across = np.add.reduce(weights, axis=1, dtype=np.float64)  # (k, w)
    down = np.add.reduce(weights, axis=2, dtype=np.float64)  # (k, h)
    total = across.sum(axis=1, keepdims=True)
    across, down = across / total, down / total
    points = np.column_stack((across @ x, down @ y))
    square = across @ (x * x) + down @ (y * y) - (points**2).sum(axis=1)
    return points, np.sqrt(np.maximum(square, 0.0))


def _unfit(file: str, problem: str) -> ConfigurationError:
    return ConfigurationError(f"{file}: {problem}", key=FILE_KEY, value=file)


def _session(file: str) -> Any:
    """Load the network into onnxruntime, in one thread.

    Raises
    ------
    ConfigurationError
        There is no such file, it is no network that can be run, or onnxruntime is missing.
    """
    if not Path(file).is_file():
        raise ConfigurationError(f"{FILE_KEY}: there is no file '{file}'", key=FILE_KEY, value=file)
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigurationError(f"learned keypoints need onnxruntime ({error}): {INSTALL_KEYPOINTS}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the control loop needs the other processors
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of onnxruntime's own kinds, which have no common base
        raise _unfit(file, " ".join(str(error).split())[:300]) from None


def build(settings: Settings) -> Keypoints:
    """Build the method."""
    return Keypoints(settings)
