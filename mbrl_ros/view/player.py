"""Look at a recording: a slider over its time, and a button that plays it."""

from __future__ import annotations

import threading
import time

from .page import Page
from .recorded import Recorded

DRAWN_EVERY = 1.0 / 30.0  # [s]
LEAST_PLAYED, MOST_PLAYED = 0.1, 4.0  # times real time


class Player:
    """Shows `recorded` on `page`; it plays from the beginning, and again after its end.

    `since` [s] is the moment that is shown, counted from the first state.
    """

    def __init__(self, page: Page, recorded: Recorded):
        self._page, self._recorded = page, recorded
        gui = page.server.gui
        length = max(recorded.end - recorded.begin, DRAWN_EVERY)
        with gui.add_folder(recorded.title, order=-1.0):
            self._slider = gui.add_slider("time [s]", 0.0, round(length, 2), 0.01, 0.0)
            self._playing = gui.add_checkbox("play", True)
            self._speed = gui.add_slider("speed", LEAST_PLAYED, MOST_PLAYED, 0.05, 1.0)
        self._length, self.since = round(length, 2), -1.0

    def run(self, end: threading.Event) -> None:
        """Draw until `end` is set."""
        before = time.monotonic()
        while not end.wait(DRAWN_EVERY):
            now = time.monotonic()
            self.advance(now - before)
            before = now

    def advance(self, elapsed: float) -> None:
        """Let `elapsed` [s] of real time pass, and draw what has changed."""
        if self._playing.value:
            at = float(self._slider.value) + elapsed * float(self._speed.value)
            self._slider.value = 0.0 if at > self._length else round(at, 3)
        since = float(self._slider.value)
        if since != self.since:
            self.since = since
            self._page.show(self._recorded.at(self._recorded.begin + since), at=time.monotonic())
