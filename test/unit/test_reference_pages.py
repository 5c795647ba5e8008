"""Reference pages of doc/ that are written by hand say what the code says."""

import ast
import re

from mbrl_ros.safety.state_machine import Reason
from support import ROOT
from support.needs import needs


def page(name: str) -> str:
    return (ROOT / "doc" / f"{name}.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    level = heading.count("#")
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, heading
    return re.split(rf"^#{{1,{level}}} ", rest, flags=re.MULTILINE)[0]


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]*)` \|", text, re.MULTILINE)


def test_the_page_on_safety_names_every_reason_with_its_flag():
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", section(page("safety"), "## Reasons"), re.MULTILINE)
    assert [(name, int(flag)) for name, flag in rows] == [(reason.name, reason.value) for reason in Reason if reason]


@needs("rclpy")
def test_the_page_on_topics_names_every_field_of_the_status():
    from mbrl_ros.nodes.status import FIELDS

    assert first_cells(section(page("topics"), "### Status fields")) == list(FIELDS)


def arguments(path) -> dict[str, tuple[str | None, str]]:
    """{argument of a launch file: (its default, None where the page spells it otherwise, and its description)}."""
    found = {}
    lists = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.List))
    for node in (entry for listed in lists for entry in listed.elts):
        call = node.value if isinstance(node, ast.Starred) else node
        called = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
        if called == "shared.arguments":
            found.update(arguments(ROOT / "mbrl_ros" / "nodes" / "launching_ros2_control.py"))
        if called == "DeclareLaunchArgument":
            options = {keyword.arg: keyword.value for keyword in call.keywords}
            default = options.get("default_value")
            spelled = None
            if isinstance(default, ast.Constant):
                spelled = f"`{default.value}`" if default.value else ""
            found[call.args[0].value] = (spelled, options["description"].value)
    return found


def test_the_page_on_launch_files_has_every_file_and_every_argument():
    files = sorted((ROOT / "launch").glob("*.launch.py"))
    assert re.findall(r"^## (.*\.launch\.py)$", page("launch"), re.MULTILINE) == [path.name for path in files]
    for path in files:
        text = section(page("launch"), f"## {path.name}")
        declared = arguments(path)
        assert first_cells(text) == list(declared), path.name
        for name, (default, description) in declared.items():
            (shown, said) = re.search(rf"^\| `{name}` \| (.*?) ?\| (.*) \|$", text, re.MULTILINE).groups()
            assert said == description, (path.name, name)
            assert default is None or shown == default, (path.name, name)


def test_the_page_on_installation_has_every_extra():
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (extras,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXTRAS"
    )
    rows = re.findall(r"^\| (`.*?`) \|", section(page("installation"), "### Extras"), re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"`([^`]*)`", row)] == [key.value for key in extras.keys]


def test_every_guarantee_on_the_page_on_safety_is_kept_by_a_test_that_exists():
    rows = re.findall(r"^\| (.*) \| (.*) \|$", section(page("safety"), "## Guarantees"), re.MULTILINE)
    rows = [(what, kept) for what, kept in rows if what != "guarantee"]
    assert len(rows) > 40
    for what, kept in rows:
        tests = re.findall(r"\[`([\w.]+)`\]\(\.\./(test/[\w/]+\.py)\)", kept)
        assert tests, what
        for name, path in tests:
            text = (ROOT / path).read_text(encoding="utf-8")
            assert path.endswith(f"/{name}") or re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), name
