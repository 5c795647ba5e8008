"""How far something has come: one line rewritten on a terminal, elsewhere a line every few seconds.

A thread of its own repeats the newest line while nothing new is said, so that a long computation is never silent.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sized
from typing import TextIO

EVERY = 5.0  # [s] between two lines where they stay
REFRESH = 0.2  # [s] between two where they are rewritten


class Progress:
    """`show` may be called at any rate; `note` is a line that stays. A context, or `close` at the end."""

    def __init__(
        self,
        label: str,
        total: float | None = None,
        unit: str = "s",
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._label, self._total, self._unit, self._quiet = label, total, unit, quiet
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._every, self._clock = (REFRESH if self._terminal else every), clock
        self._what, self._done = "starting", None
        self._begun = self._changed = clock()
        self._printed, self._written = -float("inf"), False
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="progress", daemon=True)
        if not quiet:
            self._thread.start()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, what: str, done: float | None = None) -> None:
        """Now at `what`, `done` of the total."""
        with self._lock:
            if what != self._what:
                self._changed = self._clock()
            self._what, self._done = what, done
        self._print_if_due()

    def counted(self, what: str, steps: Sized) -> Iterator:
        """The steps themselves; how far they are is shown."""
        for number, step in enumerate(steps):
            self.show(f"{what}, step {number}/{len(steps)}")
            yield step

    def note(self, text: str) -> None:
        """A line of its own, at once."""
        with self._lock:
            if not self._quiet:
                self._write(f"{self._blank()}{text}\n")
            self._written = False

    def close(self) -> None:
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            if self._written and self._terminal:
                self._write("\n")
            self._written = False

    def line(self) -> str:
        """What is said now."""
        now = self._clock()
        if self._done is None:
            return f"{self._label}: {self._what}, {now - self._changed:.0f} s"
        total = "" if self._total is None else f"/{self._total:.0f}"
        return f"{self._label}: {self._what}, {self._done:.1f}{total} {self._unit} [{now - self._begun:.0f} s elapsed]"

    def _repeat(self) -> None:
        while not self._closed.wait(REFRESH):
            self._print_if_due()

    def _print_if_due(self) -> None:
        with self._lock:
            now = self._clock()
            if self._quiet or self._closed.is_set() or now - self._printed < self._every:
                return
            self._printed, self._written = now, True
            self._write(f"{self._blank()}{self.line()}" if self._terminal else f"{self.line()}\n")

    def _blank(self) -> str:
        return "\r\033[K" if self._terminal else ""

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads any more: the work goes on
            self._quiet = True
