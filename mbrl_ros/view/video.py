"""Write pictures as a film: H.264 in MP4 by PyAV, or GIF by Pillow."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..exceptions import ConfigurationError
from .snapshot import PLAN_COLOR, TARGET_COLOR

Picture = NDArray[np.uint8]  # (height, width, 3)

ENDINGS = (".mp4", ".gif")
GIF_COLORS = 160  # of a GIF
GRAYS = ((38, 38, 40), (92, 92, 96), (150, 152, 156))  # of shadows and dark parts
QUALITY = "20"  # constant rate factor of x264: 0 without loss, 51 the worst
KEYFRAMES = 30  # pictures between two that can be looked at without those before


class Writer(Protocol):
    """Takes the pictures of a film."""

    def add(self, picture: Picture) -> None:
        """Add a picture (height, width, 3) of bytes."""


def checked_video(file: Path) -> None:
    """Raise an error where `file` could not be written, or what that needs is missing: before anything is computed.

    Raises
    ------
    ConfigurationError : the ending is none of ENDINGS, or the folder is not there
    ModuleNotFoundError : a module is missing
    """
    if file.suffix.lower() not in ENDINGS:
        raise ConfigurationError(f"{file}: a film ends with .mp4 or .gif", key="video", value=str(file))
    if not file.resolve().parent.is_dir():
        raise ConfigurationError(f"{file}: there is no such folder", key="video", value=str(file))
    for module in ("trimesh", "PIL", *(("av",) if file.suffix.lower() == ".mp4" else ())):
        importlib.import_module(module)


@contextlib.contextmanager
def opened_video(file: Path, rate: float) -> Iterator[Writer]:
    """Open a film of `rate` pictures a second; it takes its name when it is whole."""
    kind = file.suffix.lower()
    part = file.with_name(f".{file.stem}.part{kind}")
    try:
        with (_mp4 if kind == ".mp4" else _gif)(part, rate) as writer:
            yield writer
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


class _Mp4:
    def __init__(self, container: Any, rate: float):
        self._container, self._rate = container, Fraction(rate).limit_denominator(1000)
        self._stream: Any = None

    def add(self, picture: Picture) -> None:
        import av

        if self._stream is None:
            options = {"crf": QUALITY, "preset": "veryfast", "g": str(KEYFRAMES)}
            self._stream = self._container.add_stream("libx264", rate=self._rate, options=options)
            self._stream.height, self._stream.width = picture.shape[:2]
            self._stream.pix_fmt = "yuv420p"  # the only one that every player knows
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def end(self) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode())


@contextlib.contextmanager
def _mp4(file: Path, rate: float) -> Iterator[_Mp4]:
    import av

    with av.open(str(file), "w", options={"movflags": "faststart"}) as container:
        writer = _Mp4(container, rate)
        yield writer
        writer.end()


class _Gif:
    """Pictures of a GIF, each in the colors of the first few: what has not changed between two costs nothing."""

    def __init__(self) -> None:
        self.images: list[Any] = []
        self._palette: Any = None

    def add(self, picture: Picture) -> None:
        from PIL import Image

        image = Image.fromarray(picture)
        if self._palette is None:
            self._palette = Image.fromarray(_with_signals(picture)).quantize(GIF_COLORS, Image.Quantize.MEDIANCUT)
        self.images.append(image.quantize(palette=self._palette, dither=Image.Dither.NONE))


def _with_signals(picture: Picture) -> Picture:
    """Return the picture above stripes in the colors of plan and target, and in grays, which later pictures need."""
    shades = np.linspace(0.6, 1.5, 10)[:, None] * np.array([PLAN_COLOR, TARGET_COLOR, *GRAYS])[:, None]
    stripes = np.clip(shades.reshape(1, -1, 3), 0.0, 255.0).astype(np.uint8)
    columns = np.arange(picture.shape[1]) * stripes.shape[1] // picture.shape[1]
    return np.concatenate([picture, np.tile(stripes[:, columns], (picture.shape[0] // 5, 1, 1))])


@contextlib.contextmanager
def _gif(file: Path, rate: float) -> Iterator[_Gif]:
    writer = _Gif()
    yield writer
    if writer.images:
        first, *others = writer.images
        first.save(file, save_all=True, append_images=others, duration=round(1000.0 / rate), loop=0, optimize=True)
