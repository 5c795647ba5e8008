"""Show progress: one line that is rewritten on a terminal, elsewhere a new line every few seconds.

A thread of its own repeats the newest line while nothing new is shown, so that a long computation is never silent.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO, TypeVar

LINE_PERIOD = 5.0  # [s] between two lines that stay
BAR_REFRESH = 0.2  # [s] between two that are rewritten
T = TypeVar("T")


class Progress:
    """The progress of one task, as a context or until `close`. `show` may be called at any rate."""

    def __init__(
        self,
        label: str,
        total: float | None = None,
        unit: str = "s",
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        every: float = LINE_PERIOD,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Start to show progress.

        Parameters
        ----------
        label
            Begins every line.
        total
            What `done` of show() counts up to, in `unit`; None: unknown.
        quiet
            Show nothing.
        stream
            Where to write; None: standard error.
        every
            Time [s] between two lines where the stream is no terminal.
        """
        self._label, self._total, self._unit, self._quiet = label, total, unit, quiet
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._every, self._clock = (BAR_REFRESH if self._terminal else every), clock
        self._what = "starting"
        self._done: float | None = None
        self._begun = self._changed = clock()
        self._printed, self._written = -float("inf"), False
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="progress", daemon=True)
        if not quiet:
            self._thread.start()

    def __enter__(self) -> Progress:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def show(self, what: str, done: float | None = None) -> None:
        """Show that the task is at `what`, `done` of the total."""
        with self._lock:
            if what != self._what:
                self._changed = self._clock()
            self._what, self._done = what, done
        self._print_if_due()

    def counted(self, what: str, steps: Sequence[T]) -> Iterator[T]:
        """Yield the steps and show how many are done."""
        for number, step in enumerate(steps):
            self.show(f"{what}, step {number}/{len(steps)}")
            yield step

    def note(self, text: str) -> None:
        """Write a line that stays, at once."""
        with self._lock:
            if not self._quiet:
                self._write(f"{self._blank()}{text}\n")
            self._written = False

    def close(self) -> None:
        """End the thread and the line."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            if self._written and self._terminal:
                self._write("\n")
            self._written = False

    def line(self) -> str:
        """Return the present line."""
        now = self._clock()
        if self._done is None:
            return f"{self._label}: {self._what}, {now - self._changed:.0f} s"
        total = "" if self._total is None else f"/{self._total:.0f}"
        return f"{self._label}: {self._what}, {self._done:.1f}{total} {self._unit} [{now - self._begun:.0f} s elapsed]"

    def _repeat(self) -> None:
        while not self._closed.wait(BAR_REFRESH):
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
        except (OSError, ValueError):  # the stream was closed: the work goes on
            self._quiet = True
