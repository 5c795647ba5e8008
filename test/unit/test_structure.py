"""Who may import whom, how long code may be and what it may not contain, checked on the syntax trees.

Imports inside functions count too; for circles inside a room only what is imported with the module counts.
"""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from support import ROOT as REPOSITORY

ROOT = REPOSITORY / "mbrl_ros"
# Bottom up: a room imports from the rooms before its own in this list, and from nothing beside it but its own folder.
# Rooms that are still to come are listed, so that later work finds its place.
LAYERS = (
    ("exceptions", "guard"),
    ("types", "files"),
    ("config", "codegen", "console"),
    ("robots", "data", "collision"),
    ("costs", "dynamics", "references", "safety", "simulation", "vision", "distillation"),
    ("planners", "messages", "evaluation", "scenarios"),
    ("runtime", "controllers", "tasks"),
    ("learning", "nodes", "replay", "view"),
    ("demo",),
    ("bench",),
    ("cli", "pytest_plugin"),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
CORE = (
    "types",
    "exceptions",
    "config",
    "safety",
    "references",
    "costs",
    "dynamics",
    "planners",
    "controllers",
    "runtime",
    "messages",
)
ROS = ("rclpy", "rcl_interfaces", "builtin_interfaces", "ament_index_python", "launch", "launch_ros", "tf2_ros")
ROS_SUFFIXES = ("_msgs", "_srvs")
ROS_IN = ("nodes", "demo.session", "bench.node")
CASADI_IN = (
    *(
        "bench.planner",
        "codegen",
        "collision",
        "costs",
        "robots",
        "planners",
        "dynamics.priors",
        "distillation",
        "tasks",
    ),
    "collision",
    "learning.gradients",
)

# Where the core asks what a thing is by the names it has, and why it may: {"module: expression": reason}.
ASKED_BY_NAME: dict[str, str] = {}
SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:)")
WITH_REASON = re.compile(
    r"# (noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|type: ignore\[[\w-]+(, ?[\w-]+)*\]|pragma: no cover)  (# |\()\w+"
)
LINES, TEST_LINES, NODE_LINES, FUNCTION_LINES = 300, 500, 200, 60
TYPE_IGNORES = 20  # in the package
FOLDERS = sorted(path for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__")
FOLDERS = [
    *FOLDERS,
    ROOT,
    *(
        REPOSITORY / name
        for name in ("launch", "benchmark", ".ci", "test/unit", "test/integration", "test/launch", "test/support")
    ),
]


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


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
    targets = imports(name, MODULES[name])
    roots = {target.split(".")[0] for target in targets if not target.startswith(".")}
    if not name.startswith(ROS_IN):
        assert not {root for root in roots if root in ROS or root.endswith(ROS_SUFFIXES)}
    if not name.startswith(CASADI_IN):
        assert "casadi" not in roots
        assert not {target for target in targets if target.startswith(".codegen.symbolic")}
    if name not in ("codegen.symbolic", "codegen.units"):
        assert "casadi" not in roots, "write `from ..codegen.symbolic import casadi`: a robot can do without it"


def test_the_rule_sees_what_it_forbids():
    """The checker itself, on a module that breaks every rule."""
    tree = ast.parse("from ..nodes import messages\nfrom . import ilqr\ndef f():\n    import rclpy.node\n")
    assert imports("costs.bad", tree) == {".nodes.messages", ".costs.ilqr", "rclpy.node"}
    assert RANK["nodes"] > RANK["costs"] > RANK["types"]


def test_every_folder_of_modules_is_a_package():
    """find_packages() leaves a folder without __init__.py out of every installation."""
    assert [path.parent for path in ROOT.rglob("*.py") if not (path.parent / "__init__.py").exists()] == []


# --- circles inside a room ---


def run_on_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node but those in functions and those that only a type checker reads."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)


def dependencies() -> dict[str, set[str]]:
    """{module: modules of this package that are imported before it is ready}; a package stands for its __init__.py."""
    found = {}
    for name, tree in MODULES.items():
        statements = ast.Module([n for n in run_on_import(tree) if isinstance(n, (ast.Import, ast.ImportFrom))], [])
        targets = {target[1:] for target in imports(name, statements) if target.startswith(".")}
        # `from .a import b` names a module b, or a name in a.
        known = {target if target in MODULES else target.rpartition(".")[0] for target in targets}
        found[name] = {target for target in known if target and target != name}
    return found


def test_what_only_a_function_or_a_type_checker_imports_makes_no_circle():
    text = """
import a
if TYPE_CHECKING:
    import b
else:
    import c
def f():
    import d
try:
    import e
finally:
    pass
"""
    found = [node.names[0].name for node in run_on_import(ast.parse(text)) if isinstance(node, ast.Import)]
    assert sorted(found) == ["a", "c", "e"]


def test_no_circle_of_imports():
    try:
        TopologicalSorter(dependencies()).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' -> '.join(reversed(error.args[1]))}")


# --- lengths and habits, folder by folder ---


def sources(folder: Path) -> list[Path]:
    """The Python files of a folder and those below it; of the package's root only its own."""
    return sorted(folder.glob("*.py") if folder == ROOT else folder.rglob("*.py"))


every_folder = pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
folders_of_tests = pytest.mark.parametrize("folder", [path for path in FOLDERS if "test" in path.parts], ids=name_of)


@every_folder
def test_files_are_short(folder):
    """A file that is longer has more than one job: split it along its responsibilities."""
    found = {}
    for path in sources(folder):
        most = TEST_LINES if path.is_relative_to(REPOSITORY / "test") else LINES
        most = NODE_LINES if path.match("mbrl_ros/nodes/*_node.py") else most
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > most:
            found[name_of(path)] = f"{lines} lines, at most {most}"
    assert found == {}


@every_folder
def test_functions_are_short(folder):
    found = {
        f"{name_of(path)}:{node.lineno} {node.name}": f"{lines} lines, at most {FUNCTION_LINES}"
        for path in sources(folder)
        for node in ast.walk(tree_of(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (lines := node.end_lineno - node.lineno + 1) > FUNCTION_LINES
    }
    assert found == {}


def asks_by_name(node: ast.AST) -> bool:
    """Whether it is hasattr(x, ...) or getattr(x, "name", ...)."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return False
    return node.func.id == "hasattr" or (
        node.func.id == "getattr" and len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
    )


@pytest.mark.parametrize("name", CORE)
def test_the_core_knows_what_a_thing_is_from_its_type(name):
    """Declare it in a Protocol, or give ASKED_BY_NAME a reason."""
    found = {
        f"{module}: {ast.unparse(node)}"
        for module, tree in MODULES.items()
        if room(module) == name
        for node in ast.walk(tree)
        if asks_by_name(node)
    }
    assert found - ASKED_BY_NAME.keys() == set()


def suppressions(path: Path) -> Iterator[tuple[str, str]]:
    """(file and line, comment) of every finding of a checker that is switched off."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT and SUPPRESSION.match(token.string):
            yield f"{name_of(path)}:{token.start[0]}", token.string


@every_folder
def test_a_suppressed_finding_has_its_code_and_its_reason(folder):
    """Write `# noqa: CODE  # reason`, `# type: ignore[code]  # reason`, `# pragma: no cover  # reason`."""
    found = {
        place: comment
        for path in sources(folder)
        for place, comment in suppressions(path)
        if not WITH_REASON.match(comment)
    }
    assert found == {}


def test_few_types_are_ignored():
    paths = [path for path in ROOT.rglob("*.py") if "__pycache__" not in path.parts]
    found = [place for path in paths for place, comment in suppressions(path) if "type:" in comment]
    assert len(found) <= TYPE_IGNORES, found


@folders_of_tests
def test_no_module_skips_itself_while_it_is_imported(folder):
    """Use `pytestmark = needs(...)` of support/needs.py, which says what such a skip would do."""
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in sources(folder)
        for node in run_on_import(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("pytest.importorskip", "pytest.skip")
    ]
    assert found == []


@folders_of_tests
def test_no_test_module_imports_another(folder):
    """What two modules use is in test/support."""
    found = [
        f"{name_of(path)}: {name}"
        for path in sources(folder)
        for node in ast.walk(tree_of(path))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        if name.split(".")[-1].startswith("test_") or name.split(".")[0] in ("conftest", "test")
    ]
    assert found == []


# One meaning in every module: the one-line help of a command, the kind and version of a file or message, generic types.
SHARED_CONSTANTS = {"HELP", "COMMAND", "KIND", "VERSION", "S", "T"}


def constants(tree: ast.Module) -> set[str]:
    """Names in capitals that a module assigns."""
    targets = [
        target
        for node in tree.body
        for target in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)])
    ]
    names = [e for target in targets for e in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return {name.id for name in names if isinstance(name, ast.Name) and name.id.strip("_").isupper()}


def test_constants_of_one_name_mean_one_thing():
    owners = {}
    for name, tree in MODULES.items():
        for constant in constants(tree) - SHARED_CONSTANTS:
            owners.setdefault(constant, []).append(name)
    assert {constant: found for constant, found in owners.items() if len(found) > 1} == {}


def test_no_two_test_files_have_one_name():
    """pytest imports them by their names alone, since the folders are no packages."""
    names = Counter(path.name for path in (REPOSITORY / "test").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
