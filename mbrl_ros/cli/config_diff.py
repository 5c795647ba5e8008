"""`mbrl config diff`: the settings in which two configurations differ."""

from __future__ import annotations

import argparse

from ._settings import add_node_argument

HELP = "show the settings in which two configurations differ, defaults included, each with where its value comes from"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from ..config.parameter_file import NODE_KINDS

    for name, of in (("first", "the first"), ("second", "the second; left out: the defaults")):
        parser.add_argument(
            name,
            nargs=None if name == "first" else "?",
            default="",
            metavar="NAME|FILE",
            help=f"a name from config/ or a YAML file, {of}",
        )
    parser.add_argument("--kind", choices=NODE_KINDS, default="mpc_node", help="whose settings (default: mpc_node)")
    add_node_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the differences; return 1 where there are any, as `diff` does."""
    from ..config.origins import placed
    from ..config.resources import settings_path
    from ..config.scalars import written

    first, second = (
        placed([settings_path(name)] if name else [], kind=args.kind, node=args.node if name else "")
        for name in (args.first, args.second)
    )
    differ = [(one, other) for one, other in zip(first, second, strict=True) if one.value != other.value]
    for one, other in differ:
        unit = f" [{one.info.unit}]" if one.info.unit else ""
        print(f"{one.key}{unit}")
        print(f"  - {written(one.value)}  ({one.origin})")
        print(f"  + {written(other.value)}  ({other.origin})")
    print(f"{len(differ)} of {len(first)} settings differ")
    return 1 if differ else 0
