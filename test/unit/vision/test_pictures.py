"""Images as they come: every encoding gives the same picture, and what cannot be read is refused by its name."""

from types import SimpleNamespace

import numpy as np
import pytest

from mbrl_ros.vision.compressed import read_compressed
from mbrl_ros.vision.opencv import opencv
from mbrl_ros.vision.picture import ENCODINGS, ImageError, read_image
from support.needs import needs

pytestmark = needs("cv2")
RGB = np.zeros((6, 8, 3), np.uint8)
RGB[:3], RGB[3:] = (200, 40, 90), (20, 160, 60)
PATTERNS = {"rggb": "RGGB", "bggr": "BGGR", "gbrg": "GBRG", "grbg": "GRBG"}


def message(pixels: np.ndarray, coding: str, padding: int = 0, bigendian: int = 0, **changes) -> SimpleNamespace:
    rows = pixels.reshape(len(pixels), -1)
    data = rows.astype(rows.dtype.newbyteorder(">" if bigendian else "<")).view(np.uint8).reshape(len(rows), -1)
    data = np.hstack((data, np.full((len(rows), padding), 255, np.uint8)))
    fields = {"height": pixels.shape[0], "width": pixels.shape[1], "encoding": coding, "is_bigendian": bigendian}
    return SimpleNamespace(**{**fields, "step": data.shape[1], "data": data.tobytes(), **changes})


def mosaic(pattern: str) -> np.ndarray:
    colors = ["RGB".index(letter) for letter in pattern]
    raw = np.empty(RGB.shape[:2], np.uint8)
    for at, color in enumerate(colors):
        raw[at // 2 :: 2, at % 2 :: 2] = RGB[at // 2 :: 2, at % 2 :: 2, color]
    return raw


@pytest.mark.parametrize("padding", (0, 5))
def test_colors_come_out_of_every_order_of_channels_with_and_without_padded_rows(padding):
    full = np.dstack((RGB, np.full(RGB.shape[:2], 255, np.uint8)))
    orders = {"rgb8": RGB, "bgr8": RGB[:, :, ::-1], "8UC3": RGB[:, :, ::-1], "rgba8": full}
    orders["bgra8"] = full[:, :, [2, 1, 0, 3]]
    gray = RGB @ np.array([0.299, 0.587, 0.114])
    for encoding, pixels in orders.items():
        picture = read_image(message(np.ascontiguousarray(pixels), encoding, padding))
        np.testing.assert_array_equal(picture.rgb, RGB, err_msg=encoding)
        assert np.abs(picture.gray - gray).max() <= 1.0, encoding
    mono = read_image(message(RGB[:, :, 0], "mono8", padding))
    np.testing.assert_array_equal(mono.gray, RGB[:, :, 0])
    np.testing.assert_array_equal(mono.rgb[:, :, 2], RGB[:, :, 0])


@pytest.mark.parametrize("bigendian", (0, 1))
def test_two_bytes_a_pixel_come_in_either_order(bigendian):
    wide = RGB[:, :, 0].astype(np.uint16) * 256 + 7
    np.testing.assert_array_equal(read_image(message(wide, "mono16", 3, bigendian)).gray, RGB[:, :, 0])
    millimeters = np.array([[0, 500, 1250]] * 3, np.uint16)
    picture = read_image(message(millimeters, "16UC1", 2, bigendian), depth_range=(0.5, 1.5))
    np.testing.assert_allclose(picture.depth[1], [np.nan, 0.5, 1.25], rtol=1e-6)
    np.testing.assert_array_equal(picture.gray[1], [0, 255, 64])
    meters = np.array([[np.inf, -1.0, 0.75]] * 3, np.float32)
    depth = read_image(message(meters, "32FC1", 0, bigendian)).depth
    np.testing.assert_allclose(depth[0], [np.nan, np.nan, 0.75])
    points = np.array([[2.0, 1.0], [0.0, 1.0], [np.nan, 0.0]])
    np.testing.assert_allclose(picture.depth_at(points), [0.875, 0.5, np.nan])


@pytest.mark.parametrize("encoding, pattern", PATTERNS.items())
def test_each_bayer_pattern_gives_its_colors_back(encoding, pattern):
    picture = read_image(message(mosaic(pattern), f"bayer_{encoding}8"))
    np.testing.assert_array_equal(picture.rgb[1, 1:-1], RGB[1, 1:-1])
    wide = read_image(message(mosaic(pattern).astype(np.uint16) * 256, f"bayer_{encoding}16"))
    np.testing.assert_array_equal(wide.rgb, picture.rgb)


def test_webcams_colors_at_half_the_width_are_read():
    pixels = np.zeros((4, 4, 2), np.uint8)
    pixels[:, :, 0], pixels[:, :, 1] = 100, 128  # Y, then U or V
    np.testing.assert_array_equal(read_image(message(pixels, "yuv422_yuy2")).gray, np.full((4, 4), 100))
    np.testing.assert_array_equal(read_image(message(pixels[:, :, ::-1].copy(), "yuv422")).gray, np.full((4, 4), 100))


@pytest.mark.parametrize(
    "changes, kind",
    (
        ({"encoding": "jpeg"}, "wrong encoding"),
        ({"encoding": ""}, "wrong encoding"),
        ({"height": 0}, "zero size"),
        ({"width": 0}, "zero size"),
        ({"width": 2**31, "height": 2**31}, "too many pixels"),
        ({"step": 23}, "wrong step"),
        ({"step": 0}, "wrong step"),
        ({"data": RGB.tobytes()[:-1]}, "truncated data"),
        ({"data": b""}, "truncated data"),
        ({"height": 7}, "truncated data"),
    ),
)
def test_what_cannot_be_read_is_refused_by_its_name(changes, kind):
    with pytest.raises(ImageError) as error:
        read_image(message(RGB, "rgb8", **changes))
    assert error.value.kind == kind


def test_the_last_row_needs_no_padding():
    sent = message(RGB, "rgb8", padding=8)
    sent.data = sent.data[:-8]
    np.testing.assert_array_equal(read_image(sent).rgb, RGB)


def test_every_encoding_can_be_read_as_gray_and_as_colors():
    for encoding, kind in ENCODINGS.items():
        number = {1: np.uint8, 2: np.uint16, 4: np.float32}[kind.size]
        picture = read_image(message(np.ones((4, 4, kind.channels), number), encoding))
        assert picture.gray.shape == (4, 4) and picture.rgb.shape == (4, 4, 3), encoding
        assert picture.gray.dtype == picture.rgb.dtype == np.uint8, encoding


@pytest.mark.parametrize("kind, tolerance", (("png", 0.0), ("jpeg", 3.0)))
def test_compressed_images_are_read_and_truncated_ones_refused(kind, tolerance):
    large = np.repeat(np.repeat(RGB, 8, axis=0), 8, axis=1)
    data = opencv().imencode(f".{kind}", large[:, :, ::-1])[1].tobytes()
    picture = read_compressed(SimpleNamespace(format=kind, data=data))
    assert np.abs(picture.rgb.astype(float) - large).mean() <= tolerance
    refused = {b"": "zero size", data[:-20]: "truncated data", data[20:]: "wrong encoding", b"no": "wrong encoding"}
    for wrong, name in refused.items():
        with pytest.raises(ImageError) as error:
            read_compressed(SimpleNamespace(format=kind, data=wrong))
        assert error.value.kind == name
