"""Rendered images: the marker is where the projection says, hidden when told, and images repeat; without OpenCV."""

import numpy as np
import pytest

from mbrl_ros.config.sections.images import ImageSettings
from mbrl_ros.config.sections.simulation import CameraSettings, PlantSettings
from mbrl_ros.exceptions import MbrlError
from mbrl_ros.simulation import marker
from mbrl_ros.simulation.camera import CameraPose, project
from support.needs import needs, present
from support.robots import planar_robot

pytestmark = needs("mujoco")
if present("mujoco"):
    from mbrl_ros.simulation.picture_process import PictureProcess
    from mbrl_ros.simulation.pictures import Exposure, Pictures
    from mbrl_ros.simulation.plant import Plant

Q = np.array([0.4, 0.3])
CAMERA = CameraSettings(width=160, height=120)
# The tip's x axis goes on along the arm: the marker's z axis is turned onto it, then its y axis up.
IMAGE = ImageSettings(
    marker=5,
    marker_size=0.2,
    marker_body="tip",
    marker_offset=(0.05, 0.0, 0.0),
    marker_rotation=(np.pi / 2, 0.0, np.pi / 2),
    pixel_noise=2.0,
    seed=3,
)


def opened(image):
    """A plant, and its pictures; skips where nothing can be drawn."""
    robot = planar_robot()
    settings = PlantSettings(initial_position=tuple(Q), initial_noise=0.0)
    try:
        return Plant(settings, robot), Pictures(robot, settings, CAMERA, image)
    except RuntimeError as error:
        pytest.skip(f"no picture can be drawn here: {error}")


@pytest.fixture(scope="module")
def scene():
    """A plant, its pictures, and an exposure by a camera in front of the marker and beside its normal."""
    plant, pictures = opened(IMAGE)
    position, turn = plant.frame("tip")
    center = position + turn @ IMAGE.marker_offset
    pose = CameraPose.look_at(center + turn @ [0.9, 0.35, 0.2], center + [0.0, 0.05, 0.03], roll=0.2)
    with pictures:
        yield plant, pictures, Exposure(0, 1.0, Q, pose, center)


def cells(plant, exposure, image):
    """The brightness (8, 8) of the image where the centers of the marker's cells and of its margin are."""
    turn, center = plant.frame("tip")[1], exposure.marker
    right, up = turn @ [0.0, 1.0, 0.0], turn @ [0.0, 0.0, 1.0]
    at = (np.arange(8) - 3.5) * IMAGE.marker_size / 6
    points = np.array([center + x * right - y * up for y in at for x in at])
    uv, visible = project(points, exposure.pose, CAMERA)
    assert visible.all()
    x, y = np.rint(uv * 80 + [79.5, 59.5]).astype(int).T
    return image[y, x].mean(axis=1).reshape(8, 8)


def test_the_marker_is_where_the_projection_says_and_images_repeat(scene):
    plant, pictures, exposure = scene
    image, again = pictures(exposure), pictures(exposure)
    assert image.shape == (120, 160, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image, again)
    wanted = np.ones((8, 8), dtype=bool)
    wanted[1:7, 1:7] = False
    wanted[2:6, 2:6] = marker.bits(5)
    bright = cells(plant, exposure, image)
    assert bright[wanted].min() > 1.5 * bright[~wanted].max()


def test_light_background_and_noise_are_drawn_by_the_seed_and_the_marker_can_be_hidden(scene):
    plant, pictures, exposure = scene
    image = pictures(exposure)
    hidden = pictures(Exposure(0, 1.0, Q, exposure.pose, exposure.marker, hidden=True))
    later = pictures(Exposure(1, 1.0, Q, exposure.pose, exposure.marker))
    assert np.ptp(cells(plant, exposure, hidden)) < 20.0  # one plain plate
    noise = (later.astype(float) - image)[30:90, 40:120].ravel() / np.sqrt(2.0)
    assert 1.5 < noise.std() < 2.5 and abs(noise.mean()) < 0.2
    with opened(IMAGE.replace(seed=4))[1] as other:
        difference = np.abs(other(exposure).astype(float) - image).mean(axis=2)
    assert np.median(difference) > 10.0


def test_a_marker_s_picture_has_a_white_margin_and_a_black_border():
    picture = marker.picture(0, cell=2)
    assert picture.shape == (16, 16) and (picture[:2] == 255).all() and (picture[2:4, 2:-2] == 0).all()
    assert [int(row @ [8, 4, 2, 1]) for row in marker.bits(0)] == [0xB, 0x5, 0x3, 0x2]


def test_a_process_takes_the_same_images_and_says_in_one_line_why_it_cannot(scene, monkeypatch):
    plant, pictures, exposure = scene
    with PictureProcess(plant.robot, plant.settings, CAMERA, IMAGE) as process:
        process.request(exposure)
        np.testing.assert_array_equal(process.image(60.0), pictures(exposure))
    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setenv("MUJOCO_EGL_DEVICE_ID", "none")
    with pytest.raises(MbrlError, match=r"^no images: [^\n]*apt-get install[^\n]*$"):
        PictureProcess(plant.robot, plant.settings, CAMERA, IMAGE)


def test_the_carrier_takes_the_camera_along(scene):
    plant = scene[0]
    here, turn = plant.frame("tip")
    ahead = CameraPose(np.array([0.1, 0.0, 0.0]), np.eye(3)).seen_from(here, turn)
    np.testing.assert_allclose(ahead.position, here + 0.1 * turn[:, 0])
    np.testing.assert_allclose(here, plant.truth.tip, atol=1e-9)
