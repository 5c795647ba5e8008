"""Where a demo starts, and with which step of the physics, of a robot for which nobody wrote them down."""

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.demo import run
from mbrl_ros.exceptions import ConfigurationError, RobotDescriptionError
from mbrl_ros.references.workspace import starting_posture
from mbrl_ros.robots import load_robot
from mbrl_ros.scenarios.scenario import build_scenario
from mbrl_ros.simulation.home import initial_position
from support.robots import planar_arm


def made(tmp_path, monkeypatch, more: str = "", **options):
    """The run of an arm whose first joint is continuous, and where it starts."""
    text = planar_arm(effort=40.0).replace('type="revolute"', 'type="continuous"', 1)
    (tmp_path / "arm.urdf").write_text(text.replace('lower="-2.5"', 'lower="-1.5"'))
    (tmp_path / "arm.yaml").write_text(
        "/**:\n  ros__parameters:\n    robot:\n"
        f"      description: {tmp_path / 'arm.urdf'}\n      interface: effort\n      position_margin: [0.0]\n{more}"
    )
    starts = []
    monkeypatch.setattr(run, "build_scenario", lambda robot, start, seed, **options: starts.append(start))
    return run.Run(run.Options(config=tmp_path / "arm.yaml", **options)), starts[0]


def test_it_starts_at_a_posture_that_is_drawn_for_the_arm(tmp_path, monkeypatch):
    demo, start = made(tmp_path, monkeypatch)
    np.testing.assert_array_equal(start, starting_posture(demo.robot))
    np.testing.assert_array_equal(demo.plant.initial_position, start)
    np.testing.assert_allclose(initial_position(PlantSettings(), demo.robot), [0.0, 0.5])  # of a plant of its own


def test_it_starts_where_the_file_says(tmp_path, monkeypatch):
    block = "/**/sim_node:\n  ros__parameters:\n    plant:\n      initial_position: [0.3, -0.4]\n"
    _, start = made(tmp_path, monkeypatch, block)
    np.testing.assert_array_equal(start, [0.3, -0.4])


def test_a_rate_as_measured_gets_a_step_of_which_its_period_is_a_multiple(tmp_path, monkeypatch):
    demo, _ = made(tmp_path, monkeypatch, rate=124.7)
    steps = 1.0 / (124.7 * demo.plant.timestep)
    assert abs(steps - round(steps)) < 1e-9 and abs(demo.plant.timestep - 0.001) < 1e-4


@pytest.mark.parametrize("text, wrong", [("", "is empty"), ("<robot name='r'><link name='a'/></robot>", "no movable")])
def test_a_wrong_description_is_named_with_the_files(tmp_path, text, wrong):
    (tmp_path / "arm.urdf").write_text(text)
    (tmp_path / "arm.yaml").write_text(
        f"/**:\n  ros__parameters:\n    robot: {{interface: effort, description: {tmp_path / 'arm.urdf'}}}\n"
    )
    with pytest.raises(RobotDescriptionError, match=rf"arm\.yaml: .*arm\.urdf: .*{wrong}"):
        run.Run(run.Options(config=tmp_path / "arm.yaml"))


@pytest.mark.parametrize("options", [{"payload_kg": -1.0}, {"payload_kg": np.nan}, {"duration": np.inf}])
def test_numbers_that_mean_nothing_are_refused(options):
    robot = load_robot(RobotSettings(), planar_arm(effort=40.0))
    with pytest.raises(ConfigurationError, match="must be a finite number of at least 0"):
        build_scenario(robot, np.zeros(2), 0, **options)
