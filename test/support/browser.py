"""A headless Chromium, driven by its DevTools protocol: open a page, evaluate an expression in it, click."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PATIENCE = 60.0  # [s]
NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0")


def browser() -> str | None:
    """The command of a Chromium that is installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One page in the browser."""

    def __init__(self, socket: Any):
        self._socket, self._numbers = socket, itertools.count(1)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def value(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def click(self, x: float, y: float) -> None:
        """Click at a place of the page [px]."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"{what} never came; the page says {self.value('document.body.innerText')}"
            time.sleep(0.05)


@contextlib.contextmanager
def opened(url: str, folder: Path) -> Iterator[Tab]:
    """The page at `url` in a browser of its own, whose files are in `folder`."""
    from websockets.sync.client import connect

    process = subprocess.Popen(
        [browser(), *OPTIONS, f"--user-data-dir={folder}", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        file, end = folder / "DevToolsActivePort", time.monotonic() + PATIENCE
        pages: list[dict[str, str]] = []
        while not pages:
            assert time.monotonic() < end and process.poll() is None, "the browser does not start"
            time.sleep(0.05)
            if file.is_file() and (words := file.read_text().split()):
                with urllib.request.urlopen(f"http://127.0.0.1:{words[0]}/json", timeout=PATIENCE) as answer:
                    pages = [page for page in json.load(answer) if page["url"].startswith(url)]
        with connect(pages[0]["webSocketDebuggerUrl"], open_timeout=PATIENCE, proxy=None) as socket:
            yield Tab(socket)
    finally:
        process.terminate()
        process.wait(PATIENCE)
