"""The files that `mbrl init` writes for the arms of example-robot-data, and a demo that can be built from each.

After a change that is meant: mbrl init --urdf package-data:NAME --interface effort --force -o test/data/init/NAME.yaml
"""

from pathlib import Path

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.demo.run import Options, Run
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.scenarios.scenario import AFTER, BEFORE, CAMERAS
from support.needs import needs

FILES = sorted(Path(__file__).parents[2].glob("data/init/*.yaml"))
pytestmark = needs("example-robot-data")


def test_there_are_files():
    assert len(FILES) >= 10


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_file_is_the_one_that_is_written_today(file, tmp_path):
    made = tmp_path / "made.yaml"
    assert main(["init", "--urdf", f"package-data:{file.stem}", "--interface", "effort", "-o", str(made)]) == 0
    assert made.read_text(encoding="utf-8") == file.read_text(encoding="utf-8")


@pytest.mark.slow(but=6)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize("interface", ["effort", "position"])
def test_a_demo_can_be_built_from_it(file, interface):
    demo = Run(Options(config=file, seed=4, settings={"robot.interface": interface}))
    kinds = [slot.kind for slot in demo.scenario.slots]
    assert kinds == ["point"] * (BEFORE + AFTER) + ["return", "features"] * CAMERAS
    assert 0.0 < demo.scenario.payload_kg <= 5.0 and 0.003 <= demo.scenario.tolerance <= 0.01
    start = np.array(demo.plant.initial_position)
    assert np.isfinite(start).all() and start.shape == (demo.robot.n,)
    place = Kinematics(demo.robot).position
    first = np.linalg.norm(demo.scenario.slots[0].value - place(start))
    assert 0.02 < first < 1.0
