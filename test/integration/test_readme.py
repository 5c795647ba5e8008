"""What README.md shows is what happens."""

import re

import pytest

from support import ROOT
from support.ros import needs_panda

README = ROOT / "README.md"


@needs_panda
def test_the_example_without_ros_runs_and_reaches_its_target(capsys):
    pytest.importorskip("mujoco", reason="the example simulates with MuJoCo")
    example = re.search(r"<!-- example: .*?-->\n```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(example[1], "README.md", "exec"), {})
    off = float(re.match(r"([\d.]+) mm from the target", capsys.readouterr().out)[1])
    assert off < 3.0
