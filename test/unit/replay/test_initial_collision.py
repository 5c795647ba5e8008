"""mbrl init writes the capsules of the links and the pairs that can touch, in a file that gives the same scene."""

from pathlib import Path

import numpy as np

from mbrl_ros.collision.build import build_scene
from mbrl_ros.config.settings_file import load_configuration
from mbrl_ros.replay.initial import initial
from mbrl_ros.robots import load_robot
from support.robots import planar_arm


def test_the_file_gives_the_scene_that_was_found(tmp_path):
    urdf = Path(tmp_path, "arm.urdf")
    urdf.write_text(planar_arm(4))
    made = initial(None, str(urdf), interface="velocity")
    file = Path(tmp_path, "arm.yaml")
    file.write_text(made.yaml)
    configuration = load_configuration(file)
    settings, robot = configuration.collision, load_robot(configuration.robot)
    assert settings.rule == "none"
    assert len(settings.capsules) == 4
    assert "link1 link3" in settings.pairs
    assert any("GUESSED" in note for note in made.notes)
    written = build_scene(robot, settings).scene
    found = build_scene(robot, settings.replace(capsules=(), pairs=())).scene
    q = np.array([0.3, 1.0, 1.2, 0.7])
    assert np.allclose(sorted(written.values(q)), sorted(found.values(q)), atol=1e-3)
