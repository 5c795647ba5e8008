"""The panel of the page: what is shown of joints, image points, times and trust; texts of others are escaped."""

import math
import re

import numpy as np
import pytest

from mbrl_ros.view.panel import LANE_HEIGHT, LANE_WIDTH, MARK_INSIDE, MARK_NEAR, MARK_OUTSIDE, text_of
from mbrl_ros.view.snapshot import Snapshot
from mbrl_ros.view.terminal import Limits


def bars(text: str) -> list[tuple[float, str]]:
    """(share, color) of every bar."""
    found = re.findall(r"left: (\d+)px; width: \d+px; height: \d+px; background: (#\w+)", text)
    return [(int(left) / (LANE_WIDTH - LANE_HEIGHT), color) for left, color in found]


@pytest.mark.parametrize(
    ("position", "speed", "expected"),
    (
        (0.0, 0.0, [(0.5, MARK_INSIDE), (0.5, MARK_INSIDE)]),
        (0.96, -1.9, [(0.98, MARK_NEAR), (0.025, MARK_NEAR)]),
        (1.2, 2.2, [(1.0, MARK_OUTSIDE), (1.0, MARK_OUTSIDE)]),
        (0.5, math.nan, [(0.75, MARK_INSIDE)]),
    ),
)
def test_a_joint_is_shown_between_its_stops_and_against_its_speed_limit(position, speed, expected):
    limits = {"a<b": Limits(-1.0, 1.0, 2.0), "wheel": Limits(-math.inf, math.inf, math.nan), "unknown": Limits(0, 1, 1)}
    shot = Snapshot(positions={"a<b": position, "wheel": 3.0}, speeds={"a<b": speed, "wheel": 1.0})
    text = text_of(shot, limits)
    assert "a&lt;b" in text and "a<b" not in text and "unknown" not in text  # of what nothing has come nothing is shown
    found = bars(text)
    assert [color for _, color in found] == [color for _, color in expected]
    assert [share for share, _ in found] == pytest.approx([share for share, _ in expected], abs=0.01)


def test_image_points_are_inside_the_image_and_those_not_seen_are_left_out():
    text = text_of(
        Snapshot(points=np.array([[0.0, 0.0], [np.nan, 0.1], [9.0, -9.0]]), wanted_points=np.array([[0.5, 0.25]]))
    )
    dots = [tuple(map(float, at)) for at in re.findall(r"cx='([\d.]+)' cy='([\d.]+)'", text)]
    assert dots == [(100.0, 75.0), (200.0, 0.0)]
    assert "M145.0 100.0h10M150.0 95.0v10" in text
    assert "<svg" not in text_of(Snapshot())


def test_times_trust_events_and_messages():
    latency = np.array([1.0] * 98 + [9.0, np.nan])
    status = {"tick": 7.0, "missed": 2.0, "latency_ms": 1.25, "period_ms": 5.0, "rejected": 3.0}
    shot = Snapshot(
        1.0, status=status, curves={"latency": latency}, trust=0.875, events=("e1", "<e2>"), messages=("m1",)
    )
    text = text_of(shot)
    assert "1.25 ms, p50 1.00, p99 1." in text and "7, 2 missed" in text and "0.88" in text
    assert text.index("&lt;e2&gt;") < text.index("e1") < text.index("m1")  # the newest first
    assert "trust" not in text_of(Snapshot())
