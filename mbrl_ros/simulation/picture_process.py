"""Takes images in a process of its own, so that drawing them neither delays the simulation nor can end it.

The process is started anew (no fork: OpenGL and threads do not survive one), gets exposures through a pipe and answers
each with its image. It ends when the pipe is closed, as when its parent dies.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from multiprocessing.connection import Connection

import numpy as np

from ..config.sections.images import ImageSettings
from ..config.sections.simulation import CameraSettings, PlantSettings
from ..exceptions import MbrlError
from ..robots import Robot
from .pictures import Exposure, Pictures
from .rendering import Image

PICTURES_READY, PICTURES_END = 120.0, 2.0  # [s] for the libraries to load; for the process to end


class PictureProcess:
    """One process that takes images of one robot, one after the other; a context manager.

    Raises
    ------
    MbrlError : it cannot draw; says which library is missing
    """

    def __init__(self, robot: Robot, plant: PlantSettings, camera: CameraSettings, settings: ImageSettings):
        context = multiprocessing.get_context("spawn")
        self._shape = (camera.height, camera.width, 3)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, robot, plant, camera, settings), name="pictures", daemon=True
        )
        self._process.start()
        theirs.close()
        self.busy = False
        try:
            said = self._pipe.recv_bytes() if self._pipe.poll(PICTURES_READY) else b"it does not start"
        except EOFError:
            said = b"its process ended"
        if said:
            self.close()
            raise MbrlError(f"no images: {said.decode()}")

    def request(self, exposure: Exposure) -> None:
        """Ask for an image; the one asked for before must have been taken."""
        self._pipe.send(exposure)
        self.busy = True

    def image(self, timeout: float) -> Image | None:
        """Return the image that was asked for, (height, width, 3) uint8; None if it takes longer than `timeout` [s].

        Raises
        ------
        MbrlError : the process ended, or could not draw
        """
        if not self._pipe.poll(timeout):
            return None
        try:
            data = self._pipe.recv_bytes()
        except EOFError:
            raise MbrlError("no images: their process ended") from None
        self.busy = False
        if len(data) != np.prod(self._shape):
            raise MbrlError(f"no images: {data.decode(errors='replace')}")
        return np.frombuffer(data, dtype=np.uint8).reshape(self._shape)

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(PICTURES_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def __enter__(self) -> PictureProcess:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()


def _serve(
    pipe: Connection, robot: Robot, plant: PlantSettings, camera: CameraSettings, settings: ImageSettings
) -> None:
    """Answer exposures until the pipe is closed; the first answer is empty, or why there will be none."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process, in its own time
    with contextlib.suppress(EOFError, OSError):
        try:
            pictures = Pictures(robot, plant, camera, settings)
        except (RuntimeError, MbrlError) as error:
            pipe.send_bytes(str(error).encode() or b"unknown error")
            return
        pipe.send_bytes(b"")
        with pictures:
            while True:
                pipe.send_bytes(pictures(pipe.recv()).ravel().data)
