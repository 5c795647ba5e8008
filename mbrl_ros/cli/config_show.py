"""`mbrl config show`: every setting of a node, with the place that gives its value."""

from __future__ import annotations

import argparse
import json

from ._settings import add_node_argument, assignments

HELP = "show every setting of a node with its value, unit and where it comes from: default, file and line, or --set"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from ..config.parameter_file import NODE_KINDS

    parser.add_argument(
        "files", nargs="*", metavar="NAME|FILE", help="names from config/ or YAML files; of several the later one wins"
    )
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings that win over the files")
    parser.add_argument("--key", nargs="+", default=[], metavar="PREFIX", help="only keys that begin with one of these")
    parser.add_argument("--given", action="store_true", help="only what a file or --set gives")
    parser.add_argument("--kind", choices=NODE_KINDS, default="mpc_node", help="whose settings (default: mpc_node)")
    add_node_argument(parser)
    parser.add_argument("--json", action="store_true", help="print {key: {value, default, unit, origin}} instead")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..config.origins import placed
    from ..config.resources import settings_path
    from ..config.scalars import written
    from ..exceptions import ConfigurationError, nearest

    found = placed([settings_path(name) for name in args.files], assignments(args.set), kind=args.kind, node=args.node)
    keys = [entry.key for entry in found]
    for prefix in args.key:
        if not any(key.startswith(prefix) for key in keys):
            raise ConfigurationError(f"no setting begins with '{prefix}'; did you mean '{nearest(prefix, keys)}'?")
    chosen = [
        entry
        for entry in found
        if (entry.given or not args.given) and (not args.key or entry.key.startswith(tuple(args.key)))
    ]
    if args.json:
        entries = {
            e.key: {"value": e.value, "default": e.default, "unit": e.info.unit, "origin": e.origin} for e in chosen
        }
        print(json.dumps(entries, indent=2))
        return 0
    rows = [(f"{entry.key}: {_short(written(entry.value))}", entry.info.unit, entry.origin) for entry in chosen]
    widths = [min(max((len(row[column]) for row in rows), default=0), WIDEST_COLUMN) for column in (0, 1)]
    for text, unit, origin in rows:
        print(f"{text:<{widths[0]}}  {unit:<{widths[1]}}  {origin}".rstrip())
    return 0


WIDEST_COLUMN = 72  # characters of a column; longer ones push what follows to the right


def _short(text: str) -> str:
    """Cut a value that is long, such as the text of a URDF."""
    return text if len(text) <= WIDEST_COLUMN else f"{text[: WIDEST_COLUMN - 3]}..."
