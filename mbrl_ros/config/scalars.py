"""Values in YAML as ROS 2 reads them, which differs from YAML 1.1 and 1.2.

A value in quotes is text. Of the others, in this order (rcl_yaml_param_parser, parse.c, get_value):

    true or false    y, yes, on, true, n, no, off, false and their spellings with capitals: Y, Yes, YES
    whole number     what C's strtoll reads with base 0, if it fits 64 bits: 10, 0x10 (16), 010 (8)
    number           what C's strtod reads: 1.5, .5, 5e-2, 1e3, 0x1p3, inf, nan; also .inf, .nan
    text             everything else, so also ~ and null, 1_000, 0b11, 1:30 and dates

Entries of a list must be of one kind. YAML 1.1 takes 5e-2 for text and 1:30 for 90: a file must not mean one thing to a
node and another to a tool, so no other reader of settings is used in this package.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from ..exceptions import ConfigurationError
from .yaml_tree import Scalar, Sequence, tree

Value: TypeAlias = bool | int | float | str

TRUE = frozenset(("Y", "y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"))
FALSE = frozenset(("N", "n", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"))
NULL = frozenset(("~", "null", "Null", "NULL"))
_INTEGER = re.compile(r"([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_HEXADECIMAL = re.compile(r"[+-]?0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)([pP][+-]?[0-9]+)?")
_NAMED = re.compile(r"([+-]?)(?:(inf|infinity)|nan(?:\([0-9a-z_]*\))?)", re.IGNORECASE)
_DOTTED = re.compile(r"([+-]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST = 400  # characters of a number; the longest that fits a double has some 330
_SPACE = " \t\n\v\f\r"  # C's strtoll and strtod skip it
_SMALLEST = 2.0**-1022  # the smallest normal number: strtod calls smaller ones out of range
# Not printable in YAML, ends of lines there though JSON takes them for text, or marks that turn what is shown around.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def value_of(text: str, quoted: bool = False) -> Value:
    """Return the value of a scalar, written as `text`, in quotes or not."""
    if quoted:
        return text
    if text in TRUE or text in FALSE:
        return text in TRUE
    body = text.lstrip(_SPACE)
    if len(body) > _LONGEST:
        return text
    if match := _INTEGER.fullmatch(body):
        whole = int(match[1] + match[2], 16 if match[2][:2] in ("0x", "0X") else 8 if match[2][0] == "0" else 10)
        if -(2**63) <= whole < 2**63:
            return whole
    number = _number(body)
    return text if number is None else number


def _number(text: str) -> float | None:
    """Read what strtod reads, the whole text or nothing; None also for what is out of range."""
    if match := _NAMED.fullmatch(text):
        return math.copysign(math.inf if match[2] else math.nan, -1.0 if match[1] == "-" else 1.0)
    if match := _DOTTED.fullmatch(text):
        return (-math.inf if match[1] == "-" else math.inf) if text[-1] in "fF" else math.nan
    if _HEXADECIMAL.fullmatch(text):
        try:
            return float.fromhex(text)
        except OverflowError:
            return None
    if not _DECIMAL.fullmatch(text):
        return None
    number = float(text)
    zero = not re.search(r"[1-9]", re.split("[eE]", text)[0])
    return number if zero or _SMALLEST <= abs(number) < math.inf else None


def parse(text: str) -> Value | list[Value]:
    """Return the value that `text` has as KEY=VALUE on a command line: one value, or a list [a, b].

    A list may mix whole numbers and others here, since no node reads it.
    """
    entries = tree(text)
    node = entries[0] if len(entries) == 1 else Scalar(text, True, 1)
    if isinstance(node, Scalar):
        return value_of(node.text, node.quoted)
    if not isinstance(node, Sequence) or not all(isinstance(item, Scalar) for item in node.items):
        raise ConfigurationError(f"must be one value or a list [a, b], got {text!r}", value=text)
    return [value_of(item.text, item.quoted) for item in node.items if isinstance(item, Scalar)]


def kind_of(value: Value) -> str:
    """Name the kind of a value, as messages do."""
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[type(value)]


def written(value: object) -> str:
    """Write a value, or a list of values, of Python or numpy, so that ROS reads the same again."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ".nan" if math.isnan(value) else f"{'-' * (value < 0)}.inf"
    if isinstance(value, Iterable):
        entries = [entry.item() if isinstance(entry, np.generic) else entry for entry in value]
        if {int, float} == {type(entry) for entry in entries}:
            entries = [float(entry) for entry in entries]
        return f"[{', '.join(map(written, entries))}]"
    raise TypeError(f"a parameter cannot hold {value!r}")


def quoted(text: str) -> str:
    """Write a text, in quotes where ROS or YAML would take it for something else."""
    if _PLAIN.fullmatch(text) and text not in NULL and isinstance(value_of(text), str):
        return text
    return _UNPRINTABLE.sub(_written_out, json.dumps(text, ensure_ascii=False))


def _written_out(found: re.Match[str]) -> str:
    """Write a character that YAML does not take as it is; half a character, which no file can hold, as a mark."""
    return "\ufffd" if "\ud800" <= found[0] <= "\udfff" else f"\\u{ord(found[0]):04x}"
