"""Generated parts of Markdown pages: text between two marker lines, kept in agreement with the code."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..exceptions import DataError


def markers(command: str) -> tuple[str, str]:
    """Return the lines around the part that `mbrl COMMAND` generates."""
    return f"<!-- {command}: begin (mbrl {command} --update FILE) -->", f"<!-- {command}: end -->"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --update and --check."""
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--update", metavar="FILE", type=Path, help="rewrite the table between the markers of FILE")
    action.add_argument("--check", metavar="FILE", type=Path, help="exit with 1 if the table in FILE is stale")


def run(args: argparse.Namespace, command: str, generate: Callable[[], str]) -> int:
    """Print the generated text, or write it into a page, or compare it with the page; return the exit code."""
    if args.update:
        args.update.write_text(updated(args.update, command, generate()), encoding="utf-8")
    elif args.check:
        if updated(args.check, command, generate()) != args.check.read_text(encoding="utf-8"):
            print(f"{args.check} is stale: run 'mbrl {command} --update {args.check}'")
            return 1
    else:
        print(generate())
    return 0


def updated(path: Path, command: str, generated: str) -> str:
    """Return the text of `path` with `generated` between its markers.

    Raises
    ------
    DataError
        The page lacks the markers.
    """
    begin, end = markers(command)
    text = path.read_text(encoding="utf-8")
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise DataError(f"{path}: put these two lines where the table belongs:\n{begin}\n{end}")
    return f"{before}{begin}\n{generated}\n{end}{after}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a `|` inside a cell is escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
