"""YAML as a tree of what is written in which line, before anything is taken for a value.

Made from the parser's events, since the trees of PyYAML do not keep the tag of a value and resolve aliases,
which ROS refuses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, TypeAlias

import yaml

from ..exceptions import ConfigurationError

try:  # libyaml, which ROS uses too
    from yaml import CSafeLoader as Loader
except ImportError:
    from yaml import SafeLoader as Loader

LARGEST_YAML = 4 << 20  # of a file of settings; a robot description may be one of them
DEEPEST_YAML = 50  # lists and mappings within each other
MOST_NODES = 200_000
TEXT_TAG = "tag:yaml.org,2002:str"


@dataclasses.dataclass(frozen=True)
class Scalar:
    """One value as it is written; quoted: it is in quotes or has the tag !!str."""

    text: str
    quoted: bool
    line: int


@dataclasses.dataclass(frozen=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    line: int


@dataclasses.dataclass(frozen=True)
class Mapping:
    """Pairs of a key and what belongs to it, in the order of the file; a key may occur twice."""

    pairs: tuple[tuple[Scalar, Node], ...]
    line: int


Node: TypeAlias = Scalar | Sequence | Mapping


def tree(text: str, source: str = "") -> list[Node]:
    """Return the documents of a YAML text; an empty one has none.

    Raises
    ------
    ConfigurationError
        It is no YAML, or uses what ROS refuses: aliases, or keys that are no text. The line is named.
    """
    try:
        events = _bounded(yaml.parse(text, Loader=Loader), source)
        return [_node(events, event, source) for event in events if not isinstance(event, _MARKERS)]
    except yaml.YAMLError as error:
        raise _unreadable(text, error, source) from None


def _bounded(events: Iterator[Any], source: str) -> Iterator[Any]:
    """Pass events on; an error where they are more, or deeper within each other, than a person writes."""
    depth = 0
    for count, event in enumerate(events):
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            depth -= 1
        if depth > DEEPEST_YAML or count > MOST_NODES:
            what = (
                f"more than {DEEPEST_YAML} lists within each other"
                if depth > DEEPEST_YAML
                else f"over {MOST_NODES} values"
            )
            raise at(source, event.start_mark.line + 1, f"holds {what}; no file of settings does")
        yield event


_MARKERS = (
    yaml.StreamStartEvent,
    yaml.StreamEndEvent,
    yaml.DocumentStartEvent,
    yaml.DocumentEndEvent,
)


def _node(events: Iterator[Any], event: Any, source: str) -> Node:
    """Take from `events` what belongs to the node that begins with `event`."""
    line = event.start_mark.line + 1
    if isinstance(event, yaml.ScalarEvent):
        return Scalar(event.value, event.style in ("'", '"') or event.tag == TEXT_TAG, line)
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_node(events, event, source))
        return Sequence(tuple(items), line)
    if isinstance(event, yaml.MappingStartEvent):
        pairs = []
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = _node(events, event, source)
            if not isinstance(key, Scalar) or not key.text:
                raise at(source, line, "a key must be text")
            pairs.append((key, _node(events, next(events), source)))
        return Mapping(tuple(pairs), line)
    raise at(source, line, "ROS does not read aliases (*NAME) in a parameter file; write the value out")


def _unreadable(text: str, error: yaml.YAMLError, source: str) -> ConfigurationError:
    """Say in one line what is wrong with the YAML."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if mark is None:
        return ConfigurationError(f"is no YAML: {' '.join(str(error).split())}", source=source)
    lines = text.splitlines()
    written = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return at(source, mark.line + 1, "is indented with a tab; YAML allows only spaces there")
    context = error.context if isinstance(error, yaml.MarkedYAMLError) and error.context else ""
    return at(source, mark.line + 1, f"is no YAML: {context}{', ' * bool(context)}{error.problem}")


def at(source: str, line: int, message: str, **about: Any) -> ConfigurationError:
    """Make an error that begins with the file and the line."""
    return ConfigurationError(message, source=f"{source}:{line}" if source else f"line {line}", **about)
