r"""Text for a terminal: names come from bags, URDFs and other people's nodes, and a terminal obeys what is in them.

Control characters (ESC and whatever follows it moves the cursor, changes titles, hides lines) and the marks that change
the direction of writing are written out as \x1b and \u202e. What a command prints goes through `plain_output`.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from typing import TextIO

_LINE_ENDS = "\n\t"
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def printable(text: str, kept: str = _LINE_ENDS) -> str:
    """Return `text` with every character written out that a terminal would obey, but for those `kept`."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] in kept else ascii(found[0])[1:-1], text)


class PlainStream(io.TextIOBase):
    """A stream that writes to another what is printable."""

    def __init__(self, stream: TextIO):
        super().__init__()
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has an attribute here
        """The encoding of the stream behind."""
        return self._stream.encoding

    def write(self, text: str) -> int:
        """Write `text`, its control characters written out."""
        self._stream.write(printable(text))
        return len(text)

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Tell whether the stream behind is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the file descriptor of the stream behind."""
        return self._stream.fileno()

    def flush(self) -> None:
        """Flush the stream behind."""
        self._stream.flush()


@contextlib.contextmanager
def plain_output() -> Iterator[None]:
    """Print only what is printable, within the context."""
    with contextlib.redirect_stdout(PlainStream(sys.stdout)):
        yield
