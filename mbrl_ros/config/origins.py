"""Where each setting of a node comes from, and everything that is wrong in files of settings.

A node started with several files reads them in order, and the later one wins; a value that a command line gives wins
over all of them. What nothing gives has its default.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..exceptions import ConfigurationError
from .configuration import Configuration
from .parameter_file import ParameterFile
from .section import Info, Section, is_empty
from .settings_file import entry_errors, given_entries, keys_of, located, read_settings, sections_of

BY_DEFAULT = "default"


@dataclasses.dataclass(frozen=True)
class Placed:
    """One setting of a node: its key, value, default and Info.

    origin: `FILE:LINE`, the name of what overrides the files, or "default".
    """

    key: str
    value: Any
    default: Any
    info: Info
    origin: str

    @property
    def given(self) -> bool:
        """Tell whether something gives the value, be it that of the default."""
        return self.origin != BY_DEFAULT


def placed(
    files: Sequence[str | Path],
    overrides: Mapping[str, Any] | None = None,
    *,
    kind: str = "mpc_node",
    node: str = "",
    overridden_by: str = "--set",
) -> list[Placed]:
    """Return every setting of a node with its value and origin, in the order of the tables.

    Parameters
    ----------
    files
        Parameter files, the later one wins.
    overrides
        {key: value} that wins over the files; overridden_by: what gives it.
    kind, node
        As of `read_settings`.

    Raises
    ------
    ConfigurationError
        A file is malformed, or a setting is unknown or has a wrong value; file and line are named.
    """
    keys = keys_of(sections_of(kind))
    values: dict[str, tuple[Any, str]] = {}
    for path in files:
        found = read_settings(path, kind, node)
        entries = given_entries(ParameterFile.read(path), kind, node)
        values |= {key: (value, f"{path}:{entries[key].line}") for key, value in found.items()}
    for key, value in (overrides or {}).items():
        if key not in keys:
            Configuration.from_flat({key: value}, source=overridden_by)  # says what was probably meant
            raise ConfigurationError(f"'{key}' is no setting of {kind}", key=key, value=value, source=overridden_by)
        if not is_empty(value):
            values[key] = (value, overridden_by)
    return [
        Placed(
            key,
            section.checked(name, values[key][0]) if key in values else section.infos()[name][0],
            *section.infos()[name],
            values[key][1] if key in values else BY_DEFAULT,
        )
        for key, (section, name) in keys.items()
    ]


def problems(files: Sequence[str | Path]) -> list[str]:
    """Return what is wrong in parameter files that are used together, one line each.

    Every entry of every node that the files name is looked at; where all of them are right, what concerns several
    settings of a node.
    """
    found: dict[str, None] = {}
    nodes: dict[tuple[str, str], None] = {}
    read = []
    for path in files:
        try:
            file = ParameterFile.read(path)
            nodes |= dict.fromkeys(file.nodes())
            read.append(file)
        except ConfigurationError as error:
            found[str(error)] = None
    for kind, node in nodes:
        wrong = [problem for file in read for problem in _of_entries(file, kind, node)]
        found |= dict.fromkeys(wrong or _of_sections(read, kind, node))
    return list(found)


def _of_entries(file: ParameterFile, kind: str, node: str) -> list[str]:
    """Return what is wrong with single entries for one node."""
    try:
        return [str(error) for error in entry_errors(file, kind, node)]
    except ConfigurationError as error:  # ROS refuses the whole file for it
        return [str(error)]


def _of_sections(files: Sequence[ParameterFile], kind: str, node: str) -> list[str]:
    """Return what is wrong with settings of one node that are each right by themselves."""
    sections, found = sections_of(kind), []
    values: dict[str, Any] = {}
    for file in files:
        values |= {key: entry.value for key, entry in file.entries(node).items() if not is_empty(entry.value)}
    for prefix, section in sections.items():
        try:
            _section(prefix, section, values)
        except ConfigurationError as error:
            found.append(located(error, [file.source for file in files]))
    return found


def _section(prefix: str, section: type[Section], values: Mapping[str, Any]) -> Section:
    """Make one section from {key: value} of a whole node."""
    start = f"{prefix}." if prefix else ""
    own = {name: values[start + name] for name in section.infos() if start + name in values}
    return section.from_mapping(own, prefix=start)
