"""The page that --report writes."""

import re
from pathlib import Path

FILE = "report.html"


def report_into(folder: Path) -> list[str]:
    """The option that writes the page into `folder`."""
    return ["--report", str(folder / FILE)]


def assert_reported(folder: Path, headline: str, *, pictures: int, of: str, passed: bool = True) -> None:
    """The page in `folder` has its parts in order, stands alone, and tells `of` in its results."""
    page = (folder / FILE).read_text(encoding="utf-8")
    assert page.splitlines()[0].split("<title>")[1].startswith("PASS" if passed else "FAIL")
    parts = ['class="verdict"', f"<h1>{headline}</h1>", "<h2>Results</h2>", "<h2>What the numbers mean</h2>"]
    places = [page.index(part) for part in [*parts, "Versions: ", "Made by "]]
    assert places == sorted(places)
    assert len(re.findall('<img alt="[^"]+" src="data:image/png;base64,', page)) == page.count("<img") == pictures
    assert "http" not in page and of in page[places[2] : places[3]]
