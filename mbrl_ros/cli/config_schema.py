"""`mbrl config schema`: the JSON Schema of files of settings."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "print the JSON Schema of files of settings, with which editors complete keys and underline what is wrong"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it to FILE instead")
    parser.epilog = "In an editor with a YAML language server, begin a file with\n# yaml-language-server: $schema=FILE"


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..config.schema import schema

    text = json.dumps(schema(), indent=2) + "\n"
    if args.output:
        args.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0
