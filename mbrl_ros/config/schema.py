"""JSON Schema of files of settings, for editors: they complete keys, show descriptions and underline what is wrong.

The same declarations as everywhere make it (config/section.py), plug-ins of other packages included. A setting may be
nested or written with dots, as ROS 2 reads both. What only ROS decides, such as that `5e-2` is a number there and no
text as in YAML 1.1, and what concerns several settings, a schema cannot say: `mbrl config validate` does.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from typing import Any

from .parameter_file import KEY, NODE_KINDS
from .section import Info, Section
from .settings_file import OF_ROS, OF_ROS_PREFIX, sections_of

DRAFT = "http://json-schema.org/draft-07/schema#"
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def schema() -> dict[str, Any]:
    """Return the schema of a parameter file: blocks of nodes, below each `ros__parameters` with its settings."""
    definitions: dict[str, Any] = {}
    for kind in NODE_KINDS:
        definitions[kind] = _parameters(sections_of(kind), definitions)
    every = {"anyOf": [{"$ref": f"#/definitions/{kind}"} for kind in NODE_KINDS]}
    blocks = {rf"(^|/){kind}$": {"properties": {KEY: {"$ref": f"#/definitions/{kind}"}}} for kind in NODE_KINDS}
    return {
        "$schema": DRAFT,
        "title": "Parameters of the nodes of mbrl_ros",
        "type": "object",
        "patternProperties": {
            **{pattern: {"type": "object", **block} for pattern, block in blocks.items()},
            # A heading of another name: every node, or a namespace above nodes.
            rf"^(?!.*({'|'.join(NODE_KINDS)})$)": {
                "type": "object",
                "properties": {KEY: every},
                "patternProperties": {pattern: {"type": "object", **block} for pattern, block in blocks.items()},
            },
        },
        "definitions": definitions,
    }


def _parameters(sections: Mapping[str, type[Section]], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema below `ros__parameters` of one node: nested sections, and the same keys with dots.

    The schema of each value is added to `definitions` and referred to.
    """
    root: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    root["properties"] |= {name: {} for name in OF_ROS}
    root["patternProperties"] = {f"^{OF_ROS_PREFIX}": {}}
    for prefix, section in sections.items():
        for name, (default, info) in section.infos().items():
            words = [*(prefix.split(".") if prefix else []), name]
            value = f"{section.__module__.rpartition('.')[2]}.{section.__name__}.{name}"
            definitions[value] = _value(section.kinds()[name], default, info)
            for depth in range(len(words)):  # a.b.c, a: {b.c}, a: {b: {c}}
                _inner(root, words[:depth])["properties"][".".join(words[depth:])] = {"$ref": f"#/definitions/{value}"}
    return root


def _inner(root: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """Return the schema of the mapping that `words` lead to, made where it is not there yet."""
    for word in words:
        empty: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
        root = root["properties"].setdefault(word, empty)
    return root


def _value(kind: Any, default: Any, info: Info) -> dict[str, Any]:
    """Return the schema of one value; of a list, that of its entries, which may stand alone."""
    if typing.get_origin(kind) is tuple:
        entry = _entry(typing.get_args(kind)[0], info)
        found: dict[str, Any] = {"anyOf": [{"type": "array", "items": entry}, entry]}
        default = list(default)
    else:
        found = _entry(kind, info)
    unit = f" [{info.unit}]" if info.unit else ""
    return {**found, "description": f"{info.doc}{unit}", "default": default}


def _entry(kind: type, info: Info) -> dict[str, Any]:
    """Return the schema of a single value: its type, and what it may be."""
    found: dict[str, Any] = {"type": TYPES[kind]}
    if info.choices:
        found["enum"] = list(info.choices)
    if kind in (int, float):
        found |= {"minimum": info.low} if info.low > -math.inf else {}
        found |= {"maximum": info.high} if info.high < math.inf else {}
    return found
