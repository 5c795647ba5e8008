"""Sphinx's configuration: the pages of this folder as they are; `make docs` builds them, with the API beside them.

The tables of index.md are the navigation: each of its headings becomes a part of it. The pages are written for a reader
of the repository, so that links to files outside of this folder are changed here: to the copies that .ci/docs.py puts
into project/, to the file itself where the checkout is there, or else (rosdoc2 copies this folder alone) to the
repository.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from pygments.lexers.special import TextLexer

project = "mbrl_ros"
author = "mbrl_ros maintainers"
copyright = "mbrl_ros maintainers. Apache-2.0"
extensions = ["myst_parser"]
exclude_patterns = ["_build", "Thumbs.db"]
root_doc = "index"
html_theme = "sphinx_rtd_theme"
html_theme_options = {"navigation_depth": 3, "titles_only": True}
html_show_sourcelink = False
myst_heading_anchors = 6
toc_object_entries = False
add_module_names = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 100

REPOSITORY_URL = "https://mbrl-ros.example/repository"
CHECKOUT = Path(os.environ.get("MBRL_ROS_CHECKOUT", ".")).resolve()
COPIED = "project/"  # in the built site: pages that stand outside of this folder
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"(^ *```.*?^ *```)", re.DOTALL | re.MULTILINE)
SECTION = re.compile(r"^## +(.*?) *$(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)


def target(link: str, folder: str, source: Path) -> str:
    """Return the link from a page in `folder` of the site's `source` for one that is right in the repository."""
    if re.match(r"[a-z][a-z0-9+.-]*:", link) or not link:
        return link
    in_repository = os.path.normpath(os.path.join("doc", link) if folder == "" else link)
    if in_repository.startswith("doc" + os.sep):
        return os.path.relpath(in_repository.partition(os.sep)[2], folder or ".")
    for suffix in ("", ".txt"):
        if (source / COPIED / f"{in_repository}{suffix}").exists():
            return os.path.relpath(f"{COPIED}{in_repository}{suffix}", folder or ".")
    if (CHECKOUT / "package.xml").exists() and (CHECKOUT / in_repository).is_file():
        return os.path.relpath(CHECKOUT / in_repository, source / folder)
    return f"{REPOSITORY_URL}/{in_repository}"


def navigation(text: str) -> str:
    """Return the hidden tables of contents that index.md's sections stand for."""
    found = []
    for title, body in SECTION.findall(text):
        pages = [page for _, page, _ in LINK.findall(body) if page.endswith((".md", ".rst")) and "://" not in page]
        if pages:
            lines = "\n".join(dict.fromkeys(pages))
            found.append(f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n{lines}\n```\n")
    return "\n".join(found)


def on_source(app, docname: str, text: list[str]) -> None:
    """Change a page's links, and add the navigation to the first page."""
    path = Path(app.env.doc2path(docname))
    if path.suffix != ".md":
        return
    source, folder = Path(app.srcdir), os.path.dirname(docname)

    def changed(match: re.Match) -> str:
        return f"{match[1]}{target(match[2], folder, source)}{match[3] or ''})"

    parts = [part if FENCE.fullmatch(part) else LINK.sub(changed, part) for part in FENCE.split(text[0])]
    text[0] = "".join(parts)
    if docname == root_doc:
        api = next((name for name in ("api/index", "modules") if (source / f"{name}.rst").exists()), None)
        extra = f"```{{toctree}}\n:hidden:\n:caption: API\n\n{api}\n```\n" if api else ""
        text[0] += "\n" + navigation(text[0]) + "\n" + extra


def setup(app) -> None:
    """Connect the changes."""
    app.connect("source-read", on_source)
    app.add_lexer("mermaid", TextLexer)  # GitHub draws the diagram, the site shows its text
