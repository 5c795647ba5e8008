"""The inverse of each model of a lens, against its formulas written out, OpenCV, and calibrations that are wrong."""

from types import SimpleNamespace

import numpy as np
import pytest

from mbrl_ros.vision.lens import fit_lens, read_lens
from mbrl_ros.vision.opencv import opencv
from mbrl_ros.vision.picture import ImageError
from support.needs import needs

K = [520.0, 0.0, 311.0, 0.0, 515.0, 245.0, 0.0, 0.0, 1.0]
WHOLE = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
GRID = np.stack(np.meshgrid(np.linspace(0.0, 639.0, 9), np.linspace(0.0, 479.0, 7)), axis=-1).reshape(-1, 2)
PLUMB_BOB = [-0.28, 0.09, 1.5e-3, -8e-4, -0.01]
RATIONAL = [0.9, 0.3, 4e-4, -3e-4, 0.02, 1.2, 0.5, 0.06]
EQUIDISTANT = [-0.03, 0.012, -0.004, 0.0006]


def info(model: str = "plumb_bob", d=(), **changes) -> SimpleNamespace:
    fields = {"width": 640, "height": 480, "distortion_model": model, "k": K, "d": list(d), "roi": WHOLE}
    return SimpleNamespace(**{**fields, "binning_x": 0, "binning_y": 0, **changes})


@pytest.mark.parametrize(
    "model, d", (("plumb_bob", PLUMB_BOB), ("rational_polynomial", RATIONAL), ("equidistant", EQUIDISTANT))
)
def test_undistorted_points_are_distorted_into_what_they_came_from(model, d):
    lens = read_lens(info(model, d))
    straight = lens.undistort(GRID)
    assert np.isfinite(straight).all() and np.abs(straight - GRID).max() > 3.0
    np.testing.assert_allclose(lens.distort(straight), GRID, atol=1e-5)


def test_plumb_bob_by_its_formulas():
    x, y = 0.31, -0.22
    k1, k2, p1, p2, k3 = PLUMB_BOB
    r2 = x * x + y * y
    c = 1.0 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    distorted = [x * c + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * c + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y]
    pixel = np.array([[520.0 * distorted[0] + 311.0, 515.0 * distorted[1] + 245.0]])
    straight = read_lens(info(d=PLUMB_BOB)).undistort(pixel)
    np.testing.assert_allclose(straight, [[520.0 * x + 311.0, 515.0 * y + 245.0]], atol=1e-5)


@needs("cv2")
@pytest.mark.parametrize("model, d", (("plumb_bob", PLUMB_BOB), ("rational_polynomial", RATIONAL)))
def test_points_are_distorted_as_by_opencv(model, d):
    rays = np.column_stack(((GRID - [311.0, 245.0]) / [520.0, 515.0], np.ones(len(GRID))))
    theirs = opencv().projectPoints(rays, np.zeros(3), np.zeros(3), np.reshape(K, (3, 3)), np.array(d))[0]
    np.testing.assert_allclose(read_lens(info(model, d)).distort(GRID), theirs.reshape(-1, 2), atol=1e-6)


def test_without_distortion_nothing_is_moved_and_what_is_not_seen_stays_so():
    lens = read_lens(info(d=[0.0] * 5))
    np.testing.assert_array_equal(lens.undistort(GRID), GRID)
    some = np.vstack((GRID[:2], [[np.nan, np.nan]]))
    straight = read_lens(info(d=PLUMB_BOB)).undistort(some)
    assert np.isnan(straight[2]).all() and np.isfinite(straight[:2]).all()


def test_a_pixel_that_no_ray_reaches_is_nowhere():
    lens = read_lens(info(d=[-0.5, 0.0, 0.0, 0.0, 0.0]))  # x (1 - 0.5 x^2) is at most 0.544
    there = lens.undistort(np.array([[311.0 + 0.5 * 520.0, 245.0], [311.0 + 0.6 * 520.0, 245.0]]))
    assert np.isfinite(there[0]).all() and np.isnan(there[1]).all()


def test_binning_and_region_of_interest_move_the_center_and_shorten_the_focal_length():
    part = SimpleNamespace(x_offset=100, y_offset=60, width=400, height=300)
    lens = read_lens(info(roi=part, binning_x=2, binning_y=2))
    assert (lens.width, lens.height) == (200, 150)
    np.testing.assert_allclose(lens.focal, [260.0, 257.5])
    np.testing.assert_allclose(lens.center, [(311.0 - 100.0 - 0.5) / 2.0, (245.0 - 60.0 - 0.5) / 2.0])


@pytest.mark.parametrize(
    "changes",
    (
        {"k": [0.0] * 9},
        {"k": [np.nan] * 9},
        {"d": [np.inf] * 5},
        {"d": [0.1, 0.2]},
        {"d": [0.1] * 12},
        {"distortion_model": "fov"},
        {"width": 0},
    ),
)
def test_a_calibration_that_is_none_is_refused(changes):
    with pytest.raises(ImageError) as error:
        read_lens(info(**changes))
    assert error.value.kind == "wrong camera info"


def test_a_calibration_for_other_images_is_refused():
    with pytest.raises(ImageError) as error:
        fit_lens(read_lens(info()), 320, 240)
    assert error.value.kind == "camera info of another size"
    assert fit_lens(read_lens(info()), 640, 480).width == 640
