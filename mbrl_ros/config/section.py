"""Settings: each has one default, with its unit, bounds and description. There is no other mechanism.

A section is a frozen dataclass derived from `Section`, whose fields are made by `setting(...)`. The sections of the
core stand in config/sections; a plug-in (a cost, a prior) declares its own in its own file, and the registry joins them
under the plug-in's name (config/registry.py). YAML, ROS parameters and keyword arguments only override.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import ConfigurationError, nearest
from ..types import Array

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclasses.dataclass(frozen=True)
class Info:
    """What is known of one setting. `per_joint`: a list with one entry for all joints or one for each.

    low, high: bounds, themselves allowed, of a number or of every entry of a list.
    """

    doc: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    dynamic: bool = False
    per_joint: bool = False


def setting(default: Any, doc: str, **info: Any) -> Any:
    """Make a dataclass field with its default and its `Info`. `dynamic`: it may change while the controller runs."""
    return dataclasses.field(default=default, metadata={"info": Info(doc, **info)})


@dataclasses.dataclass(frozen=True)
class Section:
    """The base of every group of settings: it coerces and checks their values, and refuses unknown names."""

    def __post_init__(self) -> None:
        """Coerce and check every field, then what concerns several."""
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, self.checked(field.name, getattr(self, field.name)))
        self.validate()

    def validate(self) -> None:
        """Check what concerns more than one field; raise ConfigurationError."""

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some values changed."""
        return type(self).from_mapping({**self.to_mapping(), **changes})

    def to_mapping(self) -> dict[str, Any]:
        """Return {name: value}."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def checked(cls, name: str, value: Any) -> Any:
        """Return `value` as the type of the setting `name`.

        Raises
        ------
        ConfigurationError
            It has another type or lies outside the bounds.
        """
        value = _coerced(name, value, _kinds(cls)[name])
        _check(name, value, _infos(cls)[name][1])
        return value

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, prefix: str = "", source: str = "") -> Self:
        """Make the section from the values of `mapping` and its defaults. An empty list means the default.

        Raises
        ------
        ConfigurationError
            A name is unknown or a value is wrong; the error names `source` and the key, which begins with `prefix`.
        """
        known = cls.infos()
        for key in mapping:
            if key not in known:
                raise ConfigurationError(
                    f"unknown setting '{prefix}{key}'; did you mean '{prefix}{nearest(key, known)}'?",
                    key=prefix + key,
                    value=mapping[key],
                    source=source,
                )
        try:
            return cls(**{key: value for key, value in mapping.items() if not is_empty(value)})
        except ConfigurationError as error:
            raise ConfigurationError(
                f"'{prefix}{error.key}' {error}", key=prefix + error.key, value=error.value, source=source
            ) from None

    @classmethod
    def infos(cls) -> dict[str, tuple[Any, Info]]:
        """Return {name: (default, Info)}."""
        return dict(_infos(cls))

    @classmethod
    def kinds(cls) -> dict[str, Any]:
        """Return {name: type of the value}."""
        return dict(_kinds(cls))


_INFOS: dict[type[Section], dict[str, tuple[Any, Info]]] = {}
_KINDS: dict[type[Section], dict[str, Any]] = {}


def _infos(cls: type[Section]) -> dict[str, tuple[Any, Info]]:
    if cls not in _INFOS:
        _INFOS[cls] = {field.name: (field.default, field.metadata["info"]) for field in dataclasses.fields(cls)}
    return _INFOS[cls]


def _kinds(cls: type[Section]) -> dict[str, Any]:
    if cls not in _KINDS:
        hints = typing.get_type_hints(cls)
        _KINDS[cls] = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    return _KINDS[cls]


def is_empty(value: Any) -> bool:
    """Tell whether a value is an empty list, which means the setting's default."""
    return isinstance(value, (list, tuple)) and len(value) == 0


def _coerced(name: str, value: Any, kind: Any) -> Any:
    """Return `value` as `kind`; without loss, or a ConfigurationError."""
    wrong = ConfigurationError(f"must be {_spelled(kind)}, got {_shortened(value)}", key=name, value=value)
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        entries = value if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else (value,)
        return tuple(_coerced(name, entry, item) for entry in entries)
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
    except (TypeError, ValueError, OverflowError):
        raise wrong from None
    if not math.isfinite(number):
        raise ConfigurationError(
            f"must be {_spelled(kind)}, and finite, got {_shortened(value)}", key=name, value=value
        )
    if kind is int:
        if number != int(number):
            raise wrong
        return value if isinstance(value, int) else int(number)
    return number


def _shortened(value: Any) -> str:
    """Write a value for a message; of an absurdly long one the beginning."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        return "a whole number of thousands of digits"
    return text if len(text) <= 200 else f"{text[:200]}..."


def _spelled(kind: Any) -> str:
    """Name the type of a setting, as messages do."""
    if typing.get_origin(kind) is tuple:
        return f"a list, each entry {_spelled(typing.get_args(kind)[0])}"
    return {bool: "true or false", str: "text", int: "a whole number", float: "a number"}[kind]


def _check(name: str, value: Any, info: Info) -> None:
    """Raise ConfigurationError for a value that is none of the choices or lies outside the bounds."""
    for entry in value if isinstance(value, tuple) else (value,):
        if info.choices and entry not in info.choices:
            hint = nearest(str(entry)[:200], [str(choice) for choice in info.choices])
            raise ConfigurationError(
                f"must be one of {list(info.choices)}, got {_shortened(entry)}; did you mean '{hint}'?",
                key=name,
                value=value,
            )
        if isinstance(entry, (int, float)) and not isinstance(entry, bool) and not info.low <= entry <= info.high:
            raise ConfigurationError(
                f"must lie in [{info.low:g}, {info.high:g}]{' ' + info.unit if info.unit else ''}, got {entry:g}",
                key=name,
                value=value,
            )


def per_joint(value: tuple[float, ...], n: int, key: str) -> Array:
    """Return the array (n,) of a setting that has one entry for every joint or one for each."""
    if len(value) not in (1, n):
        raise ConfigurationError(
            f"'{key}' must have 1 or {n} entries (one per joint), got {len(value)}", key=key, value=value
        )
    entries: Array = np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)).copy()
    return entries
