"""Every method on images with known truth: within a fraction of a pixel, and what is not seen is not invented."""

import numpy as np
import pytest

from mbrl_ros.config import registry
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.vision import color_blob, finder, klt, onnx_keypoints, template
from mbrl_ros.vision.base import half_widths
from mbrl_ros.vision.opencv import opencv
from mbrl_ros.vision.picture import Picture
from support.needs import needs
from support.onnx_file import write_convolutions
from support.pictures import discs, moved, texture, turned

pytestmark = needs("cv2")
RED, GREEN, BLUE = (230, 30, 30), (30, 200, 40), (30, 60, 220)
GRAY = np.full((480, 640), 120, np.uint8)


def mono(image) -> Picture:
    return Picture(image, "mono8")


def made(tmp_path, name: str):
    """(method, an image in which it finds all its points)."""
    image = texture()
    if name == "template":
        return template.build(template.Settings(regions=(300, 200, 40, 40))), mono(image)
    if name == "color_blob":
        return color_blob.build(color_blob.Settings()), Picture(discs([(100.0, 100.0)], [RED]), "rgb8")
    if name == "onnx_keypoints":
        write_convolutions(tmp_path / "net.onnx", [(np.ones((2, 1, 5, 5)), 1)], (64, 48))
        return onnx_keypoints.build(onnx_keypoints.Settings(file=str(tmp_path / "net.onnx"), spread=9.0)), mono(image)
    if name == "klt":
        return klt.build(klt.Settings()), mono(image)
    return finder.load_method(name), mono(GRAY)


@pytest.mark.parametrize("name", registry.names("vision"))
def test_every_method_keeps_its_points_and_says_where_it_sees_none(tmp_path, name):
    if name == "onnx_keypoints":
        pytest.importorskip("onnxruntime")
    method, picture = made(tmp_path, name)
    first, second = method.detect(picture), method.detect(picture)
    empty = method.detect(mono(GRAY))
    small = method.detect(mono(GRAY[:20, :20]))  # of another size without a word: no exception, no point
    method.reset()
    again = method.detect(picture)
    for found in (first, second, empty, small, again):
        n = len(first.ids)
        assert found.points.shape == (n, 2) and found.confidence.shape == (n,) and found.ids.dtype == np.int32
        np.testing.assert_array_equal(found.ids, first.ids)
        assert ((found.confidence >= 0.0) & (found.confidence <= 1.0)).all()
        assert np.isfinite(found.points[found.confidence > 0.0]).all()
    np.testing.assert_allclose(again.points, first.points)
    if name not in ("aruco", "onnx_keypoints"):
        assert first.confidence.min() > 0.9 and not empty.confidence.any() and not small.confidence.any()


def test_colored_areas_by_hue_whatever_their_order():
    centers = [(100.4, 90.7), (320.2, 240.9), (500.6, 300.3)]
    method = color_blob.build(color_blob.Settings(hues=(240.0, 0.0, 120.0)))
    found = method.detect(Picture(discs(centers, (RED, GREEN, BLUE)), "rgb8"))
    assert np.abs(found.points - np.array(centers)[[2, 0, 1]]).max() < 0.15
    np.testing.assert_array_equal(found.confidence, 1.0)
    swapped = Picture(np.ascontiguousarray(discs(centers, (RED, GREEN, BLUE))[:, :, ::-1]), "bgr8")
    np.testing.assert_allclose(method.detect(swapped).points, found.points)


def test_a_color_twice_or_cut_off_is_ambiguous_and_one_that_is_too_small_is_not_seen():
    method = color_blob.build(color_blob.Settings())
    twice = method.detect(Picture(discs([(100.0, 90.0), (400.0, 90.0)], [RED, RED]), "rgb8"))
    assert twice.confidence[0] < 0.1
    cut = method.detect(Picture(discs([(5.0, 90.0)], [RED]), "rgb8"))
    assert 0.0 < cut.confidence[0] < 0.5
    assert not method.detect(Picture(discs([(90.0, 90.0)], [RED], radius=2.0), "rgb8")).confidence.any()
    assert not method.detect(mono(GRAY)).confidence.any()


def test_corners_are_followed_without_drift_and_found_again_after_an_occlusion():
    image, method = texture(), klt.build(klt.Settings(points=6, region=(200, 120, 240, 240)))
    origin = method.detect(mono(image)).points
    assert ((origin >= [200, 120]) & (origin < [440, 360])).all()
    for k in range(1, 25):
        motion = turned(0.3 * k, (2.5 * k, -1.3 * k))
        found = method.detect(mono(moved(image, motion)))
        truth = origin @ motion[:, :2].T + motion[:, 2]
        assert np.abs(found.points - truth).max() < 0.1, k
        assert (found.confidence > 0.8).all()
    hidden = moved(image, motion)
    x, y = np.rint(truth[0]).astype(int)
    hidden[y - 14 : y + 15, x - 14 : x + 15] = 0
    lost = method.detect(mono(hidden))
    assert lost.confidence[0] == 0.0 and np.isnan(lost.points[0]).all()
    for k in range(25, 28):  # the arm goes on while the corner is hidden
        motion = turned(0.3 * k, (2.5 * k, -1.3 * k))
        method.detect(mono(np.where(hidden == 0, 0, moved(image, motion)).astype(np.uint8)))
    truth = origin @ motion[:, :2].T + motion[:, 2]
    found = method.detect(mono(moved(image, motion)))
    assert found.confidence[0] > 0.5 and np.abs(found.points[0] - truth[0]).max() < 0.3


def test_a_picture_is_found_within_a_tenth_of_a_pixel_near_by_and_anywhere(tmp_path):
    image = texture(seed=1)
    file = tmp_path / "part.png"
    opencv().imwrite(str(file), image[100:141, 50:111])
    method = template.build(template.Settings(files=(str(file),), regions=(300, 200, 40, 50)))
    truth = np.array([[80.0, 120.0], [319.5, 224.5]])
    np.testing.assert_allclose(method.detect(mono(image)).points, truth, atol=0.02)
    for shift in ((3.3, -4.6), (6.25, -8.5), (150.4, 100.7)):  # the last one is beyond the search
        found = method.detect(mono(moved(image, turned(0.0, shift))))
        assert np.abs(found.points - truth - shift).max() < 0.1 and (found.confidence > 0.9).all()
    hidden = image.copy()
    hidden[90:150, 40:120] = 120
    found = method.detect(mono(hidden))
    assert found.confidence[0] == 0.0 and found.confidence[1] > 0.9


def test_soft_argmax_is_the_mean_of_the_map_and_its_spread():
    maps = np.full((2, 30, 40), -50.0, np.float32)
    maps[0, 6, 10] = maps[0, 6, 12] = 0.0  # two cells, two apart
    maps[1] = 3.0  # nothing in particular
    points, spread = onnx_keypoints.soft_argmax(maps, 0.75)
    np.testing.assert_allclose(points[0], [(2 * 11 + 1) / 40 - 1, 0.75 * ((2 * 6 + 1) / 30 - 1)], atol=1e-9)
    np.testing.assert_allclose(points[1], 0.0, atol=1e-9)
    np.testing.assert_allclose(spread, [2.0 / 40, np.sqrt((1 - 40**-2) / 3 + 0.75**2 * (1 - 30**-2) / 3)], atol=1e-9)
    sharp, _ = onnx_keypoints.soft_argmax(np.array([[[1.0, 0.9, 0.0]]], np.float32), 1.0, temperature=1e-3)
    np.testing.assert_allclose(sharp[0], [-2.0 / 3.0, 0.0], atol=1e-9)


@needs("onnxruntime")
def test_a_network_finds_what_its_filter_looks_for_in_images_of_any_size(tmp_path):
    spot = np.exp(-0.5 * (np.add.outer(np.arange(-7, 8) ** 2, np.arange(-7, 8) ** 2)) / 3.0**2)
    filters = np.stack([spot - spot.mean(), spot.mean() - spot])[:, None]  # bright spots, dark spots
    file = tmp_path / "spots.onnx"
    write_convolutions(file, [(filters, 1)], (160, 120))
    method = finder.load_method(
        "onnx_keypoints", onnx_keypoints.Settings(file=str(file), temperature=0.3, mean=(120.0 / 255.0,))
    )
    image = GRAY.astype(float)
    y, x = np.mgrid[:480, :640]
    for (cx, cy), height in (((200.0, 150.5), 120.0), ((430.4, 330.2), -110.0)):
        image += height * np.exp(-0.5 * ((x - cx) ** 2 + (y - cy) ** 2) / 12.0**2)
    found = finder.find(method, mono(np.rint(image).astype(np.uint8)))
    truth = half_widths(np.array([[200.0, 150.5], [430.4, 330.2]]), 640, 480)
    assert np.abs(found.points - truth).max() < 0.01 and (found.confidence > 0.8).all()
    assert (finder.find(method, mono(GRAY)).confidence < 0.2).all()


@needs("onnxruntime")
def test_files_that_are_no_such_network_are_refused_in_one_line(tmp_path):
    file = tmp_path / "net.onnx"
    refused = {"no file": None, "net.onnx": b"nonsense"}
    for words, content in refused.items():
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(ConfigurationError, match=words):
            onnx_keypoints.build(onnx_keypoints.Settings(file=str(file)))
    write_convolutions(file, [(np.ones((1, 2, 3, 3)), 1)], (8, 8))
    with pytest.raises(ConfigurationError, match="1 or 3"):
        onnx_keypoints.build(onnx_keypoints.Settings(file=str(file)))
    write_convolutions(file, [(np.ones((1, 1, 3, 3)), 1)], (8, 8))
    with pytest.raises(ConfigurationError, match="mean"):
        onnx_keypoints.build(onnx_keypoints.Settings(file=str(file), mean=(0.1, 0.2)))


@pytest.mark.parametrize(
    "build, settings, words",
    (
        (template.build, lambda: template.Settings(), "needs vision.template.files"),
        (template.build, lambda: template.Settings(files=("/no/such.png",)), "/no/such.png"),
        (template.build, lambda: template.Settings(regions=(1.0, 2.0)), "four numbers"),
        (klt.build, lambda: klt.Settings(region=(1.0,)), "left, top"),
        (color_blob.build, lambda: color_blob.Settings(hues=(1.0, 1.0)), "differ"),
    ),
)
def test_settings_that_make_no_sense_are_refused(build, settings, words):
    with pytest.raises(ConfigurationError, match=words):
        build(settings())


def test_points_are_moved_together_to_where_a_click_was_if_all_are_seen():
    points, ids = np.array([[0.1, 0.2], [0.3, 0.0]]), np.arange(2, dtype=np.int32)
    moved_points = finder.moved_to(finder.ImagePoints(points, points, np.array([1.0, 0.7]), ids), np.array([0.5, -0.1]))
    np.testing.assert_allclose(moved_points.points, [[0.4, 0.0], [0.6, -0.2]])
    for confidence, place in (([1.0, 0.0], [0.0, 0.0]), ([1.0, 1.0], [np.nan, 0.0])):
        found = finder.ImagePoints(points, points, np.array(confidence), ids)
        assert finder.moved_to(found, np.array(place)) is None
