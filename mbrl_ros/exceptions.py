"""Errors that a user can act on: each names the input that caused it and the remedy.

What is expected to happen inside a control tick is a status of the Decision, never one of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_LISTED = 100  # names in one message
LONGEST = 200  # characters of a name that is compared


class MbrlError(Exception):
    """The base of every error that this package raises on purpose."""


class ConfigurationError(MbrlError):
    """A setting is unknown, of the wrong type or outside its bounds, or a file of settings is malformed.

    detail: the message without its `source`, which is a file, or a file and a line.
    """

    def __init__(self, message: str, *, key: str = "", value: object = None, source: str = ""):
        self.detail, self.key, self.value, self.source = message, key, value, source
        super().__init__(f"{source}: {message}" if source else message)


class RobotDescriptionError(MbrlError):
    """The URDF is missing, unreadable, or does not hold what was asked of it."""


class JointNameError(MbrlError):
    """Joint names of two sources do not match."""

    def __init__(self, wanted: Iterable[str], given: Iterable[str], *, what: str = "joints"):
        self.wanted, self.given = tuple(wanted), tuple(given)
        missing = [name for name in self.wanted if name not in self.given]
        hints = "; ".join(f"'{name}': did you mean '{nearest(name, self.given)}'?" for name in missing[:MOST_LISTED])
        super().__init__(
            f"{what} do not match: missing {listed(missing)}. Wanted {listed(self.wanted)}, got {listed(self.given)}. "
            f"{hints}"
        )


class ShapeError(MbrlError):
    """An array has the wrong shape."""

    def __init__(self, name: str, expected: tuple[int | None, ...], given: tuple[int, ...]):
        self.name, self.expected, self.given = name, expected, given
        super().__init__(f"{name} must have shape {expected}, got {given}")


class CallOrderError(MbrlError):
    """A method was called before another one that must come first."""


class TargetError(MbrlError):
    """A target is malformed, outside the joint limits, out of reach, or its time is wrong; `kind` tells which.

    Targets that are refused are counted, and named in the log once, by kind.
    """

    def __init__(self, message: str, *, kind: str = "unsuitable"):
        self.kind = kind
        super().__init__(message)


class CompileError(MbrlError):
    """Generated code could not be compiled or loaded."""


class DataError(MbrlError):
    """A recording or a saved model cannot be read, or belongs to another robot."""


def unknown(what: str, name: str, choices: Iterable[str]) -> ConfigurationError:
    """Return the error that there is no `what` of this name; it names the nearest one, and all."""
    there = list(choices)
    return ConfigurationError(
        f"no {what} '{name}'; did you mean '{nearest(name, there)}'? There are: {', '.join(there)}", value=name
    )


def listed(names: Iterable[str]) -> str:
    """Write names as a list; of very many the first ones, and how many there are."""
    names = list(names)
    return str(names) if len(names) <= MOST_LISTED else f"{str(names[:MOST_LISTED])[:-1]}, ...] ({len(names)})"


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return the candidate most like `name` ('' if there are none)."""
    close = difflib.get_close_matches(name[:LONGEST], list(candidates), n=1, cutoff=0.0)
    return close[0] if close else ""


def similar(name: str, candidates: Iterable[str]) -> str:
    """Return the candidate that `name` is probably meant to be; '' if it is like none of them."""
    close = difflib.get_close_matches(name[:LONGEST], list(candidates), n=1, cutoff=0.8)
    return close[0] if close else ""
