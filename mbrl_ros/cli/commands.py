"""`mbrl commands`: every command with its arguments, from the parsers that read them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from . import _pages

HELP = "print every command with its options as Markdown, or update it in a file"
COMMAND = "commands"
ARGUMENT_COLUMNS = ("argument", "default", "meaning")
# A help text may end with its default, which has a column of its own.
DEFAULT_IN_HELP = re.compile(r"(?:^|\s*[(;]\s*)default: ([^()]*?)\)?$")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    _pages.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the sections, or update or check them in a page; return the exit code."""
    return _pages.run(args, COMMAND, sections)


def sections() -> str:
    """Return Markdown: a section for every command."""
    from . import main

    known = main.commands()
    return "\n\n".join(section(words, _parser(known, words)) for words in sorted(known))


def section(words: tuple[str, ...], parser: argparse.ArgumentParser) -> str:
    """Return Markdown: title, description, table of arguments and examples of one command."""
    description = parser.description or ""
    parts = [f"## mbrl {' '.join(words)}", f"{description[:1].upper()}{description[1:]}."]
    rows = list(_rows(parser))
    if rows:
        parts.append(_pages.table(ARGUMENT_COLUMNS, rows))
    if parser.epilog:
        parts.append(f"```\n{parser.epilog.strip()}\n```")
    return "\n\n".join(parts)


def _parser(known: dict[tuple[str, ...], str], words: tuple[str, ...]) -> argparse.ArgumentParser:
    """Return the parser of one command."""
    from . import main

    parser = main.build_parser(known, words)
    for word in words:
        (subparsers,) = (entry for entry in parser._actions if isinstance(entry, argparse._SubParsersAction))
        parser = subparsers.choices[word]
    return parser


def _rows(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, str]]:
    """Yield (argument, default, meaning) of every argument but --help."""
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        meaning = (action.help or "") % {**vars(action), "prog": parser.prog}
        stated = DEFAULT_IN_HELP.search(meaning)
        if stated:
            meaning = meaning[: stated.start()]
        yield f"`{_spelled(action)}`", stated[1] if stated else _default(action.default), meaning


def _spelled(action: argparse.Action) -> str:
    """Return an argument as it is typed: `BAG...`, `-o, --output DIR`."""
    metavar = action.metavar or action.dest.upper()
    value = " ".join(metavar) if isinstance(metavar, tuple) else metavar
    if action.choices is not None:
        value = "|".join(str(choice) for choice in action.choices)
    many = " ..." if action.choices is not None else "..."
    value = {"+": value + many, "*": f"[{value}{many}]", "?": f"[{value}]", "0": ""}.get(str(action.nargs), value)
    if not action.option_strings:
        return value
    return f"{', '.join(action.option_strings)} {value}".rstrip()


def _default(value: object) -> str:
    """Return a default that says something; a switch that is off, or nothing at all, does not."""
    if value is None or value is False or value in ("", [], ()) or value is argparse.SUPPRESS:
        return ""
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else f"{value}"
