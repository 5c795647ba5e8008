"""doc/launch_accidents.md shows what the launch system says today."""

import re

import pytest

from support import ROOT
from support.accidents import ACCIDENTS
from support.needs import needs
from support.transcripts import play

pytestmark = needs("ros2 launch", "launch_ros", "rclpy", "package mbrl_ros", "ros2_control", "/proc")
PAGE = (ROOT / "doc" / "launch_accidents.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    """What the page shows of an accident."""
    return re.split(r"^## ", PAGE.partition(f"\n## {name}\n")[2], flags=re.MULTILINE)[0]


@pytest.mark.parametrize("name", ACCIDENTS)
def test_an_accident_is_said_and_ends_as_the_page_shows(name, tmp_path):
    accident = ACCIDENTS[name]
    code, said = play(accident, tmp_path)
    assert code == accident.code, said
    for words in accident.key:
        assert words in said and words in section(name)
    assert f"$ echo $?\n{code}\n" in section(name) and accident.about in section(name)


def test_the_page_has_these_accidents_and_no_path_of_a_machine():
    assert re.findall(r"^## (.*)$", PAGE, re.MULTILINE) == list(ACCIDENTS)
    assert not re.search(r"/(home|root|tmp|work|usr|opt)/", PAGE)
