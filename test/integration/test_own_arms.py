"""An arm from its URDF to its demo and to its first motion: few commands, few lines, for arms nobody tuned for."""

import re

import pytest
import yaml

from support import ROOT
from support.needs import needs
from support.scripts import load

MOST_COMMANDS, MOST_LINES = 12, 15


def blocks(text: str, language: str) -> list[str]:
    """The lines of a page's code blocks that are no comments."""
    found = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return [line for block in found for line in block.splitlines() if line.strip() and line.strip()[0] != "#"]


def settings(block: dict) -> int:
    """The number of values in nested sections."""
    return sum(settings(value) if isinstance(value, dict) else 1 for value in block.values())


def test_the_page_leads_to_the_first_motion_with_few_commands_and_few_lines():
    page = (ROOT / "doc" / "first_day.md").read_text(encoding="utf-8")
    (way, _) = re.split(r"^## 5\. ", page, flags=re.MULTILINE)
    assert 0 < len(blocks(way, "sh")) <= MOST_COMMANDS
    written = yaml.safe_load("\n".join(blocks(way, "yaml")))
    assert 0 < settings(written) <= MOST_LINES  # the headings stand in the file of `mbrl init`


@needs("rclpy", "mujoco", "matplotlib", "example-robot-data")
@pytest.mark.slow
@pytest.mark.parametrize("arm", ("ur5", "xarm7", "z1"))
def test_an_arm_moves_by_two_commands_with_the_file_as_it_is_written(arm, tmp_path, monkeypatch):
    own_arms = load("benchmark/own_arms.py", monkeypatch)
    found = own_arms.tried(arm, tmp_path)
    assert found["codes"] == [0, 0], found["said"]
    assert found["reached"] == found["targets"] == 2
    assert max(found["rest_mm"]) < 10.0
