"""What doc/notes.md names exists: files and functions, settings, commands with their options, tests."""

import argparse
import ast
import re
from functools import cache

import pytest

from mbrl_ros.cli import main
from mbrl_ros.cli._settings import assignments
from mbrl_ros.config import registry
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.learning.catalog import LEARNING_METHODS, settings_of
from support import ROOT

PAGE = ROOT / "doc" / "notes.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="installed without its documentation")
HEAD = ["formula", "where", "setting", "command", "test"]
ABSENT = "-"


def rows():
    """The cells of every row of the page's tables, without their heads."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if row != HEAD]


@cache
def defined(path):
    """Functions, classes and methods (Class.method) of a file."""
    names = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{method.name}" for method in node.body if isinstance(method, ast.FunctionDef)}
    return names


def code(cell):
    """The text of a cell that is code; None for a dash."""
    if cell == ABSENT:
        return None
    found = re.fullmatch(r"`([^`]+)`", cell)
    assert found, f"neither code nor a dash: {cell}"
    return found[1]


def assert_defined(place):
    path, _, name = place.partition(":")
    assert (ROOT / path).is_file(), f"there is no {path}"
    assert name in defined(path), f"{path} has no {name}"


def options_of(words):
    """The options and arguments of a command, and the words behind its name."""
    known = main.commands()
    name = main.chosen(words, known)
    at = main.build_parser(known, name)
    for word in name:
        (group,) = (action for action in at._actions if isinstance(action, argparse._SubParsersAction))
        at = group.choices[word]
    return at._actions, words[len(name) :]


def assert_command(text):
    """Every word is a command, an option of it, or a value that exists."""
    program, *words = text.split()
    assert program == "mbrl"
    actions, words = options_of(words)
    options = {name: action for action in actions for name in action.option_strings}
    action = next((action for action in actions if not action.option_strings and action.choices), None)
    method = None
    for word in words:
        if word.startswith("--"):
            assert word in options, f"{text}: there is no {word}"
            action = options[word]
        elif action is not None and action.choices is not None:
            assert word in action.choices, f"{text}: {word}"
        elif action is not None and action.dest == "planners":
            assert word in registry.names("planner"), f"{text}: {word}"
        elif action is not None and action.dest == "method":
            assert word in LEARNING_METHODS, f"{text}: {word}"
            method = word
        elif action is not None and action.dest == "set" and method is not None:
            settings_of(method).from_mapping(assignments([word]))
        else:
            raise AssertionError(f"{text}: {word} is nothing that is known")


def test_the_page_has_rows():
    assert len(rows()) > 40 and all(len(row) == len(HEAD) for row in rows())


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_what_a_row_names_exists(row):
    formula, where, setting, command, test = row
    assert formula
    assert_defined(f"mbrl_ros/{code(where)}")
    assert_defined(code(test))
    assert code(test).startswith("test/unit/") and code(test).partition(":")[2].startswith("test_")
    if code(setting):
        assert code(setting) in Configuration().flat(), f"there is no setting {setting}"
    if code(command):
        assert_command(code(command))


@pytest.mark.parametrize(
    "place",
    ["mbrl_ros/planners/lqr.py:solves", "mbrl_ros/planners/lq.py:solve", "test/unit/planners/test_mcts.py:test_gone"],
)
def test_a_place_that_is_gone_is_found(place):
    with pytest.raises(AssertionError):
        assert_defined(place)


@pytest.mark.parametrize(
    "command",
    [
        "mbrl plan",
        "mbrl learn --way pets",
        "mbrl learn --method pet",
        "mbrl fit-prior --kind gm",
        "mbrl policy merges",
        "mbrl learn --method pets --set propagation=ts2",
    ],
)
def test_a_command_that_is_gone_is_found(command):
    with pytest.raises((AssertionError, ConfigurationError)):
        assert_command(command)
