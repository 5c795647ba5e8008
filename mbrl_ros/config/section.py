"""Settings: one default per value, with its unit, bounds and description. The only mechanism there is.

A section is a frozen dataclass derived from `Section` whose fields are made by `setting(...)`. The sections of
the core stand in this file; a plug-in (a cost, a prior) declares its own in its own file, and the registry
(`config/registry.py`) joins them under the plug-in's name. YAML, ROS parameters and keyword arguments only override.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any

from ..exceptions import ConfigurationError, nearest


@dataclasses.dataclass(frozen=True)
class Info:
    """What is known of one setting. `per_joint` tuples have one entry for all joints or one per joint."""

    doc: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    choices: tuple = ()
    dynamic: bool = False
    per_joint: bool = False


def setting(default: Any, doc: str, **info: Any) -> Any:
    """A dataclass field with its default and its `Info`. `dynamic`: may change while the controller runs."""
    return dataclasses.field(default=default, metadata={"info": Info(doc, **info)})


@dataclasses.dataclass(frozen=True)
class Section:
    """Base of every group of settings: coerces and checks its fields, and rejects what it does not know."""

    def __post_init__(self) -> None:
        kinds = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = _coerced(field.name, getattr(self, field.name), kinds[field.name])
            _check(field.name, value, field.metadata["info"])
            object.__setattr__(self, field.name, value)
        self.validate()

    def validate(self) -> None:
        """Checks that concern more than one field; raise ConfigurationError."""

    def replace(self, **changes: Any):
        return type(self).from_mapping({**self.to_mapping(), **changes})

    def to_mapping(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, prefix: str = "", source: str = ""):
        """The section with the values of `mapping` over its defaults; errors name `source` and the full key."""
        known = [field.name for field in dataclasses.fields(cls)]
        for key in mapping:
            if key not in known:
                raise ConfigurationError(
                    f"unknown setting '{prefix}{key}'; did you mean '{prefix}{nearest(key, known)}'?",
                    key=prefix + key,
                    value=mapping[key],
                    source=source,
                )
        try:
            return cls(**mapping)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"'{prefix}{error.key}' {error}", key=prefix + error.key, value=error.value, source=source
            ) from None

    @classmethod
    def infos(cls) -> dict[str, tuple[Any, Info]]:
        """{name: (default, Info)}."""
        return {field.name: (field.default, field.metadata["info"]) for field in dataclasses.fields(cls)}


def _coerced(name: str, value: Any, kind: Any) -> Any:
    wrong = ConfigurationError(f"must be {_spelled(kind)}, got {value!r}", key=name, value=value)
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            value = (value,)
        return tuple(_coerced(name, entry, item) for entry in value)
    if kind is bool:
        if not isinstance(value, bool):
            raise wrong
        return value
    if kind is str:
        if not isinstance(value, str):
            raise wrong
        return value
    if isinstance(value, (bool, str)):
        raise wrong
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise wrong from None
    if math.isnan(number):
        raise wrong
    if kind is int:
        if number != int(number):
            raise wrong
        return int(number)
    return number


def _spelled(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return f"a list, each entry {_spelled(typing.get_args(kind)[0])}"
    return {bool: "true or false", str: "text", int: "a whole number", float: "a number"}[kind]


def _check(name: str, value: Any, info: Info) -> None:
    for entry in value if isinstance(value, tuple) else (value,):
        if info.choices and entry not in info.choices:
            hint = nearest(str(entry), [str(choice) for choice in info.choices])
            raise ConfigurationError(
                f"must be one of {list(info.choices)}, got {entry!r}; did you mean '{hint}'?", key=name, value=value
            )
        if isinstance(entry, (int, float)) and not isinstance(entry, bool) and not info.low <= entry <= info.high:
            raise ConfigurationError(
                f"must lie in [{info.low:g}, {info.high:g}]{' ' + info.unit if info.unit else ''}, got {entry:g}",
                key=name,
                value=value,
            )


def per_joint(value: tuple[float, ...], n: int, key: str) -> Any:
    """`value` as an array (n,): one entry for every joint or one each."""
    import numpy as np

    if len(value) not in (1, n):
        raise ConfigurationError(
            f"'{key}' must have 1 or {n} entries (one per joint), got {len(value)}", key=key, value=value
        )
    return np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)).copy()
