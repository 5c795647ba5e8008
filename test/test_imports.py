"""Who may import whom, checked on the syntax tree, so that lazy imports inside functions count too."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "mbrl_ros"
# Bottom up: a module imports from its own layer and those before it in this list. The longest name that fits counts;
# a module at the top level that is not listed stands with the controller.
LAYERS = (
    ("exceptions", "types", "settings", "node_settings", "plugins", "configuration", "share", "inputs", "tick_log", "timing",
     "planners.compiler"),
    ("costs", "data", "dynamics", "perception", "references", "robots", "simulation"),
    ("distillation", "planners"),
    ("controller", "conversion", "evaluation", "evaluation_plots", "fitting", "follower", "pid", "supervisor"),
    ("demo",),
    ("nodes",),
    ("cli", "demo.present", "pytest_plugin", "replay"),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
ROS = ("rclpy", "rcl_interfaces", "builtin_interfaces", "ament_index_python", "launch", "launch_ros", "tf2_ros")
ROS_SUFFIXES = ("_msgs", "_srvs")
CASADI_IN = ("costs", "robots", "planners", "dynamics.priors", "distillation")


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
    return {f".{target[len('mbrl_ros.'):]}" if target.startswith("mbrl_ros.") else target for target in found}


def rank(name: str) -> int:
    """The layer of a dotted name."""
    parts = name.split(".")
    around = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((RANK[part] for part in around if part in RANK), RANK["controller"])


MODULES = modules()
TOP = {name.split(".")[0] for name in MODULES if name}


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_a_module_imports_only_from_its_own_layer_and_below(name):
    for target in imports(name, MODULES[name]):
        if target.startswith(".") and target[1:].split(".")[0] in TOP:
            assert rank(target[1:]) <= rank(name), f"{name} imports {target[1:]}, which stands above it"


@pytest.mark.parametrize("name", MODULES)
def test_ros_is_imported_only_by_nodes_and_casadi_only_where_expressions_are_built(name):
    roots = {target.split(".")[0] for target in imports(name, MODULES[name]) if not target.startswith(".")}
    if not name.startswith("nodes"):
        assert not {root for root in roots if root in ROS or root.endswith(ROS_SUFFIXES)}
    if not name.startswith(CASADI_IN):
        assert "casadi" not in roots


def test_the_rule_sees_what_it_forbids():
    """The checker itself, on a module that breaks every rule."""
    tree = ast.parse("from ..nodes import messages\nfrom . import ilqr\ndef f():\n    import rclpy.node\n")
    assert imports("costs.bad", tree) == {".nodes.messages", ".costs.ilqr", "rclpy.node"}
    assert rank("nodes.messages") > rank("costs.bad") and rank("planners.compiler") < rank("planners.ilqr")


def test_every_folder_of_modules_is_a_package():
    """find_packages() leaves a folder without __init__.py out of every installation."""
    assert [path.parent for path in ROOT.rglob("*.py") if not (path.parent / "__init__.py").exists()] == []
