"""The page that takes clicks: what it serves, and that only its own clicks count."""

import json
import re
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest

from mbrl_ros.view.click_page import ClickPage
from mbrl_ros.vision.opencv import opencv
from support.browser import opened
from support.needs import needs


def ask(url: str, body=None, **headers) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10.0) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture
def page():
    clicks = []

    def clicked(x: float, y: float) -> tuple[bool, str]:
        clicks.append((x, y))
        return x < 0.9, "said"

    page = ClickPage("arm <1>", clicked, "127.0.0.1", 8700)
    page.clicks = clicks
    yield page
    page.close()


def token_of(page) -> str:
    code, text = ask(page.url + "/")
    assert code == 200 and b"arm &lt;1&gt;" in text
    return re.search(rb'token = "([^"]+)"', text)[1].decode()


def test_clicks_of_the_page_are_taken_and_those_of_others_are_not(page):
    token = token_of(page)
    click = json.dumps({"x": 0.25, "y": 0.5}).encode()
    assert ask(page.url + "/click", click, **{"X-Token": token}) == (200, b"said")
    assert ask(page.url + "/click", json.dumps({"x": 1.0, "y": 0}).encode(), **{"X-Token": token}) == (409, b"said")
    assert page.clicks == [(0.25, 0.5), (1.0, 0.0)]
    assert ask(page.url + "/click", click)[0] == 403
    assert ask(page.url + "/click", click, **{"X-Token": "guessed"})[0] == 403
    assert ask(page.url + "/click", click, **{"X-Token": token, "Host": "elsewhere.example:80"})[0] == 403
    assert ask(page.url + "/", Host="elsewhere.example:80")[0] == 403
    for wrong in (b"", b"{", b"[]", b'{"x": 0.5}', b'{"x": NaN, "y": 0}', b'{"x": 2, "y": 0}', b"x" * 2000):
        assert ask(page.url + "/click", wrong, **{"X-Token": token})[0] == 400, wrong
    assert len(page.clicks) == 2


def test_the_newest_image_and_the_state_are_shown(page):
    page.state = "moving"
    assert ask(page.url + "/state") == (200, b"moving")
    assert ask(page.url + "/nothing")[0] == 404
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(ask(page.url + "/image.jpg?1")))
    assert not page.wanted
    waiting.start()
    while not page.wanted:
        pass
    page.show(b"picture")
    waiting.join(10.0)
    assert answers == [(200, b"picture")] and not page.wanted


def test_a_port_in_use_is_passed_over(page):
    second = ClickPage("another", lambda x, y: (True, ""), "127.0.0.1", int(page.url.rpartition(":")[2]))
    assert second.url != page.url and token_of(page)
    second.close()


@needs("a browser", "cv2", "websockets")
def test_in_a_browser_the_image_is_shown_and_a_click_comes_from_where_it_was(page, tmp_path):
    page.state = "moving"
    picture = opencv().imencode(".jpg", np.full((240, 320, 3), 128, np.uint8))[1].tobytes()
    with opened(page.url, tmp_path) as tab:

        def shown() -> bool:
            page.show(picture)
            return tab.value("image.naturalWidth") == 320 and tab.value("image.complete")

        tab.until(shown, "the image")
        at = {side: tab.value(f"image.getBoundingClientRect().{side}") for side in ("left", "top", "width", "height")}
        assert (at["width"], at["height"]) == (320, 240)
        tab.click(at["left"] + 80.0, at["top"] + 180.0)
        tab.until(lambda: page.clicks != [], "the click")
        np.testing.assert_allclose(page.clicks, [(0.25, 0.75)], atol=1.0 / 240)
        tab.until(lambda: tab.value("document.getElementById('answer').textContent") == "said", "the answer")
        tab.until(lambda: tab.value("document.getElementById('state').textContent") == "moving", "the state")
