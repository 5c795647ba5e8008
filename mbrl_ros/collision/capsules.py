"""Capsules: what stands for a link of the robot; as text in settings, `LINK x y z  x y z  r`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..exceptions import ConfigurationError, listed, nearest
from ..types import Array

DIGITS = 4  # of lengths in a text [m]
LARGEST_LENGTH = 100.0  # [m] in any direction; more is a mistake of units
_FORM = "write 'LINK x y z  x y z  r': the two ends of its axis in the link's frame, and its radius [m]"


@dataclass(frozen=True, eq=False, slots=True)
class Capsule:
    """The points of `link` no further than `radius` [m] from the segment `a` (3,) to `b` (3,) [m] in its frame."""

    link: str
    a: Array
    b: Array
    radius: float

    @property
    def text(self) -> str:
        """Return it as settings hold it; the radius is rounded up."""
        ends = "  ".join(
            " ".join(f"{value:.{DIGITS}f}" for value in np.round(end, DIGITS) + 0.0) for end in (self.a, self.b)
        )
        # the ends may be off by half a unit in each direction, and so must be covered
        unit = 10.0**-DIGITS
        radius = float(np.ceil((self.radius + np.sqrt(3.0) * 0.5 * unit) / unit) * unit)
        return f"{self.link} {ends}  {radius:.{DIGITS}f}"


def parse_capsules(texts: Sequence[str], links: Collection[str]) -> list[Capsule]:
    """Return the capsules of `collision.capsules`; ConfigurationError for one that is malformed or of no link."""
    return [_parsed(text, links) for text in texts]


def _parsed(text: str, links: Collection[str]) -> Capsule:
    key = "collision.capsules"
    link, values = named_numbers(text, 7, key, _FORM)
    if link not in links:
        raise ConfigurationError(
            f"'{key}' names the link '{link}', which the URDF does not have; did you mean '{nearest(link, links)}'? "
            f"Links: {listed(links)}",
            key=key,
            value=text,
        )
    if values[6] <= 0.0:
        raise ConfigurationError(f"'{key}': the radius of '{text}' must be above 0", key=key, value=text)
    return Capsule(link, values[:3], values[3:6], float(values[6]))


def named_numbers(text: str, count: int, key: str, form: str) -> tuple[str, Array]:
    """Return the name and the `count` numbers of an entry of the setting `key`; `form` says how to write it."""
    name, *words = text.split() or [""]
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        values = np.empty(0)
    if values.size != count or not np.isfinite(values).all():
        raise ConfigurationError(f"'{key}': '{text[:200]}' is malformed; {form}", key=key, value=text)
    if np.abs(values).max() > LARGEST_LENGTH:
        raise ConfigurationError(
            f"'{key}': '{text[:200]}' holds a number above {LARGEST_LENGTH:g}; write metres", key=key, value=text
        )
    return name, values


def turned_to(axis: Array) -> Array:
    """Return a rotation (3, 3) whose third column is the unit vector `axis` (3,)."""
    other = np.eye(3)[np.argmin(np.abs(axis))]
    x = np.cross(other, axis)
    x = x / np.linalg.norm(x)
    return np.column_stack((x, np.cross(axis, x), axis))
