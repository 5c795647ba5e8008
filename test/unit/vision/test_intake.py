"""One camera on a topic, what is missing in its stream, and what is said where OpenCV is missing or too old."""

import sys
from types import SimpleNamespace

import pytest

from mbrl_ros.config import registry
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.vision import opencv
from mbrl_ros.vision.intake import FrameRate, OneCamera, Refusals
from mbrl_ros.vision.picture import ImageError


def kind_of(call) -> str:
    with pytest.raises(ImageError) as error:
        call()
    return error.value.kind


def test_another_camera_is_taken_up_only_after_the_first_has_been_silent():
    camera = OneCamera()
    assert camera.size is None and not camera.admit("left", 640, 480, 0.0)
    for k in range(1, 40):  # two cameras, taking turns for 2 s
        assert not camera.admit("left", 640, 480, 0.05 * k)
        assert kind_of(lambda: camera.admit("right", 640, 480, 0.05 * k + 0.02)) == "frame_id changed"
        assert kind_of(lambda: camera.admit("left", 320, 240, 0.05 * k + 0.03)) == "size changed"
    assert camera.admit("right", 320, 240, 0.05 * 39 + 1.1), "a new stream begins"
    assert camera.size == (320, 240) and not camera.admit("right", 320, 240, 3.1)
    camera.publishers = ("/one", "/two")
    assert kind_of(lambda: camera.admit("right", 320, 240, 3.2)) == "two publishers"


def test_missing_images_are_counted_by_the_stamps_and_pauses_are_none():
    rate = FrameRate()
    for k in [*range(10), 12, 13, 16, 100]:
        rate.add(5.0 + k / 30.0)
    assert rate.rate == pytest.approx(30.0) and rate.lost == 4
    rate.restart()
    rate.add(0.0)
    assert rate.lost == 4 and not rate.rate > 0.0


def test_refusals_tell_the_first_of_each_kind():
    refused = Refusals()
    assert [refused.add("a", "1"), refused.add("a", "2"), refused.add("b", "3")] == [True, False, True]
    assert refused.counts == {"a": 2, "b": 1} and refused.details == {"a": "2", "b": "3"}


@pytest.mark.parametrize(
    "found, words", ((None, "need OpenCV"), (SimpleNamespace(__version__="4.6.0"), "4.7 or later"))
)
@pytest.mark.parametrize("name", [name for name in registry.names("vision") if name != "template"])
def test_without_opencv_a_method_says_what_to_install_and_its_settings_are_there(monkeypatch, name, found, words):
    monkeypatch.setitem(sys.modules, "cv2", found)
    opencv.opencv.cache_clear()
    try:
        settings = registry.settings_types("vision")[name]()
        with pytest.raises(ConfigurationError, match=words) as error:
            registry.load("vision", name).build(settings)
        assert "pip install 'mbrl_ros[vision]'" in str(error.value)
    finally:
        opencv.opencv.cache_clear()
