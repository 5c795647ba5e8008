"""The rigid bodies of a robot, one per joint that moves: the links between that joint and the next ones, as one body.

Those are the controlled joints and the ones that follow them (mimic.py), N in all. The base is fixed, all other joints
are locked at zero. A body is described at its joint, with z along the
joint's axis: mass m, first moment h = m c (c its centre of mass), and inertia tensor about the joint,

    I = sum over its links of  R I_link R^T + m_link (c.c 1 - c c^T)        (parallel axes),

R and c the link's directions and centre of mass in the body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..types import Array
from . import urdf
from .mimic import Coupling
from .robot import Robot


@dataclass(frozen=True, eq=False, slots=True)
class Bodies:
    """The N bodies of a robot, parents first.

    Attributes
    ----------
    joint : (N,) which entry of `Coupling.positions` moves the body
    prismatic : (N,) whether that joint is prismatic, as 0 or 1
    parent : (N,) the body that carries it; -1: the base
    placement : (N, 3, 4) [R t] of the body in its parent at q = 0
    mass : (N,) [kg]
    moment : (N, 3) mass times centre of mass [kg m]
    tensor : (N, 3, 3) about the joint [kg m^2]
    links : the names of the links that make up each body
    inertials : the <inertial> of every link that one of these joints moves and that has one
    coupling : of all N joints to the n controlled ones
    """

    joint: NDArray[np.int64]
    prismatic: NDArray[np.int64]
    parent: NDArray[np.int64]
    placement: Array
    mass: Array
    moment: Array
    tensor: Array
    links: tuple[tuple[str, ...], ...]
    inertials: dict[str, urdf.Inertial]
    coupling: Coupling


def bodies_of(robot: Robot) -> Bodies:
    """Return the bodies of `robot`; links that none of these joints moves are left out."""
    tree, names = urdf.parse(robot.urdf), robot.moving
    n = len(names)
    joints = {joint.name: joint for joint in tree.joints}
    moved = {link for link, joint in tree.carriers(names).items() if joint}
    chains = {link: tree.chain(link) for link in tree.links if link in moved}
    order = sorted(names, key=lambda name: len(chains[joints[name].child]))
    inertials = urdf.inertials(robot.urdf, moved)
    parent, placement = np.full(n, -1, dtype=np.int64), np.zeros((n, 3, 4))
    mass, moment, tensor = np.zeros(n), np.zeros((n, 3)), np.zeros((n, 3, 3))
    links: list[list[str]] = [[] for _ in order]
    for i, name in enumerate(order):
        *before, joint = chains[joints[name].child]
        parent[i], T = _body_at(tuple(before), order)
        placement[i] = (T @ joint.origin @ aligned(joint.axis))[:3]
    for link, chain in chains.items():
        i, T = _body_at(chain, order)
        if i >= 0:
            links[i].append(link)
        if link in inertials:
            inertial, R = inertials[link], T[:3, :3]
            c = R @ inertial.centre + T[:3, 3]
            mass[i] += inertial.mass
            moment[i] += inertial.mass * c
            tensor[i] += R @ inertial.tensor @ R.T + inertial.mass * (c @ c * np.eye(3) - np.outer(c, c))
    return Bodies(
        joint=np.array([names.index(name) for name in order], dtype=np.int64),
        prismatic=np.array([joints[name].kind == "prismatic" for name in order], dtype=np.int64),
        parent=parent,
        placement=placement,
        mass=mass,
        moment=moment,
        tensor=tensor,
        links=tuple(map(tuple, links)),
        inertials=inertials,
        coupling=Coupling(robot.n, robot.followers),
    )


def _body_at(chain: tuple[urdf.Joint, ...], order: list[str]) -> tuple[int, Array]:
    """Return the number of the body at the end of `chain` (-1: the base), and the chain's end in it (4, 4)."""
    T = np.eye(4)
    for joint in reversed(chain):
        if joint.name in order:
            return order.index(joint.name), aligned(joint.axis).T @ T
        T = joint.origin @ T
    return -1, T


def aligned(axis: Array) -> Array:
    """Return a rotation (4, 4) that takes z to the unit `axis`; the x it chooses does not matter."""
    T = np.eye(4)
    x = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    T[:3, 0] = x / np.linalg.norm(x)
    T[:3, 1] = np.cross(axis, T[:3, 0])
    T[:3, 2] = axis
    return T
