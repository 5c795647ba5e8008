"""What README.md shows is what happens."""

import re
from pathlib import Path

from support import ROOT
from support.needs import needs

README = (ROOT / "README.md").read_text(encoding="utf-8")


@needs("mujoco", "example-robot-data")
def test_the_example_without_ros_runs_with_the_supervisor_and_reaches_its_target(capsys):
    (example,) = re.findall(r"<!-- example: .*?-->\n```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    off, state = re.fullmatch(r"([\d.]+) mm from the target, (\w+)\n", capsys.readouterr().out).groups()
    assert float(off) < 3.0
    assert state == names["supervisor"].state.name == "ACTIVE"


def test_the_readme_is_short():
    assert README.count("\n") <= 200


def test_its_commands_exist():
    """`make TARGET`, `mbrl COMMAND` and launch files, wherever a page names them in a shell block."""
    from mbrl_ros.cli import GROUPS
    from mbrl_ros.cli.main import commands

    groups = "|".join(GROUPS)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    known = {" ".join(words) for words in commands()}
    checked = 0
    for page in (ROOT / "README.md", *sorted((ROOT / "doc").glob("*.md"))):
        for line in _shell_lines(page):
            for target in re.findall(r"^make ([a-z-]+)", line):
                assert target in targets, (page.name, line)
                checked += 1
            for words in re.findall(rf"^mbrl ((?:(?:{groups}) )?[a-z][a-z-]*)", line):
                assert words in known, (page.name, line)
                checked += 1
            for file in re.findall(r"^ros2 launch mbrl_ros (\S+)", line):
                assert (ROOT / "launch" / file).is_file(), (page.name, line)
                checked += 1
    assert checked > 20


def _shell_lines(page: Path) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]
