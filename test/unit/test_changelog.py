"""CHANGELOG.rst has the form of REP 132, which catkin_pkg and the release tools of ROS read."""

import re
import xml.etree.ElementTree as ElementTree

from support import ROOT
from support.needs import needs

TEXT = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
HEADING = re.compile(r"^(?:(Forthcoming)|(\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\))$")
VERSION = ElementTree.parse(ROOT / "package.xml").findtext("version")


def headings() -> list[str]:
    lines = TEXT.splitlines()
    return [line for line, under in zip(lines, lines[1:], strict=False) if under and set(under) == {"-"}]


def test_every_section_is_a_dated_version_or_the_next_one():
    found = [HEADING.match(line) for line in headings()]
    assert found and all(found), headings()
    assert [match for match in found if match[1]] in ([], found[:1])  # what comes next stands first
    dated = [match[2] for match in found if match[2]]
    assert dated == sorted(dated, key=lambda version: [int(part) for part in version.split(".")], reverse=True)
    assert found[0][1] or dated[0] == VERSION


@needs("catkin_pkg")
def test_catkin_pkg_reads_every_version_and_every_bullet(tmp_path):
    """As at a release, when `Forthcoming` gets its version and date."""
    from catkin_pkg import changelog

    path = tmp_path / "CHANGELOG.rst"
    path.write_text(TEXT.replace("Forthcoming\n-----------", f"{VERSION} (2000-01-01)\n------------------"))
    read = changelog.get_changelog_from_path(str(path), package_name="mbrl_ros")
    versions = [(version, content) for version, _, content in read.foreach_version()]
    assert len(versions) == len(headings())
    assert sum(len(list(entry)) for _, content in versions for entry in content) == TEXT.count("\n* ")
