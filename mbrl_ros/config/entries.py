"""What a file gives for one parameter: its value, how and where it is written, and why it must not be used."""

from __future__ import annotations

import dataclasses

from .scalars import NULL, Value, kind_of, value_of
from .yaml_tree import Scalar, Sequence


@dataclasses.dataclass(frozen=True)
class Entry:
    """The value of one parameter, what is written for it (one text for each entry of a list) and in which line.

    problem: why it must not be used, "" if it may be; refused: ROS refuses the whole file for it, to every node.
    """

    value: Value | list[Value]
    texts: tuple[Scalar, ...]
    line: int
    problem: str = ""
    refused: bool = False


def entry_of(node: Scalar | Sequence, line: int) -> Entry:
    """Take a scalar or a list for a value, or say why it is none."""
    if isinstance(node, Scalar):
        problem = _null(node)
        return Entry(
            value_of(node.text, node.quoted), (node,), node.line, problem, refused=not node.text and bool(problem)
        )
    texts = tuple(item for item in node.items if isinstance(item, Scalar))
    values = [value_of(item.text, item.quoted) for item in texts]
    if len(texts) < len(node.items):
        return Entry(values, texts, line, "must be a list of single values", refused=True)
    problem = next((problem for item in texts if (problem := _null(item))), "")
    mixed = _mixed(texts)
    return Entry(
        values, texts, line, mixed or problem, refused=bool(mixed) or not all(x.text or x.quoted for x in texts)
    )


def _null(scalar: Scalar) -> str:
    """Say what is wrong with a value that means nothing in YAML; "" if it is another."""
    if scalar.quoted or (scalar.text and scalar.text not in NULL):
        return ""
    taken = f"ROS takes '{scalar.text}' for a text" if scalar.text else "it has no value"
    return f'means nothing: {taken}; write "" or [], or remove the line for the default'


def _mixed(texts: tuple[Scalar, ...]) -> str:
    """Say which entries of a list are not of one kind, as ROS demands; "" if they are."""
    kinds = {kind_of(value_of(item.text, item.quoted)): item for item in reversed(texts)}
    if len(kinds) < 2:
        return ""
    listed = " and ".join(f"{item.text} ({kind})" for kind, item in reversed(kinds.items()))
    if "text" in kinds:
        other = next(item for kind, item in kinds.items() if kind != "text")
        remedy = f"quote what is text: '{other.text}'"
    elif set(kinds) == {"a number", "a whole number"}:
        remedy = f"write {kinds['a whole number'].text}.0"
    else:
        remedy = "use one kind"
    return f"mixes {listed} in one list, which ROS refuses; {remedy}"
