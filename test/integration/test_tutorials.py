"""The tutorials as they are written: every file and command of a page, in its order, in one folder.

A block whose first line is a comment with a file's name is written to that file, and run where it is Python; a shell
block is run. `<!-- output: PATTERN -->` behind a block is a regular expression that what it printed must match.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT
from support.domains import new_domain
from support.needs import needs

PAGES = {  # what each needs
    "tutorial_without_ros": ("mujoco",),
    "tutorial_camera": ("mujoco",),
    "tutorial_distil": ("mujoco", "matplotlib", "example-robot-data"),
    "tutorial_bag_to_prior": ("rclpy", "mujoco", "rosbags", "adam", "example-robot-data"),
    "tutorial_replay_in_ci": ("rclpy", "mujoco", "rosbags", "example-robot-data"),
}
GOES_ON = {"tutorial_camera": "tutorial_without_ros"}  # in the folder of which other, whose files are there
BLOCK = re.compile(
    r"^```(?P<language>\w+)\n(?P<text>.*?)^```\n(?:\s*<!-- output: (?P<output>.*?) -->\n)?", re.MULTILINE | re.DOTALL
)
NAME = re.compile(r"^(?:# |<!-- )(?P<file>[\w./-]+\.\w+)(?: -->)?\n")
PATIENCE = 900.0  # [s] for a block


def blocks_of(page: str) -> list[re.Match]:
    """The blocks of a page, in its order."""
    return list(BLOCK.finditer((ROOT / "doc" / f"{page}.md").read_text(encoding="utf-8")))


def run(command: list[str], folder: Path, domain: int) -> str:
    """Run one block; return what it printed."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ROS_DOMAIN_ID": str(domain),
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", [pytest.param(page, marks=needs(*parts)) for page, parts in PAGES.items()])
def test_a_tutorial_works_as_it_is_written(page, tmp_path):
    for block in blocks_of(GOES_ON[page]) if page in GOES_ON else ():
        if named := NAME.match(block["text"]):
            (tmp_path / named["file"]).write_text(block["text"])
    domain, blocks = new_domain(), 0
    for block in blocks_of(page):
        named = NAME.match(block["text"])
        if block["language"] == "sh":
            said = run(["bash", "-euc", block["text"]], tmp_path, domain)
        elif named is not None:
            (tmp_path / named["file"]).write_text(block["text"])
            said = run([sys.executable, named["file"]], tmp_path, domain) if block["language"] == "python" else ""
        else:
            continue
        blocks += 1
        if block["output"]:
            assert re.search(block["output"], said), f"{block['text']}\nprinted\n{said}"
    assert blocks >= 2


def test_every_tutorial_is_known():
    assert {path.stem for path in (ROOT / "doc").glob("tutorial_*.md")} == set(PAGES)
