"""Pictures of the simulated robot, off screen, where a GL library for it is installed (libegl1 or libosmesa6).

For people and for image features; the plant does not need it. The robot is drawn with its collision
shapes, or, where MuJoCo can read none of them, as rods between its joints; marks are red balls.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.sections.simulation import CameraSettings
from ..types import Array, checked
from . import model as models
from .camera import CameraPose
from .model import mujoco
from .plant import Plant
from .plant_model import marks

logger = logging.getLogger(__name__)

BACKENDS = ("egl", "osmesa")
CAMERA = "mbrl_camera"
Image = NDArray[np.uint8]
SHADES = ((0.93, 0.93, 0.91, 1.0), (0.42, 0.45, 0.50, 1.0))


def render(plant: Plant, q: Array, pose: CameraPose, size: tuple[int, int] = (640, 480)) -> Image | None:
    """Draw the robot at q (n,) [rad or m] as seen from `pose`; for more than a few pictures, keep a `Renderer`.

    Returns
    -------
    The picture (height, width, 3) uint8 for `size` (width, height) [px], or None if nothing can draw here.
    """
    try:
        with Renderer(plant, size) as renderer:
            return renderer(q, pose)
    except RuntimeError as error:
        logger.warning("no picture: %s", error)
        return None


class Renderer:
    """Draws `plant`'s robot, one picture after the other; a context manager.

    Parameters
    ----------
    size : (width, height) [px]
    field_of_view : horizontal opening angle [deg]
    dress : adds what surrounds the robot, its light and what it carries to the model; None: balls as marks in a plain
        room

    Raises
    ------
    RuntimeError : no GL backend works
    """

    def __init__(
        self,
        plant: Plant,
        size: tuple[int, int],
        *,
        field_of_view: float = CameraSettings().field_of_view,
        shadows: bool = True,
        dress: Callable[[mujoco.MjSpec], None] | None = None,
    ):
        self._plant, self._size = plant, size
        self._context = _context(size)
        self._model = _scenery(plant, size, shadows, dress)
        self.data = mujoco.MjData(self._model)  # whose bodies without joints (mocap) may be moved between two pictures
        width, height = size
        # MuJoCo's angle is vertical [deg], the camera's is horizontal.
        self._view = self._model.camera(CAMERA)
        self._view.fovy[0] = math.degrees(2.0 * math.atan(math.tan(math.radians(field_of_view) / 2.0) * height / width))
        self._scene = mujoco.MjvScene(self._model, 2000)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = int(shadows)
        self._gl = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._gl)
        self._camera = mujoco.MjvCamera()
        self._camera.type, self._camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, self._view.id

    def __call__(self, q: Array, pose: CameraPose) -> Image:
        """Draw the robot at q (n,) [rad or m] as seen from `pose`: (height, width, 3) uint8."""
        q = checked("q", q, (self._plant.robot.n,))
        for name, value in zip(self._plant.robot.joints, q, strict=True):
            self.data.joint(name).qpos[0] = value
        self._context.make_current()
        origin, turn = self._plant.root_pose
        self._view.pos[:] = origin + turn @ pose.position
        # MuJoCo's camera has y up and looks along -z.
        mujoco.mju_mat2Quat(self._view.quat, (turn @ pose.rotation * np.array([1.0, -1.0, -1.0])).ravel())
        mujoco.mj_forward(self._model, self.data)
        mujoco.mjv_updateScene(
            self._model,
            self.data,
            mujoco.MjvOption(),
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        width, height = self._size
        image = np.empty((height, width, 3), dtype=np.uint8)
        view = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(view, self._scene, self._gl)
        mujoco.mjr_readPixels(image, None, view, self._gl)
        return np.ascontiguousarray(image[::-1])  # OpenGL counts rows from below

    def close(self) -> None:
        """Free what OpenGL holds."""
        if self._context is not None:
            self._gl.free()
            self._context.free()
            self._context = None

    def __enter__(self) -> Renderer:
        """Return the renderer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Free what OpenGL holds."""
        self.close()


def _context(size: tuple[int, int]) -> Any:
    """Return a GL context of the first backend that works; RuntimeError if none does."""
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    failures = []
    for backend in (wanted,) if wanted in BACKENDS else BACKENDS:
        try:
            context = importlib.import_module(f"mujoco.{backend}").GLContext(*size)
            context.make_current()
            return context
        except Exception as error:  # each binding fails in its own way where its library is missing
            failures.append(f"{backend}: {error}")
    raise RuntimeError(
        "no off-screen GL (apt-get install libegl1 libgl1-mesa-dri, or libosmesa6); " + "; ".join(failures)
    )


def _scenery(
    plant: Plant, size: tuple[int, int], shadows: bool, dress: Callable[[mujoco.MjSpec], None] | None
) -> mujoco.MjModel:
    settings = plant.settings
    spec, is_urdf = models.mechanism(settings.model, plant.robot, shapes=True)
    if is_urdf:
        _shade(spec)
    if dress is None:
        _add_balls(spec, plant)
        _add_room(spec, shadows)
    else:
        dress(spec)
    spec.worldbody.add_camera(name=CAMERA)
    visual = spec.visual
    visual.headlight.specular = [0.0, 0.0, 0.0]
    visual.global_.offwidth, visual.global_.offheight = size
    # Set before the context exists: on a CPU these two take most of the time of a picture.
    visual.quality.offsamples, visual.quality.shadowsize = (4, 2048) if shadows else (0, 0)
    return models.compiled(spec)


def _add_balls(spec: mujoco.MjSpec, plant: Plant) -> None:
    for name, offset in marks(plant.settings) or [(models.TIP, np.zeros(3))]:
        body, offset = models.place(spec, name, offset)
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=[0.018, 0, 0],
            pos=offset,
            rgba=[0.85, 0.1, 0.08, 1.0],
            mass=0.0,
            contype=0,
            conaffinity=0,
        )


def _add_room(spec: mujoco.MjSpec, shadows: bool) -> None:
    sky = spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        width=256,
        height=256,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
    )
    sky.rgb1, sky.rgb2 = [0.97, 0.98, 1.0], [0.72, 0.77, 0.83]
    tiles = spec.add_texture(
        name="tiles",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=256,
        height=256,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
    )
    tiles.rgb1, tiles.rgb2 = [0.80, 0.82, 0.84], [0.75, 0.77, 0.80]
    floor = spec.add_material(name="floor", texrepeat=[4, 4], texuniform=True, reflectance=0.0)
    floor.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "tiles"
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE, size=[5, 5, 0.1], material="floor", contype=0, conaffinity=0
    )
    spec.worldbody.add_light(
        pos=[1.0, -1.5, 3.0],
        dir=[-0.3, 0.45, -0.84],
        castshadow=shadows,
        diffuse=[0.55, 0.55, 0.55],
        specular=[0.15, 0.15, 0.15],
    )
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.45, 0.45, 0.45], [0.35, 0.35, 0.35]


def _shade(spec: mujoco.MjSpec) -> None:
    """Alternate light and dark links; rods where the URDF has no shape that MuJoCo reads."""
    if not list(spec.geoms):
        for body in list(spec.bodies)[1:]:
            if body.parent != spec.worldbody and np.linalg.norm(body.pos) > 0.01:
                body.parent.add_geom(
                    type=mujoco.mjtGeom.mjGEOM_CAPSULE,
                    size=[0.035, 0, 0],
                    mass=0.0,
                    fromto=[0.0, 0.0, 0.0, *body.pos],
                    contype=0,
                    conaffinity=0,
                )
    for i, body in enumerate(body for body in spec.bodies if list(body.geoms)):
        for geom in body.geoms:
            geom.rgba = SHADES[i % 2]
