"""The page of a replay: verdict, pictures, events and numbers in one HTML file."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console.colors import ACCENT, INK, WARN
from ..console.made_by import made_by
from ..console.summary import flat
from ..console.verdict import Verdict

if TYPE_CHECKING:
    from . import Replay

STYLE = f"""body{{font:15px/1.5 system-ui,sans-serif;color:{INK};max-width:1100px;margin:2rem auto;padding:0 1rem}}
img{{width:100%}}figure{{margin:1.5rem 0}}table{{border-collapse:collapse}}
th{{text-align:left;font-weight:500;padding-right:2rem;vertical-align:top}}
td{{font-variant-numeric:tabular-nums}}tr{{border-bottom:1px solid #eceff1}}pre{{margin:0;white-space:pre-wrap}}"""


def spelled(value: Any) -> str:
    """Return a value of the summary as text."""
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


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
    pictures = "\n".join(_picture(name, file) for name, file in files.items())
    rows = "".join(_row(key, html.escape(spelled(value))) for key, value in flat(replay.summary).items())
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in replay.setup.notes)
    events = "".join(_row(f"{event.time:.3f} s", f"<pre>{html.escape(event.text)}</pre>") for event in replay.events)
    line, bag = html.escape(judged.line()), html.escape(replay.summary["bag"])
    background = ACCENT if judged.passed else WARN
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{line} - replay of {bag}</title>
<style>{STYLE}
.verdict{{font-weight:600;color:#fff;background:{background};padding:.5rem 1rem}}</style>
<p class="verdict">{line}</p>
<h1>Replay of {bag}</h1><ul>{notes}</ul>
{pictures}<h2>Events</h2><table>{events or "<tr><td>none</td></tr>"}</table>
<h2>Numbers</h2><table>{rows}</table>
<p>{html.escape(made_by())}</p></html>
"""


def _picture(name: str, file: Path) -> str:
    content = base64.b64encode(file.read_bytes()).decode()
    return f'<figure><img alt="{html.escape(name)}" src="data:image/png;base64,{content}"></figure>'


def _row(key: str, value: str) -> str:
    return f"<tr><th>{html.escape(key)}</th><td>{value}</td></tr>"
