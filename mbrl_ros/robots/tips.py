"""Which link of a URDF is the tip of an arm, and whether it stands on a fixed base."""

from __future__ import annotations

from ..exceptions import RobotDescriptionError, listed, nearest
from .urdf import FREE, Tree


def check_fixed(tree: Tree, link: str, what: str) -> None:
    """Raise RobotDescriptionError if `what`, which moves or is `link`, stands behind a joint that is free to move."""
    free = next((joint for joint in tree.chain(link) if joint.kind in FREE), None)
    if free is not None:
        raise RobotDescriptionError(
            f"{what} stands behind joint '{free.name}', which is of type '{free.kind}'. Fix the robot to its base: "
            f"make that joint fixed, or describe the arm from link '{free.child}' on"
        )


def tip_of(tree: Tree, controlled: tuple[str, ...], wanted: str) -> str:
    """Return `wanted`, or the first leaf moved by the most controlled joints and the fewest others."""
    if wanted and wanted not in tree.links:
        raise RobotDescriptionError(
            f"the URDF has no link '{wanted}' to be the tip; did you mean "
            f"'{nearest(wanted, tree.links)}'? Links: {listed(tree.links)}"
        )

    moving = {tree.root: (0, 0)}  # {link: how many controlled joints move it, and how many others less}
    follows: dict[str, str] = {tree.root: ""}  # {link: the first mimic joint of a controlled one on its chain}
    for joint in tree.descending():
        own, others = moving[joint.parent]
        is_own = joint.name in controlled
        moving[joint.child] = (own + is_own, others - (not is_own and joint.kind != "fixed"))
        follows[joint.child] = follows[joint.parent] or (joint.name if joint.mimic in controlled else "")
    # A finger is no tip unless it is asked for. Mimic joints may carry every leaf; then any link before them will do.
    candidates = [link for link in tree.leaves() if not follows[link]] or [
        link for link in tree.links if not follows[link]
    ]
    tip = wanted or max(candidates, key=lambda link: moving[link])
    if moving[tip][0] == 0:
        raise RobotDescriptionError(f"no controlled joint moves the tip '{tip}'; choose a link beyond {controlled[0]}")
    check_fixed(tree, tip, f"the tip '{tip}'")
    return tip
