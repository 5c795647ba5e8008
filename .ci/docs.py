"""`make docs`: the pages of doc/ and the API as a site in output/docs/html; a warning or a dead link is an error.

The site's sources are put together in output/docs/source: doc/ as it is, the pages of the top level in project/, and a
page for every room of the package in api/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import docs_api

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "output" / "docs"
PROJECT = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.rst", "LICENSE", "CITATION.cff")


class Links(HTMLParser):
    """The links and the anchors of one page of the site."""

    def __init__(self, page: Path):
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag links to, and by which name it is reached."""
        for name, value in attrs:
            if value and (name == "id" or (tag == "a" and name == "name")):
                self.anchors.add(value)
            elif value and name in ("href", "src"):
                self.links.add(value)


def stage(source: Path) -> int:
    """Put the site's sources together; return the number of modules in the API."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "doc", source)
    (source / "project").mkdir()
    for name in PROJECT:
        page = name.endswith((".md", ".rst"))
        shutil.copyfile(ROOT / name, source / "project" / (name if page else f"{name}.txt"))
    return docs_api.write(ROOT / "mbrl_ros", source / "api")


def dead_links(site: Path) -> list[str]:
    """Return 'page: link' of what leads nowhere inside the site. Links to other hosts are not followed."""
    pages = {page: Links(page) for page in site.rglob("*.html")}
    found = []
    for page, content in pages.items():
        for link in content.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith("data:"):
                continue
            goal = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not goal.exists():
                found.append(f"{page.relative_to(site)}: {link}")
            elif parts.fragment and goal in pages and unquote(parts.fragment) not in pages[goal].anchors:
                found.append(f"{page.relative_to(site)}: {link} (no such anchor)")
    return sorted(found)


def main() -> int:
    """Build the site and check its links; 0 when there was no warning and no dead link."""
    begin, source, site = time.monotonic(), OUT / "source", OUT / "html"
    count = stage(source)
    shutil.rmtree(site, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "html",
        "-j",
        "auto",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        str(OUT / "cache"),
    ]
    code = subprocess.run(
        [*command, "-E", str(source), str(site)], env={**os.environ, "MBRL_ROS_CHECKOUT": str(ROOT)}
    ).returncode
    if code:
        print("docs: FAILED, the warnings are above")
        return 1
    dead = dead_links(site)
    print(*dead, sep="\n", end="\n" if dead else "")
    pages = len(list(site.rglob("*.html")))
    print(
        f"docs: {pages} pages, {count} modules in the API, 0 warnings, {len(dead)} dead links, "
        f"{time.monotonic() - begin:.0f} s: {site.relative_to(ROOT)}/index.html"
    )
    return int(bool(dead))


if __name__ == "__main__":
    sys.exit(main())
