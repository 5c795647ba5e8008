"""Read a file of settings as a ROS 2 node does that is started with it: the only reader in this package.

A parameter file holds blocks, each under the name of a node, and the name may be spread over several levels:

    /**:                        every node
      ros__parameters: {robot: {tip: hand}}
    /**/mpc_node:               every node called mpc_node
      ros__parameters: {control: {rate: 100.0}}
    arm1:                       the node /arm1/mpc_node
      mpc_node:
        ros__parameters: {control.rate: 200.0}

`*` stands for one part of a name and `**` for any number of parts, none included. The blocks that match a node are
merged in the order in which their names first occur in the file, and the later one wins, whichever is more specific.
Parameters are nested or written with dots. (rcl_yaml_param_parser, parse.c; rclpy, node.cpp.)

A file without `ros__parameters` holds plain sections, `control: {rate: 100.0}`, for one robot. Only tools read it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from ..exceptions import ConfigurationError, similar
from ..files import read_text
from .entries import Entry, entry_of
from .yaml_tree import LARGEST_YAML, Mapping, Node, Scalar, at, tree

KEY = "ros__parameters"
# The nodes of this package. A heading that is nearly one of them is taken for a mistake.
NODE_KINDS = (
    "mpc_node",
    "sim_node",
    "feature_node",
    "distillation_node",
    "record_node",
    "replay_node",
    "model_health_node",
)
_MISSPELT = re.compile(r"_*ros[_-]*param(eter)?s?_*", re.IGNORECASE)
_HEADING = re.compile(r"/?(\*\*|\*|[A-Za-z_]\w*)(/(\*\*|\*|[A-Za-z_]\w*))*", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Block:
    """The parameters under one heading."""

    heading: str
    line: int
    entries: dict[str, Entry] = dataclasses.field(default_factory=dict)

    @property
    def parts(self) -> list[str]:
        """The parts of the heading: ['**', 'mpc_node']."""
        return self.heading.strip("/").split("/")

    def matches(self, node: str) -> bool:
        """Tell whether the block holds for the node with this full name."""
        pattern = "".join(
            r"(/\w+)*" if part == "**" else r"/\w+" if part == "*" else "/" + re.escape(part) for part in self.parts
        )
        return re.fullmatch(pattern, node, re.ASCII) is not None


class ParameterFile:
    """The blocks of one file by heading, in order; `sections`: the entries of a file of plain sections, else None."""

    def __init__(self, source: str, blocks: dict[str, Block], sections: dict[str, Entry] | None = None):
        self.source, self.blocks, self.sections = source, blocks, sections

    @classmethod
    def read(cls, path: str | Path) -> ParameterFile:
        """Read a file.

        Raises
        ------
        ConfigurationError
            It cannot be read, or its form is wrong. File and line are named, and what to write instead.
        """
        source = str(path)
        try:
            text = read_text(path, LARGEST_YAML)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"cannot be read: {error}", source=source) from None
        documents = [root for root in tree(text, source) if not isinstance(root, Scalar) or root.text]
        for root in documents:
            if not isinstance(root, Mapping):
                raise at(source, root.line, "must hold a mapping: names of nodes, or of sections")
        roots = [root for root in documents if isinstance(root, Mapping)]
        blocks: dict[str, Block] = {}
        if not any(_names_nodes(root, source) for root in roots):
            return cls(source, blocks, _sections(roots, source))
        for root in roots:
            _collect(root, "", root.line, blocks, source)
        return cls(source, blocks)

    def node(self, kind: str, wanted: str = "") -> str:
        """Return the full name of the node of one kind ("mpc_node") whose parameters a tool uses.

        wanted: the name that --node gives. Without it the file must hold parameters of one node of this kind only.

        Raises
        ------
        ConfigurationError
            The file holds parameters of several nodes of this kind, or none of the node that is wanted.
        """
        if self.sections is not None:
            if wanted:
                raise ConfigurationError(
                    "holds sections and names no nodes; leave out --node", value=wanted, source=self.source
                )
            return f"/{kind}"
        if wanted:
            node = "/" + wanted.strip("/")
            if not any(block.matches(node) for block in self.blocks.values()):
                raise ConfigurationError(
                    f"holds nothing for the node {node}; its headings are {list(self.blocks)}",
                    value=wanted,
                    source=self.source,
                )
            return node
        self._misspelt()
        names = [name for block in self.blocks.values() for name in _names(block.parts, kind)]
        known = list(dict.fromkeys(name for name in names if "*" not in name))
        if len(known) > 1 or (names and not known):
            example = known[0] if known else names[0].replace("*", "NAMESPACE")
            about = f"several nodes: {', '.join(known)}" if known else f"nodes in any namespace: {', '.join(names)}"
            raise ConfigurationError(
                f"holds parameters of {about}; choose one with --node {example}", source=self.source
            )
        return known[0] if known else f"/{kind}"

    def nodes(self) -> list[tuple[str, str]]:
        """Return (kind, full name) of the nodes of this package that the headings name; mpc_node where they name none.

        A part `*` of a namespace, which may be any name, is called `any`.

        Raises
        ------
        ConfigurationError
            A heading is nearly the name of a node of this package.
        """
        self._misspelt()
        named = []
        for kind in NODE_KINDS:
            for block in self.blocks.values():
                if block.parts[-1] == kind:
                    names = _names(block.parts, kind)
                    named.append((kind, next(names, f"/{kind}").replace("*", "any")))
        return list(dict.fromkeys(named)) or [("mpc_node", "/mpc_node")]

    def entries(self, node: str) -> dict[str, Entry]:
        """Merge the parameters of the node with this full name; of a file of sections, all.

        Raises
        ------
        ConfigurationError
            A value of this node is one that ROS reads as something else than what is meant, or one that ROS refuses.
        """
        merged: dict[str, Entry] = {}
        for block in self.blocks.values():
            matches = block.matches(node)
            for name, entry in block.entries.items():
                if entry.problem and (matches or entry.refused):
                    raise at(self.source, entry.line, f"'{name}' {entry.problem}", key=name)
            if matches:
                merged |= block.entries
        for name, entry in (self.sections or {}).items():
            if entry.problem:
                raise at(self.source, entry.line, f"'{name}' {entry.problem}", key=name)
            merged[name] = entry
        return merged

    def find(self, name: str) -> list[Entry]:
        """Return all entries for the parameter `name`, of whatever node."""
        return [block.entries[name] for block in self.blocks.values() if name in block.entries]

    def _misspelt(self) -> None:
        """Raise an error for a heading that is nearly the name of a node of this package."""
        for block in self.blocks.values():
            name = block.parts[-1]
            if "*" not in name and name not in NODE_KINDS and (close := similar(name, NODE_KINDS)):
                raise at(
                    self.source,
                    block.line,
                    f"no node is called '{name}'; did you mean '{close}'? Another node is chosen with --node NAME",
                )


def _names(parts: list[str], kind: str) -> Iterator[str]:
    """Yield the full name of the node of a kind that a heading names; none if it holds for nodes of any name.

    A part `*` stays in the name: the heading leaves this part of the namespace open.
    """
    *namespace, name = parts
    certain = [part for part in namespace if part != "**"]
    if name in (kind, "*", "**") and (certain or parts == [kind]):
        yield "/" + "/".join([*certain, kind])


def _names_nodes(node: Node, source: str) -> bool:
    """Tell whether `ros__parameters` occurs; an error where it is nearly that."""
    if not isinstance(node, Mapping):
        return False
    found = False
    for key, value in node.pairs:
        if key.text != KEY and (key.text.startswith(KEY) or _MISSPELT.fullmatch(key.text)):
            raise at(source, key.line, f"'{key.text}' must be spelt '{KEY}', with two underscores")
        found = found or key.text == KEY or _names_nodes(value, source)
    return found


def _collect(mapping: Mapping, prefix: str, line: int, blocks: dict[str, Block], source: str) -> None:
    """Add the blocks of a mapping of names; prefix, line: the names above it, and the line of the last."""
    _refuse_duplicates(mapping, source)
    for key, value in mapping.pairs:
        heading = f"{prefix}{'/' * bool(prefix and not prefix.endswith('/'))}{key.text}"
        if key.text == KEY:
            if not prefix:
                raise at(source, key.line, f"there is no name of a node above '{KEY}'; write '/**:' for every node")
            if not isinstance(value, Mapping):
                raise at(source, key.line, f"'{KEY}' of '{prefix}' must hold parameters; write {{}} for none")
            if not _HEADING.fullmatch(prefix):
                raise at(source, line, f"'{prefix}' is no name of a node; * and ** replace whole parts")
            if prefix in blocks:
                raise at(source, line, f"'{prefix}' is given twice, first in line {blocks[prefix].line}")
            block = Block(prefix, line)
            blocks[prefix] = block
            _flatten(value, "", block.entries, source)
        elif any(other.text == KEY for other, _ in mapping.pairs):
            raise at(source, key.line, f"'{key.text}' is beside '{KEY}'; write it below that, or as another heading")
        elif isinstance(value, Mapping) and value.pairs:
            _collect(value, heading, key.line, blocks, source)
        else:
            top = heading.strip("/").split("/")[0]
            raise at(
                source, key.line, f"'{top}' has no '{KEY}'; write NODE: {KEY}: above its settings, /** for every node"
            )


def _sections(roots: list[Mapping], source: str) -> dict[str, Entry]:
    """Return the entries of a file of plain sections."""
    entries: dict[str, Entry] = {}
    for root in roots:
        for key, _ in root.pairs:
            if "/" in key.text or "*" in key.text or key.text in NODE_KINDS:
                raise at(source, key.line, f"'{key.text}' has no '{KEY}'; write it between the node and its settings")
        _flatten(root, "", entries, source)
    return entries


def _flatten(mapping: Mapping, prefix: str, entries: dict[str, Entry], source: str) -> None:
    """Add the parameters of a mapping under their names with dots."""
    _refuse_duplicates(mapping, source)
    for key, value in mapping.pairs:
        name = prefix + key.text
        if isinstance(value, Mapping):
            if not value.pairs:
                raise at(source, key.line, f"'{name}' holds nothing; remove it")
            _flatten(value, f"{name}.", entries, source)
        elif name in entries:
            raise at(source, key.line, f"'{name}' is given twice, first in line {entries[name].line}")
        else:
            entries[name] = entry_of(value, key.line)


def _refuse_duplicates(mapping: Mapping, source: str) -> None:
    """Raise an error for a key that occurs twice: ROS would use one of the two without a word."""
    seen: dict[str, int] = {}
    for key, _ in mapping.pairs:
        if key.text in seen:
            raise at(source, key.line, f"'{key.text}' is given twice, first in line {seen[key.text]}")
        seen[key.text] = key.line
