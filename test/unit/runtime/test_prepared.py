"""A controller from a file that `mbrl build` wrote, in a process that has no CasADi."""

import json
import subprocess
import sys

import numpy as np
import pytest
import yaml

from mbrl_ros.cli.main import main
from mbrl_ros.codegen.compiler import find_compiler
from support.robots import planar_arm

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")

RUN = """
import json, sys
if sys.argv[2] == "without":
    sys.modules["casadi"] = None
import numpy as np
from mbrl_ros.config.settings_file import load_configuration
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.robots import load_robot
from mbrl_ros.safety.factory import make_supervisor
from mbrl_ros.types import Observation

units = {"robot.units": sys.argv[3]} if sys.argv[2] == "without" else {}
configuration = load_configuration(sys.argv[1], units)
robot = load_robot(configuration.robot)
controller, supervisor = build_controller(robot, configuration), make_supervisor(robot, configuration)
assert (sys.modules.get("casadi") is None) == (sys.argv[2] == "without")
commands, q = [], np.array([0.3, -0.4])
for t in range(40):
    observation = Observation(0.005 * t, q + 1e-3 * np.sin(0.1 * t), np.zeros(2))
    if t == 0:
        controller.reset(observation)
        controller.set_point_target(np.array([0.6, 0.0, 0.5]))
    decision = controller.step(observation)
    controller.record(observation.stamp, decision.u)
    commands.append(decision.u.tolist())
print(json.dumps(commands))
"""


@pytest.fixture(scope="module")
def parameters(tmp_path_factory):
    """A file of settings of a planar arm."""
    folder = tmp_path_factory.mktemp("arm")
    (folder / "arm.urdf").write_text(planar_arm(2))
    path = folder / "arm.yaml"
    path.write_text("mpc_node:\n  ros__parameters:\n    robot:\n      description: arm.urdf\n")
    return path


def commands(parameters, *arguments):
    """Return what a controller commands in a process of its own (40, 2)."""
    call = [sys.executable, "-c", RUN, str(parameters), *map(str, arguments)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=parameters.parent)
    assert done.returncode == 0, done.stderr
    return np.array(json.loads(done.stdout))


def test_the_same_commands_without_casadi(parameters, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(parameters.parent)
    path = tmp_path / "arm.units"
    assert main(["build", str(parameters), "--output", str(path), "--for", "sources"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "PASS"
    found, expected = commands(parameters, "without", path), commands(parameters, "with")
    assert np.abs(expected).max() > 1.0
    np.testing.assert_allclose(
        found, expected, rtol=1e-9
    )  # the kinematics are compiled in one, interpreted in the other


VARIANTS = {
    "rigid_body": {"dynamics": {"prior": "rigid_body"}},
    "pid": {"control": {"controller": "pid"}},
    "velocity": {"robot": {"description": "arm.urdf", "interface": "velocity"}},
    "collision": {
        "collision": {"rule": "stop"},
        "cost": {"collision": {"weight": 10.0}, "null_space": {"weight": 1.0}},
    },
    "gravity": {"supervisor": {"safe_effort": "gravity"}},
}


@pytest.mark.slow
@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_other_parts_without_casadi(changes, parameters, tmp_path, monkeypatch):
    monkeypatch.chdir(parameters.parent)
    settings = yaml.safe_load(parameters.read_text())
    settings["mpc_node"]["ros__parameters"].update(changes)
    changed, path = parameters.with_name("variant.yaml"), tmp_path / "arm.units"
    changed.write_text(yaml.safe_dump(settings))
    assert main(["build", str(changed), "--output", str(path), "--for", "sources"]) == 0
    found, expected = commands(changed, "without", path), commands(changed, "with")
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_other_settings_are_refused(parameters, tmp_path, monkeypatch):
    monkeypatch.chdir(parameters.parent)
    path = tmp_path / "arm.units"
    assert main(["build", str(parameters), "--output", str(path), "--for", "sources"]) == 0
    changed = parameters.with_name("changed.yaml")
    changed.write_text(parameters.read_text() + "    cost:\n      point_target:\n        l1: 0.25\n")
    call = [sys.executable, "-c", RUN, str(changed), "without", str(path)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=parameters.parent)
    assert "cost.point_target.l1 is 0.25 here" in done.stderr.splitlines()[-1]
