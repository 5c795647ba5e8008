"""The page of every report: self-contained, readable on a phone and on a screen; the verdict comes first."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .colors import ACCENT, INK, WARN
from .made_by import made_by
from .summary import flat
from .verdict import Verdict

STYLE = f"""body{{font:15px/1.5 system-ui,sans-serif;color:{INK};max-width:1100px;margin:2rem auto;padding:0 1rem}}
h1,td,th,p,li{{overflow-wrap:anywhere}}img{{width:100%}}figure{{margin:1.5rem 0}}table{{border-collapse:collapse}}
th{{text-align:left;font-weight:500;padding-right:2rem;vertical-align:top}}
td{{font-variant-numeric:tabular-nums;vertical-align:top}}tr{{border-bottom:1px solid #eceff1}}
pre{{white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px;margin:0}}
.verdict{{font-weight:600;color:#fff;padding:.5rem 1rem}}
@media (max-width:700px){{figure{{overflow-x:auto}}figure img{{width:720px}}th{{padding-right:1rem}}}}"""


def web_page(title: str, verdict: Verdict, headline: str, body: str) -> str:
    """Return the page.

    Parameters
    ----------
    title
        After the verdict, in the title.
    verdict
        On top, and first in the title: on the first line, where scripts find it.
    headline
        Of the page, in plain text.
    body
        HTML.
    """
    line, color = html.escape(verdict.line()), ACCENT if verdict.passed else WARN
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{line} - {html.escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style>
<p class="verdict" style="background:{color}">{line}</p>
<h1>{html.escape(headline)}</h1>
{body}
<p>{html.escape(made_by())}</p></html>
"""


def spelled(value: Any) -> str:
    """Return a value of a summary as text."""
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def pictures(files: Mapping[str, Path]) -> str:
    """Return pictures {name: PNG} as a part of the page."""
    content = {name: base64.b64encode(file.read_bytes()).decode() for name, file in files.items()}
    return "\n".join(
        f'<figure><img alt="{html.escape(name)}" src="data:image/png;base64,{data}"></figure>'
        for name, data in content.items()
    )


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of names, in plain text, and HTML beside them."""
    lines = "".join(f"<tr><th>{html.escape(name)}</th><td>{value}</td></tr>" for name, value in rows)
    return f"<table>{lines or '<tr><td>none</td></tr>'}</table>"


def numbers(summary: Mapping[str, Any]) -> str:
    """Return the numbers of a summary under their heading."""
    rows = ((key, html.escape(spelled(value))) for key, value in flat(summary).items())
    return f"<h2>Numbers</h2>{table(rows)}"
