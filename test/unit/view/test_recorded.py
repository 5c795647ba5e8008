"""Moments of a recording, and the page that shows them."""

import urllib.request

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.replay.options import ReplayOptions
from mbrl_ros.view.snapshot import CURVE_LENGTH, CURVES, Curves, values_of
from support.needs import needs, present

if present("rosbags"):
    from mbrl_ros.replay.setup import prepare
    from mbrl_ros.view.recorded import Recorded
    from support.replay_bags import START, STATE, TEXT, Messages, closed_loop, write_bag

TARGET = (0.7, 0.0, -0.3)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    messages, _ = closed_loop(3.0)
    make = Messages()
    hostile = "target accepted: <script>alert(1)</script>"
    messages.append(("/mpc_node/message", TEXT, START + 1.0, make.text(hostile)))
    messages.append(("/joint_states", STATE, START + 1.001, make.state(START + 1.001, (0.5,), names=("gripper",))))
    return write_bag(tmp_path_factory.mktemp("view") / "run", sorted(messages, key=lambda message: message[2]))


@pytest.fixture(scope="module")
def recorded(bag):
    return Recorded(prepare(ReplayOptions(bag, plan=False)))


@needs("rosbags")
def test_a_moment_holds_what_was_known_then(recorded):
    assert (recorded.begin, recorded.end) == pytest.approx((START, START + 2.98))
    early, late = recorded.at(START + 0.2), recorded.at(START + 2.5)
    assert early.target is None and late.target == pytest.approx(TARGET)
    assert early.messages == () and late.messages == ("target accepted: <script>alert(1)</script>",)
    assert set(early.positions) == {"joint1", "joint2"} and late.positions["gripper"] == 0.5  # kept beside the arm
    assert recorded.at(START - 9.0).positions == recorded.at(START).positions
    assert recorded.at(START + 99.0).stamp == pytest.approx(recorded.end)
    speed = late.curves["speed"]
    assert late.curves["time"][-1] <= START + 2.5 and late.curves["time"][0] == pytest.approx(START)
    assert set(late.curves) == {"time", *CURVES} and np.nanmax(speed) > 0.05 and len(speed) == len(late.curves["time"])


@needs("rosbags", "viser")
def test_the_page_shows_the_recording_and_escapes_what_others_say(recorded):
    from mbrl_ros.view.page import Page
    from mbrl_ros.view.panel import text_of
    from mbrl_ros.view.player import Player
    from mbrl_ros.view.shapes import read_shapes

    shot = recorded.at(START + 2.5)
    assert "<script>" not in text_of(shot) and "&lt;script&gt;" in text_of(shot)
    page = Page(read_shapes(recorded.robot.urdf), "run", port=8300)
    try:
        with urllib.request.urlopen(page.url) as answer:
            assert answer.status == 200 and b"<html" in answer.read(500)
        player = Player(page, recorded)
        player.advance(0.5)
        player.advance(1.0)
        assert player.since == pytest.approx(1.5) and page.shown.stamp == pytest.approx(START + 1.5, abs=1e-6)
        player.advance(99.0)
        assert player.since == 0.0  # again from the beginning
    finally:
        page.close()


@needs("viser")
@pytest.mark.parametrize(("options", "said"), ((["--port", "0"], "ports are 1 to 65535"), (["--bag", "gone"], "gone")))
def test_what_cannot_be_shown_is_said_in_one_line(capsys, options, said):
    assert main(["view", "--no-browser", *options]) == 2
    assert said in capsys.readouterr().err


def test_curves_keep_a_window_and_begin_anew_where_time_goes_back():
    curves = Curves(1.0 / 30.0)
    for k in range(6000):
        curves.add(0.005 * k, {"speed": float(k)})
    arrays = curves.arrays()
    assert arrays["time"][-1] - arrays["time"][0] == pytest.approx(CURVE_LENGTH, abs=0.05)
    assert len(arrays["time"]) <= 601 and np.isnan(arrays["latency"]).all() and arrays["speed"][-1] > 5900
    curves.add(1.0, {})
    assert curves.arrays()["time"].tolist() == [1.0]
    curves.add(np.nan, {})
    assert curves.arrays()["time"].tolist() == [1.0]


def test_values_of_a_moment():
    values = values_of(
        {"nis": 3.0, "nis_bound": 6.0, "latency_ms": 0.8},
        [0.1, -0.4, np.nan],
        np.ones((2, 3)),
        np.array([1.0, 1.0, 1.1]),
    )
    assert values == pytest.approx({"distance": 100.0, "speed": 0.4, "latency": 0.8, "surprise": 0.5})
    assert all(np.isnan(value) for value in values_of({}, [], None, None).values())
