"""The page beside the demo: it is announced once it is there, and a run does not depend on it."""

import os
import time
import urllib.request

import pytest

from mbrl_ros.demo.dds_domain import private_domain
from mbrl_ros.demo.viewer import Viewer
from support.needs import needs
from support.robots import planar_arm

PATIENCE = 120.0  # [s]


def news_of(viewer: Viewer) -> str:
    end = time.monotonic() + PATIENCE
    while not (said := viewer.news()):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert viewer.news() == ""  # once
    return said


@pytest.mark.slow
@needs("rclpy", "viser")
def test_the_address_is_told_once_the_page_is_there_also_beside_another(tmp_path):
    addresses = []
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with Viewer(planar_arm(2), private_domain(None), folders[0]) as first:
        addresses.append(news_of(first).split()[2])
        with Viewer(planar_arm(2), private_domain(None), folders[1]) as second:
            addresses.append(news_of(second).split()[2])
            for address in addresses:
                with urllib.request.urlopen(address) as answer:
                    assert answer.status == 200
    assert len(set(addresses)) == 2
    with pytest.raises(OSError):
        urllib.request.urlopen(addresses[0])  # it ended with the context


@needs("rclpy")
def test_a_page_that_cannot_be_shown_is_one_line_with_the_reason(tmp_path):
    with Viewer("/no/such.urdf", {**os.environ, "ROS_DOMAIN_ID": "1"}, tmp_path) as viewer:
        said = news_of(viewer)
    assert said.startswith("no page in the browser: ") and "\n" not in said and ("such.urdf" in said or "viser" in said)
