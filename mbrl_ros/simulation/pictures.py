"""Images as a camera on the robot's workplace takes them: a marker, colored surroundings, light and pixel noise.

The marker (marker.py) is a texture on one side of a plate. Light, surroundings and the noise of pixels are drawn by the
seed once, and image k begins at another place of that noise, so that an image depends on its number, the arm's posture
and the camera's pose alone. While the marker is hidden, a plate stands on the line from the camera to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config.sections.images import ImageSettings
from ..config.sections.simulation import CameraSettings, PlantSettings
from ..robots import Robot
from ..robots.rotation import quaternion_of
from ..types import Array
from . import marker
from . import model as models
from .camera import CameraPose
from .model import mujoco
from .plant import Plant
from .rendering import Image, Renderer

THICK = 0.001  # [m] of the marker's plate, which has another behind it
SHIFTS, STRIDE = 65521, 40503  # places at which the noise of an image can begin, a prime; from one image to the next
HIDER = "mbrl_hider"
CELL = 64  # texture pixels a cell of the marker
PATCHES = (4, 8, 16, 32, 64, 128)  # a side, of the colored patches that are laid over each other
TEXTURE = 256  # pixels, of a side of the surroundings' textures
HIDDEN_AT = 0.6  # of the way from the camera to the marker: where the plate that hides it stands
HIDDEN_SIZE = 1.6  # of that plate, half its edge over the edge of the marker's plate


@dataclass(frozen=True, eq=False, slots=True)
class Exposure:
    """What an image is of: number and stamp [s], joints q (n,), the camera's pose, whether the marker is hidden.

    The pose is in the root link's frame; `marker` (3,) [m] is where the marker's center is there.
    """

    number: int
    stamp: float
    q: Array
    pose: CameraPose
    marker: Array
    hidden: bool = False


class Pictures:
    """Takes images (height, width, 3) uint8, one after the other; a context manager.

    Raises
    ------
    RuntimeError : no GL backend works
    """

    def __init__(self, robot: Robot, plant: PlantSettings, camera: CameraSettings, settings: ImageSettings):
        self._noise = noise_table(settings.pixel_noise, camera.width * camera.height, settings.seed)
        self._plant = Plant(plant, robot)
        self._renderer = Renderer(
            self._plant,
            (camera.width, camera.height),
            field_of_view=camera.field_of_view,
            shadows=False,
            dress=lambda spec: dress(spec, settings),
        )

    def __call__(self, exposure: Exposure) -> Image:
        """Take an image."""
        self._hide(exposure)
        return with_noise(self._renderer(exposure.q, exposure.pose), self._noise, exposure.number)

    def _hide(self, exposure: Exposure) -> None:
        data, position = self._renderer.data, np.array([0.0, 0.0, -10.0])  # below the floor
        if exposure.hidden:
            origin, turn = self._plant.root_pose
            way = exposure.marker - exposure.pose.position
            position = origin + turn @ (exposure.pose.position + HIDDEN_AT * way)
            facing = turn @ exposure.pose.rotation @ np.diag([1.0, -1.0, -1.0])
            data.mocap_quat[0] = np.roll(quaternion_of(facing), 1)  # MuJoCo has the real part first
        data.mocap_pos[0] = position

    def close(self) -> None:
        """Free what OpenGL holds."""
        self._renderer.close()

    def __enter__(self) -> Pictures:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Free what OpenGL holds."""
        self.close()


def noise_table(std: float, pixels: int, seed: int) -> NDArray[np.int16]:
    """Draw the noise [of 255] of so many pixels, and of SHIFTS more, so that each image can begin at another place."""
    drawn = np.random.default_rng(seed).standard_normal(pixels + SHIFTS, dtype=np.float32)
    table: NDArray[np.int16] = np.rint(std * drawn).astype(np.int16)
    return table


def with_noise(image: Image, table: NDArray[np.int16], number: int) -> Image:
    """Add the noise of image `number` to every pixel, the same in its three colors."""
    height, width, _ = image.shape
    begin = number * STRIDE % SHIFTS
    noisy = image.astype(np.int16)
    noisy += table[begin : begin + height * width].reshape(height, width, 1)
    return np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)


def dress(spec: mujoco.MjSpec, settings: ImageSettings) -> None:
    """Add the marker, the surroundings, the light and the plate that hides the marker to a robot's model."""
    rng = np.random.default_rng(settings.seed)
    _add_marker(spec, settings)
    _add_surroundings(spec, settings, rng)
    _add_light(spec, settings, rng)
    half = HIDDEN_SIZE * (1.0 - HIDDEN_AT) * marker.plate_size(settings.marker_size)
    hider = spec.worldbody.add_body(name=HIDER, mocap=True, pos=[0.0, 0.0, -10.0])
    hider.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, size=[half, half, 0.002], rgba=[0.45, 0.33, 0.22, 1.0], contype=0, conaffinity=0
    )


def _add_marker(spec: mujoco.MjSpec, settings: ImageSettings) -> None:
    pattern = np.repeat(marker.picture(settings.marker, CELL)[:, :, None], 3, axis=2)
    _add_texture(spec, "mbrl_marker", pattern)
    material = spec.add_material(name="mbrl_marker", reflectance=0.0, specular=0.0, texrepeat=[1, 1])
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "mbrl_marker"
    body, offset = models.place(spec, settings.marker_body or models.TIP, settings.marker_offset)
    turn = np.zeros(4)
    mujoco.mju_euler2Quat(turn, np.array(settings.marker_rotation), "XYZ")
    half = 0.5 * marker.plate_size(settings.marker_size)
    out = np.zeros(3)
    mujoco.mju_rotVecQuat(out, np.array([0.0, 0.0, 1.0]), turn)
    # Two thin plates: a texture shows on both sides of its own, and the second covers that of the first.
    for behind, look in ((0.5, {"material": "mbrl_marker"}), (1.75, {"rgba": [0.8, 0.8, 0.8, 1.0]})):
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[half, half, (behind if behind < 1.0 else 0.75) * THICK],
            pos=offset - behind * THICK * out,
            quat=turn,
            mass=0.0,
            contype=0,
            conaffinity=0,
            **look,
        )


def _add_surroundings(spec: mujoco.MjSpec, settings: ImageSettings, rng: np.random.Generator) -> None:
    plain = np.full((TEXTURE, TEXTURE, 3), 190, dtype=np.uint8)
    faces = [_patches(rng) if settings.background else plain for _ in range(7)]
    _add_texture(spec, "mbrl_floor", faces[0])
    sky = spec.add_texture(
        name="mbrl_sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, width=TEXTURE, height=6 * TEXTURE, nchannel=3
    )
    sky.data = np.concatenate(faces[1:]).tobytes()
    floor = spec.add_material(name="mbrl_floor", texrepeat=[1, 1], reflectance=0.0)
    floor.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "mbrl_floor"
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE, size=[3, 3, 0.1], material="mbrl_floor", contype=0, conaffinity=0
    )


def _add_light(spec: mujoco.MjSpec, settings: ImageSettings, rng: np.random.Generator) -> None:
    strength = settings.light * (1.0 + settings.light_spread * rng.uniform(-1.0, 1.0))
    azimuth = rng.uniform(-np.pi, np.pi)
    from_where = np.array([1.5 * np.cos(azimuth), 1.5 * np.sin(azimuth), 3.0])
    spec.worldbody.add_light(
        pos=from_where,
        dir=-from_where / np.linalg.norm(from_where),
        castshadow=False,
        diffuse=[0.4 * strength] * 3,
        specular=[0.1 * strength] * 3,
    )
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.5 * strength] * 3, [0.3 * strength] * 3


def _add_texture(spec: mujoco.MjSpec, name: str, picture: Image) -> None:
    texture = spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=picture.shape[1], height=picture.shape[0], nchannel=3
    )
    texture.data = np.ascontiguousarray(picture).tobytes()


def _patches(rng: np.random.Generator) -> Image:
    """Draw colored patches of several sizes (TEXTURE, TEXTURE, 3), weaker the smaller they are."""
    layers = np.zeros((TEXTURE, TEXTURE, 3))
    for i, count in enumerate(PATCHES):
        layer = rng.uniform(-1.0, 1.0, (count, count, 3))
        layers += 0.75**i * layer.repeat(TEXTURE // count, axis=0).repeat(TEXTURE // count, axis=1)
    return np.clip(128.0 + 45.0 * layers, 0.0, 255.0).astype(np.uint8)
