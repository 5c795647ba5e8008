"""doc/extending.md: the package that it builds is installed, used from a YAML file, and keeps every interface."""

import json
import os
import re
import subprocess
import sys

import pytest

from support import ROOT
from support.needs import needs
from support.robots import planar_arm

BLOCK = re.compile(r"^```(?:toml|python|yaml)\n# ([\w./-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
pytestmark = needs("setuptools")
FAMILIES = {  # {the test that runs over every plug-in: the name of ours}
    "test/unit/costs/test_costs.py": "tool_height",
    "test/unit/dynamics/test_priors.py": "damped",
    "test/unit/planners/test_every_planner.py": "sampling",
    "test/unit/controllers/test_every_controller.py": "track_joints",
}
USE = """
import json, sys
import numpy as np
from mbrl_ros.config import registry
from mbrl_ros.config.settings_file import load_configuration
from mbrl_ros.controllers.mpc import MpcController
from mbrl_ros.robots import load_robot
from mbrl_ros.types import Observation

configuration = load_configuration(sys.argv[1])
robot = load_robot(configuration.robot, open(sys.argv[2]).read())
controller = MpcController(robot, configuration)
q, qd, dt = np.array([0.9, -0.6]), np.zeros(2), controller.dt
controller.reset(Observation(0.0, q, qd))
controller.set_joint_target(np.array([0.0, 0.2]))
plans = []
for k in range(100):
    decision = controller.step(Observation(k * dt, q.copy(), qd.copy()))
    controller.record(k * dt, decision.u)
    plans.append(decision.plan.usable and bool(np.isfinite(decision.u).all()))
    qd = qd + dt * (20.0 * decision.u - 2.0 * qd)
    q = q + dt * qd
print(json.dumps({
    "problems": registry.problems(),
    "planner": type(controller.planner).__module__,
    "prior": type(controller.dynamics.prior).__module__,
    "damping": controller.dynamics.prior.jacobian[0, 2] / -dt,
    "weight": controller.cost.parameters(10)[0, controller.cost.layout["tool_height.weight"]].tolist(),
    "plans": all(plans),
}))
"""


@pytest.fixture(scope="module")
def page() -> dict[str, str]:
    """{file: its text} of the blocks of the page that begin with the name of a file."""
    found = {name: text for name, text in BLOCK.findall((ROOT / "doc" / "extending.md").read_text(encoding="utf-8"))}
    assert {"pyproject.toml", "arm.yaml", "arm_extras/__init__.py"} <= set(found) and len(found) == 7
    return found


@pytest.fixture(scope="module")
def installed(page, tmp_path_factory):
    """The environment in which the package of the page is installed, beside and not in site-packages."""
    folder, target = tmp_path_factory.mktemp("package"), tmp_path_factory.mktemp("site")
    for name, text in page.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    made = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", target, folder], capture_output=True, text=True
    )
    if "No module named pip" in made.stderr:  # asking for its spec would switch setuptools' distutils off
        pytest.skip("needs pip: python -m ensurepip")
    assert made.returncode == 0, made.stdout + made.stderr
    path = os.pathsep.join([str(target), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}, folder


def run(command, environment, **options):
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, **options)


@pytest.mark.slow
def test_a_yaml_file_names_the_cost_the_prior_and_the_planner_and_the_controller_plans_with_them(installed, tmp_path):
    environment, folder = installed
    urdf = tmp_path / "arm.urdf"
    urdf.write_text(planar_arm(2))
    made = run([sys.executable, "-c", USE, folder / "arm.yaml", urdf], environment)
    assert made.returncode == 0, made.stderr
    found = json.loads(made.stdout.splitlines()[-1])
    assert found["problems"] == []
    assert (found["planner"], found["prior"]) == ("arm_extras.sampling", "arm_extras.damped")
    assert found["damping"] == pytest.approx(2.0) and found["weight"] == [500.0]
    assert found["plans"]


@pytest.mark.slow
def test_the_settings_are_listed_and_a_wrong_name_is_explained(installed, tmp_path):
    environment, _ = installed
    made = run([sys.executable, "-m", "mbrl_ros.cli.main", "parameters"], environment)
    assert (
        made.returncode == 0 and "cost.tool_height.lowest" in made.stdout and "planner.sampling.samples" in made.stdout
    )
    file = tmp_path / "wrong.yaml"
    file.write_text("/**/mpc_node:\n  ros__parameters: {cost: {tool_heigt: {weight: 1.0}}}\n")
    use = "import sys; from mbrl_ros.config.settings_file import load_configuration as load; load(sys.argv[1])"
    made = run([sys.executable, "-c", use, file], environment)
    assert made.returncode != 0 and "did you mean 'cost.tool_height.weight'" in made.stderr


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("test, name", FAMILIES.items())
def test_the_test_of_its_family_runs_over_it(installed, test, name):
    environment, _ = installed
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", test, "-k", name]
    made = run(command, environment, cwd=ROOT)
    assert made.returncode == 0, made.stdout[-3000:]
    assert int(re.search(r"(\d+) passed", made.stdout)[1]) >= 1 and "skipped" not in made.stdout


def test_without_the_package_nothing_of_it_is_known():
    code = "from mbrl_ros.config import registry; print([n for f in registry.FAMILIES for n in registry.names(f)])"
    made = run([sys.executable, "-c", code], {**os.environ, "PYTHONPATH": str(ROOT)})
    assert "joint_target" in made.stdout and not any(name in made.stdout for name in FAMILIES.values())
