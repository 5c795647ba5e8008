"""README.md and doc/: links and anchors resolve, and settings, files, topics and commands that are named exist."""

import re
import warnings
from pathlib import Path

import pytest

from mbrl_ros.cli import parameters
from support import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "doc").rglob("*.md"), *(ROOT / ".github").rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
# Pages that are still to be written; a link to them is checked once they exist.
AWAITED = {"extending.md"}
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors GitHub gives to the headings of a page."""
    found: dict[str, int] = {}
    result = set()
    for heading in re.findall(r"^#{1,6} +(.*?) *$", prose(page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        count = found[anchor] = found.get(anchor, -1) + 1
        result.add(f"{anchor}-{count}" if count else anchor)
    return result


def external(link: str) -> bool:
    return re.match(r"[a-z][a-z0-9+.-]*:", link) is not None


@every_page
def test_every_internal_link_and_anchor_resolves(page):
    for link in LINK.findall(prose(page)) + PICTURE.findall(prose(page)):
        if external(link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if target.name in AWAITED and not target.exists():
            continue
        assert target.exists(), f"{page.name}: {link}"
        assert target.is_relative_to(ROOT), f"{page.name}: {link} leaves the repository"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}; there are {sorted(anchors(target))}"


def test_external_links_are_listed():
    """They are not followed; a warning names them."""
    found = sorted({link for page in PAGES for link in LINK.findall(prose(page)) if external(link)})
    if found:
        warnings.warn("external links, not followed: " + " ".join(found), stacklevel=1)


def test_the_index_lists_every_page():
    index = ROOT / "doc" / "index.md"
    listed = {(index.parent / link).resolve() for link in LINK.findall(prose(index)) if not external(link)}
    assert {page for page in PAGES if page.parent == index.parent} - listed == {index}


@every_page
def test_every_setting_that_is_named_exists(page):
    names = {key for entries in parameters.settings().values() for key, _, _ in entries}
    sections = {name.partition(".")[0] for name in names if "." in name}
    for name in re.findall(r"`([a-z]\w*(?:\.\w+)+)(?::[^`]*)?`", prose(page)):
        if name.partition(".")[0] in sections and not name.endswith((".py", ".yaml", ".json", ".npz")):
            assert name in names or ".NAME" in name, f"{page.name}: {name}"


@every_page
def test_every_file_that_is_named_exists(page):
    for name in re.findall(r"`((?:mbrl_ros|config|launch|test|doc|benchmark)/[\w./-]*\w)`", page.read_text("utf-8")):
        found = (ROOT / name).exists()
        assert found or "NAME" in name, f"{page.name}: {name}"
    for name in re.findall(r"\b(?:python|pytest) ((?:test|benchmark)/[\w./-]+\.py)", page.read_text("utf-8")):
        assert (ROOT / name).is_file(), f"{page.name}: {name}"
