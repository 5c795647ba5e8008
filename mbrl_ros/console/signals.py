"""Signals that end a command in order: what it has opened is closed, and its exit code tells which signal it was.

The first SIGINT raises KeyboardInterrupt, the first SIGTERM or SIGHUP raises Ended, both where the main thread is.
Further signals only mean impatience: code that waits for something to end in order asks `hurried` and then kills it.
A signal that is ignored when the command starts (nohup, a background job of a shell) stays ignored.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_received: list[int] = []


class Ended(SystemExit):
    """Raised when a signal asks for the end; the exit code is that of a shell, 128 + number."""

    def __init__(self, number: int):
        super().__init__(128 + number)


def hurried() -> bool:
    """Return whether the end was requested more than once."""
    return len(_received) > 1


def _on_signal(number: int, frame: object) -> None:
    _received.append(number)
    if len(_received) == 1:
        raise KeyboardInterrupt if number == signal.SIGINT else Ended(number)


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """Let signals behave as the module says, within the context.

    Afterwards they behave as before, unless one came: then the process is about to end and ignores further ones, since
    Python's own handlers are gone before the process is. Only the main thread may do that; in another nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _received.clear()
    before = {number: signal.getsignal(number) for number in END_SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _on_signal and handler is not None:
                signal.signal(number, signal.SIG_IGN if _received else handler)
