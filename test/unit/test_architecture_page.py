"""Every function and class that doc/architecture.md names exists, and every room stands on the page."""

import ast
import re
from functools import cache

import pytest

from support import ROOT

PAGE = ROOT / "doc" / "architecture.md"
PACKAGE = ROOT / "mbrl_ros"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="installed without its documentation")


def text() -> str:
    return PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""


@cache
def defined(file: str) -> set[str]:
    """Functions, classes and methods (Class.method) of a file below mbrl_ros."""
    names = set()
    for node in ast.parse((PACKAGE / file).read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{method.name}" for method in node.body if isinstance(method, ast.FunctionDef)}
    return names


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`([\w/]+\.py:[\w.]+)`", text()))))
def test_what_the_page_names_exists(named):
    file, name = named.split(":")
    assert (PACKAGE / file).is_file(), f"there is no {file}"
    assert name in defined(file), f"{file} has no {name}"


def test_the_way_of_a_joint_state_has_at_most_twelve_stops():
    stops = re.findall(r"^\| (\d+) \| `([\w/]+\.py:[\w.]+)` \|", text(), re.MULTILINE)
    assert [int(number) for number, _ in stops] == list(range(1, len(stops) + 1)) and 8 <= len(stops) <= 12


def test_every_room_stands_in_the_table():
    table = text().split("## The rooms")[1].split("Import order")[0]
    named = set(re.findall(r"`(\w+)/?`", table))
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert rooms <= named, f"not on the page: {sorted(rooms - named)}"
