"""The page of every report: self-contained, readable on a phone and on a screen; the verdict comes first."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .colors import ACCENT, INK, WARN
from .made_by import made_by, made_with
from .summary import flat
from .verdict import Verdict

STYLE = f"""body{{font:15px/1.5 system-ui,sans-serif;color:{INK};max-width:1100px;margin:2rem auto;padding:0 1rem}}
h1,td,th,p,li{{overflow-wrap:anywhere}}img{{width:100%}}figure{{margin:1.5rem 0}}table{{border-collapse:collapse}}
th{{text-align:left;font-weight:500;padding-right:2rem;vertical-align:top}}
td{{font-variant-numeric:tabular-nums;vertical-align:top}}tr{{border-bottom:1px solid #eceff1}}
.wide{{overflow-x:auto}}.wide th,.wide td{{overflow-wrap:normal;padding-right:1rem}}
.number{{text-align:right}}.short{{white-space:nowrap}}
.names th{{overflow-wrap:normal}}
pre{{white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px;margin:0}}
.verdict{{font-weight:600;color:#fff;padding:.5rem 1rem}}
@media (max-width:700px){{figure{{overflow-x:auto}}figure img{{width:720px}}th{{padding-right:1rem}}}}"""

SHORT = 24  # characters of a cell that is not broken into lines


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
<p>{html.escape(made_with())}</p>
<p>{html.escape(made_by())}</p></html>
"""


def spelled(value: Any) -> str:
    """Return a value of a summary as text."""
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def pictures(files: Mapping[str, Path | bytes]) -> str:
    """Return pictures {name: PNG, as a file or its content} as a part of the page."""
    content = {
        name: base64.b64encode(file if isinstance(file, bytes) else file.read_bytes()).decode()
        for name, file in files.items()
    }
    return "\n".join(
        f'<figure><img alt="{html.escape(name)}" src="data:image/png;base64,{data}"></figure>'
        for name, data in content.items()
    )


def png(figure: Any) -> bytes:
    """Return the content of the PNG of a figure of matplotlib."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return content.getvalue()


def markdown(text: str) -> str:
    """Return the tables, the fenced blocks and the lines of `text`, which is Markdown, as HTML."""
    parts: list[str] = []
    for at, part in enumerate(re.split(r"^```\n", text, flags=re.MULTILINE)):
        parts += [f"<pre>{html.escape(part)}</pre>"] if at % 2 else _tables_and_lines(part)
    return "\n".join(parts)


def _tables_and_lines(text: str) -> list[str]:
    """Return the tables and lines of Markdown as HTML."""
    parts: list[str] = []
    block: list[str] = []
    for line in [*text.splitlines(), ""]:
        if block and not line.startswith("|"):
            parts.append(_block(block))
            block = []
        if line.startswith("|"):
            block.append(line)
        elif line.strip():
            parts.append(f"<p>{html.escape(line.removeprefix('- '))}</p>")
    return parts


def _block(lines: list[str]) -> str:
    """Return a table of Markdown as HTML; it scrolls where it is wider than the page."""
    head, sides, *rows = (list(_cells(line)) for line in lines)
    kinds = ["number" if side.endswith(":") else "" for side in sides]

    def row(cells: list[str], tag: str) -> str:
        inner = "".join(
            f'<{tag} class="{kind}{" short" if tag == "td" and len(cell) <= SHORT else ""}">{html.escape(cell)}</{tag}>'
            for cell, kind in zip(cells, kinds, strict=False)
        )
        return f"<tr>{inner}</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return f'<div class="wide"><table>{row(head, "th")}{body}</table></div>'


def _cells(line: str) -> Iterator[str]:
    r"""Yield the cells of a row of Markdown; \| in a cell is a bar."""
    for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]:
        yield cell.replace("\\|", "|").replace("`", "").strip()


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of names, in plain text, and HTML beside them."""
    lines = "".join(f"<tr><th>{html.escape(name)}</th><td>{value}</td></tr>" for name, value in rows)
    return f"<table>{lines or '<tr><td>none</td></tr>'}</table>"


def meanings(texts: Mapping[str, str]) -> str:
    """Return what numbers mean, {name: meaning with unit}, under a heading."""
    rows = table((name, html.escape(text)) for name, text in texts.items())
    return f"<h2>What the numbers mean</h2><div class='names'>{rows}</div>"


def numbers(summary: Mapping[str, Any]) -> str:
    """Return the numbers of a summary under their heading."""
    rows = ((key, html.escape(spelled(value))) for key, value in flat(summary).items())
    return f"<h2>Numbers</h2>{table(rows)}"
