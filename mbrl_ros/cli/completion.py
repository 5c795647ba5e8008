"""`mbrl completion`: what a shell completes after `mbrl`, from the parsers that read the arguments.

The script is made by shtab (extra `completion`) and holds all words: completing starts no Python.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

HELP = "print the script with which a shell completes commands, options, choices and files"
SHELLS = ("bash", "zsh", "tcsh")
# What an argument is called that names a file or folder.
NAMES_A_FILE = re.compile(r"\b(FILE|BAG|CSV|DIR|URDF|GOLDEN|POLICY)\b")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("shell", choices=SHELLS, help="for which shell")
    parser.epilog = (
        'in ~/.bashrc:  eval "$(mbrl completion bash)"\nof zsh:  mbrl completion zsh > FOLDER_IN_FPATH/_mbrl'
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    import shtab

    from . import main

    known = main.commands()
    parser = main.build_parser(known, *known)
    for action in _actions(parser):
        names = action.metavar if isinstance(action.metavar, tuple) else (action.metavar or "",)
        if action.choices is None and any(NAMES_A_FILE.search(name) for name in names):
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab reads it there
    print(shtab.complete(parser, args.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of all commands below it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
        else:
            yield action
