"""Markers drawn where they are known to be: corners and centers within a fraction of a pixel."""

import numpy as np
import pytest

from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.vision import finder
from mbrl_ros.vision.aruco import Settings, center_of
from mbrl_ros.vision.base import half_widths, pixels
from mbrl_ros.vision.opencv import opencv
from mbrl_ros.vision.picture import Picture
from support.needs import needs
from support.pictures import CELL, drawn_marker, marker_view

pytestmark = needs("cv2")
QUAD = np.array([[210.3, 120.7], [330.9, 141.2], [318.4, 262.8], [196.1, 236.5]])


@pytest.mark.parametrize("dictionary", ("4X4_50", "APRILTAG_36h11"))
def test_corners_and_center_of_a_marker_seen_at_an_angle(dictionary):
    picture = Picture(marker_view({3: QUAD}, dictionary), "mono8")
    corners = finder.load_method("aruco", Settings(dictionary=dictionary, ids=(3,))).detect(picture)
    assert np.abs(corners.points - QUAD).max() < 0.25
    np.testing.assert_array_equal(corners.ids, [12, 13, 14, 15])
    np.testing.assert_array_equal(corners.confidence, 1.0)
    center = finder.load_method("aruco", Settings(dictionary=dictionary, ids=(3,), corners=False)).detect(picture)
    assert np.abs(center.points[0] - center_of(QUAD)).max() < 0.15
    np.testing.assert_array_equal(center.ids, [3])


def test_points_keep_their_order_whatever_is_seen():
    other = QUAD + np.array([200.0, 100.0])
    method = finder.load_method("aruco", Settings(ids=(7, 3, 5)))
    found = method.detect(Picture(marker_view({3: QUAD, 5: other, 9: QUAD + [-150.0, -90.0]}), "mono8"))
    np.testing.assert_array_equal(found.confidence, np.repeat([0.0, 1.0, 1.0], 4))
    assert np.isnan(found.points[:4]).all()
    assert np.abs(found.points[4:] - np.vstack((QUAD, other))).max() < 0.25
    empty = method.detect(Picture(np.full((60, 80), 128, np.uint8), "mono8"))
    assert not empty.confidence.any() and len(empty.points) == 12


def test_a_marker_seen_twice_is_ambiguous_and_the_nearer_one_is_taken():
    method = finder.load_method("aruco", Settings())
    method.detect(Picture(marker_view({0: QUAD}), "mono8"))
    twice = marker_view({0: QUAD + 5.0})
    small = drawn_marker(0)
    twice[20 : 20 + len(small), 450 : 450 + len(small)] = small
    found = method.detect(Picture(twice, "mono8"))
    assert np.abs(found.points - QUAD - 5.0).max() < 0.25 and (found.confidence < 0.5).all()


def test_a_small_marker_is_less_sure():
    image = np.full((480, 640), 255, np.uint8)
    image[100:124, 100:124] = opencv().resize(drawn_marker(0)[CELL:-CELL, CELL:-CELL], (24, 24), interpolation=3)
    found = finder.load_method("aruco", Settings(full_size=40.0)).detect(Picture(image, "mono8"))
    assert 0.4 < found.confidence[0] < 0.7


@pytest.mark.parametrize("ids", ((50,), (1, 1), (0.5,)))
def test_markers_that_are_not_there_or_named_twice_are_refused(ids):
    with pytest.raises(ConfigurationError, match="ids|whole numbers"):
        finder.load_method("aruco", Settings(ids=ids))


def test_half_widths_span_the_image():
    edges = np.array([[-0.5, 239.5], [639.5, 239.5], [319.5, -0.5]])
    np.testing.assert_allclose(half_widths(edges, 640, 480), [[-1.0, 0.0], [1.0, 0.0], [0.0, -0.75]])
    np.testing.assert_allclose(pixels(half_widths(edges, 640, 480), 640, 480), edges)
