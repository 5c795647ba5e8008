"""Who may import whom, checked on the syntax tree, so that lazy imports inside functions count too."""

import ast
from pathlib import Path

import pytest

from support import ROOT as REPOSITORY

ROOT = REPOSITORY / "mbrl_ros"
# Bottom up: a room imports from the rooms before its own in this list, and from nothing beside it but its own folder.
# Rooms that are still to come are listed, so that later work finds its place.
LAYERS = (
    ("exceptions",),
    ("types",),
    ("config", "codegen", "console"),
    ("robots", "data"),
    ("costs", "dynamics", "references", "safety", "simulation", "perception", "distillation"),
    ("planners", "messages", "evaluation"),
    ("runtime", "controllers", "tasks"),
    ("learning", "nodes", "replay", "view"),
    ("demo",),
    ("bench",),
    ("cli", "pytest_plugin"),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
ROS = ("rclpy", "rcl_interfaces", "builtin_interfaces", "ament_index_python", "launch", "launch_ros", "tf2_ros")
ROS_SUFFIXES = ("_msgs", "_srvs")
ROS_IN = ("nodes", "demo.session", "bench.node")
CASADI_IN = ("bench.planner", "codegen", "costs", "robots", "planners", "dynamics.priors", "distillation")


def modules() -> dict[str, ast.Module]:
    """{dotted name below mbrl_ros: its tree}; the package itself is ''."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(name: str, tree: ast.Module) -> set[str]:
    """Dotted names of what a module imports; those of this package begin with a dot."""
    is_package = (ROOT / Path(*name.split("."))).is_dir() if name else True
    package = name.split(".") if is_package and name else name.split(".")[:-1]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            found |= {"." + ".".join([*base, alias.name]) for alias in node.names}
    return {f".{target[len('mbrl_ros.') :]}" if target.startswith("mbrl_ros.") else target for target in found}


def room(name: str) -> str:
    """The folder or the root module that a dotted name belongs to."""
    return name.split(".")[0]


MODULES = modules()
ROOMS = {room(name) for name in MODULES if name}
EDGES = {
    (room(name), room(target[1:]))
    for name, tree in MODULES.items()
    for target in imports(name, tree)
    if name and target.startswith(".") and room(target[1:]) in ROOMS and room(target[1:]) != room(name)
}


def test_every_room_has_its_place_in_the_order():
    assert ROOMS <= set(RANK), f"not in LAYERS: {sorted(ROOMS - set(RANK))}"


def test_a_room_imports_only_from_those_below_it_or_beside_it():
    wrong = sorted((upper, lower) for lower, upper in EDGES if RANK[upper] > RANK[lower])
    assert wrong == [], "a room imports one that stands above it"


def test_no_two_rooms_import_each_other():
    assert sorted(edge for edge in EDGES if edge[::-1] in EDGES) == []


def test_few_modules_stand_loose_in_the_root():
    assert len([path for path in ROOT.glob("*.py") if path.name != "__init__.py"]) <= 4


@pytest.mark.parametrize("name", MODULES)
def test_ros_is_imported_only_by_nodes_and_casadi_only_where_expressions_are_built(name):
    roots = {target.split(".")[0] for target in imports(name, MODULES[name]) if not target.startswith(".")}
    if not name.startswith(ROS_IN):
        assert not {root for root in roots if root in ROS or root.endswith(ROS_SUFFIXES)}
    if not name.startswith(CASADI_IN):
        assert "casadi" not in roots


def test_the_rule_sees_what_it_forbids():
    """The checker itself, on a module that breaks every rule."""
    tree = ast.parse("from ..nodes import messages\nfrom . import ilqr\ndef f():\n    import rclpy.node\n")
    assert imports("costs.bad", tree) == {".nodes.messages", ".costs.ilqr", "rclpy.node"}
    assert RANK["nodes"] > RANK["costs"] > RANK["types"]


def test_every_folder_of_modules_is_a_package():
    """find_packages() leaves a folder without __init__.py out of every installation."""
    assert [path.parent for path in ROOT.rglob("*.py") if not (path.parent / "__init__.py").exists()] == []
