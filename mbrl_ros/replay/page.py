"""The page of a replay: verdict, pictures, events and numbers in one HTML file."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

from ..console import web_page
from ..console.verdict import Verdict

if TYPE_CHECKING:
    from . import Replay


def page_of(replay: Replay, files: dict[str, Path], judged: Verdict) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    replay
        what is reported.
    files
        {name: file} of the pictures, which become part of the page.
    judged
        the verdict, which stands above everything.
    """
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in replay.setup.notes)
    events = web_page.table((f"{event.time:.3f} s", f"<pre>{html.escape(event.text)}</pre>") for event in replay.events)
    bag = replay.summary["bag"]
    body = f"<ul>{notes}</ul>\n{web_page.pictures(files)}<h2>Events</h2>{events}\n{web_page.numbers(replay.summary)}"
    return web_page.web_page(f"replay of {bag}", judged, f"Replay of {bag}", body)
