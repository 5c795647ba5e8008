"""The pairs of links that an SRDF takes out of the collision check, as MoveIt's setup assistant writes them."""

from __future__ import annotations

from collections.abc import Collection

from ..exceptions import RobotDescriptionError, listed, nearest
from ..files import read_bytes
from ..robots.document import LARGEST_DESCRIPTION, parsed, text_of
from ..robots.sources import path_of


def disabled_pairs(source: str, links: Collection[str]) -> frozenset[frozenset[str]]:
    """Return the pairs of <disable_collisions> of an SRDF.

    Parameters
    ----------
    source
        a path, or a file:// or package:// URI.
    links
        of the URDF.

    Raises
    ------
    RobotDescriptionError
        It cannot be read, or names links that the robot does not have.
    """
    try:
        root = parsed(text_of(read_bytes(path_of(source), LARGEST_DESCRIPTION)))
    except (OSError, RobotDescriptionError) as error:
        raise RobotDescriptionError(f"the SRDF '{source}' cannot be read: {error}") from None
    if root.tag != "robot" or root.find("link") is not None:
        raise RobotDescriptionError(f"'{source}' is no SRDF: give the file with <disable_collisions>, not the URDF")
    pairs = [(pair.get("link1", ""), pair.get("link2", "")) for pair in root.findall("disable_collisions")]
    unknown = sorted({link for pair in pairs for link in pair if link not in links})
    if unknown:
        raise RobotDescriptionError(
            f"the SRDF '{source}' is that of another robot ('{root.get('name', '')}'): the URDF has no link "
            f"{listed(unknown)}; did you mean '{nearest(unknown[0], links)}'? It has {listed(links)}"
        )
    return frozenset(frozenset(pair) for pair in pairs)
