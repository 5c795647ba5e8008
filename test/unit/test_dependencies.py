"""package.xml, setup.py and the documentation name everything that is imported or launched, and nothing else."""

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import ROOT

PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()
# rosdep's names of the Python packages a robot needs.
ROSDEP = {
    "matplotlib": "python3-matplotlib",
    "mpl_toolkits": "python3-matplotlib",
    "numpy": "python3-numpy",
    "pytest": "python3-pytest",
    "scipy": "python3-scipy",
    "yaml": "python3-yaml",
}
# From PyPI: {module: name in setup.py}, imported where they are used and named by the error where they are missing.
PYPI = {
    "PIL": "pillow",
    "adam": "adam-robotics",
    "av": "av",
    "crocoddyl": "crocoddyl",
    "cv2": "opencv-python-headless",
    "dartpy": "dartpy",
    "distributed": "distributed",
    "flax": "skrl",
    "gymnasium": "gymnasium",
    "jax": "skrl",
    "joblib": "joblib",
    "jsonschema": "jsonschema",
    "mim_solvers": "mim-solvers",
    "mujoco": "mujoco",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "osqp": "osqp",
    "piqp": "piqp",
    "pyarrow": "pyarrow",
    "ray": "ray",
    "rerun": "rerun-sdk",
    "rosbags": "rosbags",
    "shtab": "shtab",
    "skrl": "skrl",
    "trimesh": "trimesh",
    "viser": "viser",
    "websockets": "websockets",
}
# Decompressors of damaged bags, tried one after the other.
OPTIONAL = {"backports", "compression", "lz4", "zstandard"}
# Simulation and display: not forced on a robot, installed by a line of doc/simulation.md.
SIMULATION = {
    "controller_manager",
    "forward_command_controller",
    "gz_ros2_control",
    "joint_state_broadcaster",
    "joint_state_topic_hardware_interface",
    "mujoco_ros2_control",
    "ros_gz_bridge",
    "ros_gz_sim",
    "rviz2",
}
OWN = {"mbrl_ros", "support"}
# Needed to launch, though no file names it: the command `ros2 launch`.
UNSEEN = {"ros2launch"}


def named(*kinds: str) -> set[str]:
    return {entry.text for kind in kinds for entry in PACKAGE.findall(kind)}


def imported(*folders: str) -> dict[str, Path]:
    """{top-level module: a file that imports it}, without the standard library and this package."""
    found = {}
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        for module in modules(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(module.partition(".")[0], path)
    return {module: path for module, path in found.items() if module not in sys.stdlib_module_names | OWN}


def modules(tree: ast.AST) -> Iterator[str]:
    """What is imported when the module runs; types for mypy alone are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
        yield from modules(node)


def launched() -> dict[str, Path]:
    """{ROS package: the launch file that starts one of its nodes or reads one of its files}."""
    found = {}
    for path in sorted((ROOT / "launch").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            names = [keyword.value for keyword in node.keywords if keyword.arg == "package"]
            if isinstance(node.func, ast.Name) and node.func.id == "FindPackageShare":
                names += node.args
            for name in (one for given in names for one in either(given)):
                assert isinstance(name, ast.Constant), f"{path.name}: a package's name must be written out"
                found.setdefault(name.value, path)
    return {package: path for package, path in found.items() if package not in OWN}


def either(name: ast.expr) -> tuple[ast.expr, ...]:
    """Return both of `A if ... else B`, or the name itself."""
    return (name.body, name.orelse) if isinstance(name, ast.IfExp) else (name,)


def missing(needed: dict[str, Path], names: set[str]) -> list[str]:
    """What is needed and not named; a module that rosdep knows goes by its name there."""
    return [
        f"{name} ({path.relative_to(ROOT)})" for name, path in needed.items() if ROSDEP.get(name, name) not in names
    ]


def test_everything_imported_is_named():
    needed = {name: path for name, path in imported("mbrl_ros", "launch").items() if name not in {*PYPI, *OPTIONAL}}
    assert missing(needed, named("exec_depend") | {ROSDEP["pytest"]}) == []


def test_everything_launched_is_named_or_installed_by_a_line_of_the_page_on_simulation():
    assert missing(launched(), named("exec_depend") | SIMULATION) == []


def test_everything_tests_import_is_named():
    needed = {name: path for name, path in imported("test").items() if name not in {*PYPI, *OPTIONAL}}
    ros = {
        name: path for name, path in needed.items() if name not in from_setup() | {"onnxruntime", "setuptools", "torch"}
    }
    assert missing(ros, named("exec_depend", "test_depend")) == []


def from_setup() -> set[str]:
    """Names of Python packages in setup.py, as modules."""
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    return {name.replace("-", "_") for name in re.findall(r'"([a-z][\w-]*)(?:\[\w+\])?(?:[>=<~][^"]*)?"', text)}


def test_nothing_is_named_that_nobody_needs():
    ros = {name for name in named("exec_depend") if name not in ROSDEP.values()}
    assert ros - set(imported("mbrl_ros", "launch")) - set(launched()) == UNSEEN


def test_what_only_simulation_needs_is_not_forced_on_a_robot_and_has_its_install_line():
    assert SIMULATION.isdisjoint(named("depend", "exec_depend", "build_depend"))
    page = (ROOT / "doc" / "simulation.md").read_text(encoding="utf-8")
    for package in SIMULATION:
        assert f"ros-$ROS_DISTRO-{package.replace('_', '-')}" in page, package


def test_no_key_is_of_pip_which_the_build_farm_does_not_have():
    keys = named("depend", "build_depend", "exec_depend", "test_depend")
    assert {key for key in keys if key.endswith("-pip")} == set()


def test_every_node_but_the_simulation_is_imported_without_what_is_from_pypi():
    pytest.importorskip("rclpy", reason="needs ROS 2")
    nodes = [path.stem for path in (ROOT / "mbrl_ros" / "nodes").glob("*_node.py") if path.stem != "sim_node"]
    blocked = sorted({*PYPI, "casadi", "matplotlib"})
    code = f"import importlib, sys; sys.modules.update(dict.fromkeys({blocked}))\n"
    code += f"for node in {sorted(nodes)}: importlib.import_module(f'mbrl_ros.nodes.{{node}}')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True)
    assert len(nodes) > 5 and done.returncode == 0, done.stderr


def test_a_controller_loads_no_part_of_scipy_that_takes_long_to_load():
    code = "import sys; from mbrl_ros.controllers import factory, mpc, policy; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, text=True, capture_output=True).stdout
    assert not {"scipy.optimize", "scipy.signal", "scipy.stats", "matplotlib"} & set(said.split())


def test_python_packages_stand_in_setup_py():
    for name in PYPI.values():
        assert name.replace("-", "_") in from_setup(), name


def test_the_package_says_where_it_lives():
    urls = {entry.get("type"): entry.text for entry in PACKAGE.findall("url")}
    assert set(urls) == {"website", "repository", "bugtracker"}
    assert all(url.startswith("https://") for url in urls.values())
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert all(f'"{url}"' in setup for url in urls.values())


def test_the_packages_own_parser_accepts_package_xml():
    parse = pytest.importorskip("catkin_pkg.package", reason="catkin_pkg is not installed").parse_package
    package = parse(str(ROOT / "package.xml"))
    package.evaluate_conditions({})
    assert package.name == "mbrl_ros" and package.get_build_type() == "ament_python"
