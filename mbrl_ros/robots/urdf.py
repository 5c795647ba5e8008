"""Read a URDF: a tree of links, the joints between them with their placements and limits, and the links' inertias.

A joint places its child link in its parent link (http://wiki.ros.org/urdf/XML/joint):
parent_T_child(q) = T(xyz, rpy) * motion(axis, q), with R = Rz(yaw) Ry(pitch) Rx(roll), the motion a rotation about
the unit axis (revolute, continuous) or a translation along it (prismatic).
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from ..exceptions import RobotDescriptionError, nearest
from ..types import Array
from .document import attribute, child, limit_of, number, numbers, parsed

MOVABLE = ("revolute", "continuous", "prismatic")
FREE = ("floating", "planar")  # held at zero, where no controlled joint and no end effector stands behind them
LIMITS = ("lower", "upper", "velocity", "effort")
MOST_LINKS = 2000


@dataclass(frozen=True, eq=False, slots=True)
class Joint:
    """One joint. `origin` (4, 4) is parent_T_child at zero, `axis` (3,) unit, in the child frame.

    `limit` holds the attributes of <limit> [rad or m, rad/s or m/s, N m or N], infinite and NaN ones too: only those of
    controlled joints matter. `unreadable` holds the texts of those that are no number. A mimic joint has `mimic`, the
    joint it follows with `multiplier` and `offset` (NaN where they are no number), and counts as not movable. `damping`
    [N m s/rad or N s/m] and `friction` [N m or N] are those of <dynamics>, 0 where they are not given, or are no number
    above 0.
    """

    name: str
    kind: str
    parent: str
    child: str
    origin: Array
    axis: Array
    limit: dict[str, float]
    mimic: str = ""
    multiplier: float = 1.0
    offset: float = 0.0
    unreadable: dict[str, str] = field(default_factory=dict)
    damping: float = 0.0
    friction: float = 0.0

    @property
    def movable(self) -> bool:
        """Whether the joint moves by itself: neither fixed nor a mimic joint."""
        return self.kind in MOVABLE and not self.mimic


@dataclass(frozen=True, eq=False, slots=True)
class Tree:
    """The links and joints of a URDF, in the order of the file."""

    text: str
    links: tuple[str, ...]
    joints: tuple[Joint, ...]
    root: str
    above: dict[str, Joint]  # {link: the joint that carries it}

    def chain(self, link: str) -> tuple[Joint, ...]:
        """Return the joints from the root to `link`."""
        path: list[Joint] = []
        while link != self.root:
            path.append(self.above[link])
            link = self.above[link].parent
        return tuple(reversed(path))

    def carriers(self, joints: Collection[str]) -> dict[str, str]:
        """Return {link: the last joint of `joints` on its chain, '' for none}, links in the order of the tree."""
        found = {self.root: ""}
        for joint in self.descending():
            found[joint.child] = joint.name if joint.name in joints else found[joint.parent]
        return found

    def descending(self) -> list[Joint]:
        """Return the joints, each after the one that carries it."""
        below: dict[str, list[Joint]] = {}
        for joint in self.joints:
            below.setdefault(joint.parent, []).append(joint)
        order, open_links = [], [self.root]
        while open_links:
            carried = below.get(open_links.pop(), [])
            order += carried
            open_links += [joint.child for joint in carried]
        return order

    def leaves(self) -> list[str]:
        """Return the links without a child, in the order of the file."""
        parents = {joint.parent for joint in self.joints}
        return [link for link in self.links if link not in parents]


@dataclass(frozen=True, eq=False, slots=True)
class Inertial:
    """The <inertial> of a link: mass [kg], `centre` (3,) [m] of mass, `tensor` (3, 3) [kg m^2] about that centre.

    Both in the link's frame: the tensor is turned by the rpy of <origin>. A link without <inertial> has no mass.
    """

    mass: float
    centre: Array
    tensor: Array


def parse(text: str) -> Tree:
    """Return the `Tree` of URDF `text`; RobotDescriptionError tells what is wrong and how to fix it."""
    robot = parsed(text)
    if robot.tag != "robot":
        hint = " An MJCF model can be simulated, but the controller needs the URDF." if robot.tag == "mujoco" else ""
        raise RobotDescriptionError(f"the root element is <{robot.tag}>, a URDF's is <robot>; give a URDF.{hint}")
    links = tuple(attribute(link, "name", "a <link>") for link in robot.findall("link"))
    if not links:
        raise RobotDescriptionError("the URDF has no <link>; if it is a xacro macro, expand a file that uses it")
    if len(links) > MOST_LINKS:
        raise RobotDescriptionError(
            f"the URDF has {len(links)} links, more than {MOST_LINKS}; describe the robot alone, without its "
            "surroundings"
        )
    joints = tuple(_joint(element) for element in robot.findall("joint"))
    tree = Tree(text, links, joints, _root(links, joints), {joint.child: joint for joint in joints})
    if len(reached := {tree.root, *(joint.child for joint in tree.descending())}) < len(links):
        link = next(link for link in links if link not in reached)
        raise RobotDescriptionError(f"link '{link}' is part of a ring, not connected to the root '{tree.root}'")
    return tree


def _root(links: tuple[str, ...], joints: tuple[Joint, ...]) -> str:
    """Return the link without a parent; RobotDescriptionError unless names are unique and the links form one tree."""
    for names, what in ((links, "link"), ([joint.name for joint in joints], "joint")):
        if double := _repeated(names):
            raise RobotDescriptionError(f"{what} names must be unique; {double} occur more than once")
    known = set(links)
    for joint in joints:
        for link in (joint.parent, joint.child):
            if link not in known:
                raise RobotDescriptionError(
                    f"joint '{joint.name}' refers to link '{link}', which does not exist; "
                    f"did you mean '{nearest(link, links)}'?"
                )
    children = {joint.child for joint in joints}
    roots = [link for link in links if link not in children]
    if len(roots) != 1 or len(children) != len(joints):
        raise RobotDescriptionError(
            f"the links must form one tree; links without a parent: {roots[:10]}, links with two "
            f"parents: {_repeated([joint.child for joint in joints])}"
        )
    return roots[0]


def _repeated(names: Collection[str]) -> list[str]:
    """Return the first ten names that occur more than once."""
    return sorted(name for name, count in Counter(names).items() if count > 1)[:10]


def _joint(element: ElementTree.Element) -> Joint:
    name = attribute(element, "name", "a <joint>")
    what = f"joint '{name}'"
    kind = attribute(element, "type", what)
    if kind not in (*MOVABLE, *FREE, "fixed"):
        raise RobotDescriptionError(f"{what} is of type '{kind}'; supported are {[*MOVABLE, 'fixed']}")
    origin, axis = element.find("origin"), element.find("axis")
    direction = _vector(axis, "xyz", (1.0, 0.0, 0.0), what)
    length = float(np.linalg.norm(direction))
    if kind in MOVABLE and length < 1e-9:
        raise RobotDescriptionError(f"the axis of {what} is zero; give it a direction")
    limit, mimic, dynamics = element.find("limit"), element.find("mimic"), element.find("dynamics")
    texts = {} if limit is None else {key: limit.attrib[key] for key in LIMITS if key in limit.attrib}
    values = {key: limit_of(text) for key, text in texts.items()}
    return Joint(
        name=name,
        kind=kind,
        parent=attribute(child(element, "parent", what), "link", f"<parent> of {what}"),
        child=attribute(child(element, "child", what), "link", f"<child> of {what}"),
        origin=placement(origin, what),
        axis=direction / length if length > 0.0 else direction,
        limit={key: value for key, value in values.items() if value is not None},
        mimic="" if mimic is None else attribute(mimic, "joint", f"<mimic> of {what}"),
        multiplier=_coefficient(mimic, "multiplier", 1.0),
        offset=_coefficient(mimic, "offset", 0.0),
        unreadable={key: text for key, text in texts.items() if values[key] is None},
        damping=_loss(dynamics, "damping"),
        friction=_loss(dynamics, "friction"),
    )


def _coefficient(mimic: ElementTree.Element | None, key: str, default: float) -> float:
    """Return a number of <mimic>, NaN where it is none: it matters only where a controlled joint is followed."""
    text = None if mimic is None else mimic.get(key)
    value = default if text is None else limit_of(text)
    return math.nan if value is None else value


def _loss(dynamics: ElementTree.Element | None, key: str) -> float:
    """Return a friction coefficient of <dynamics>, 0 where it says nothing that can be used."""
    value = None if dynamics is None else limit_of(dynamics.get(key, ""))
    return value if value is not None and 0.0 < value < math.inf else 0.0


def inertials(text: str, links: Collection[str]) -> dict[str, Inertial]:
    """Return the `Inertial` of each of `links` that has one; RobotDescriptionError names the link that is wrong."""
    found = {}
    for link in parsed(text).findall("link"):
        name, element = link.get("name", ""), link.find("inertial")
        if name in links and element is not None:
            found[name] = _inertial(element, f"link '{name}'")
    return found


def _inertial(element: ElementTree.Element, what: str) -> Inertial:
    origin, inertia = element.find("origin"), child(element, "inertia", f"<inertial> of {what}")
    place = placement(origin, what)
    value = attribute(child(element, "mass", f"<inertial> of {what}"), "value", f"<mass> of {what}")
    mass = number(value, f"the mass of {what}")
    if mass < 0.0:
        raise RobotDescriptionError(
            f"the mass of {what} is negative ({mass:g} kg); write its mass from the robot's data "
            f"sheet into its <inertial>, or remove the <inertial> if the link weighs nothing"
        )
    of = f"the <inertia> of {what}"
    moments = [attribute(inertia, key, of) for key in ("ixx", "iyy", "izz")]
    products = [inertia.get(key, "0") for key in ("ixy", "ixz", "iyz")]
    xx, yy, zz, xy, xz, yz = (number(value, of) for value in (*moments, *products))
    R = place[:3, :3]
    return Inertial(mass, place[:3, 3], R @ np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) @ R.T)


def reduced(text: str, joints: Collection[str]) -> ElementTree.Element:
    """Write the mechanism alone: links with their inertias, `joints` movable, every other joint fixed at zero.

    Meshes, sensors, transmissions and extensions of other tools are left out; what the URDF standard lets an author
    omit (origins, axes, unit length of axes) is written out, because not every reader knows the standard's defaults.
    """
    tree, source = parse(text), parsed(text)
    robot = ElementTree.Element("robot", name=source.get("name", "robot"))
    for link in source.findall("link"):
        masses = link.findall("inertial")
        for element in masses:
            _write_origin(element)
        ElementTree.SubElement(robot, "link", name=link.get("name", "")).extend(masses)
    for joint, element in zip(tree.joints, source.findall("joint"), strict=True):
        kind = joint.kind if joint.name in joints else "fixed"
        _write_origin(element)
        written = ElementTree.SubElement(robot, "joint", name=joint.name, type=kind)
        written.extend(child for child in element if child.tag in ("origin", "parent", "child"))
        if kind != "fixed":
            ElementTree.SubElement(written, "axis", xyz=" ".join(repr(float(value)) for value in joint.axis))
            written.extend(element.findall("limit"))
    return robot


def _write_origin(element: ElementTree.Element) -> None:
    origin = element.find("origin")
    if origin is None:
        origin = ElementTree.SubElement(element, "origin")
    for key in ("xyz", "rpy"):
        origin.set(key, origin.get(key, "0 0 0"))


def transform(xyz: Array, rpy: Array) -> Array:
    """Return T(xyz [m], rpy [rad]) (4, 4): R = Rz(yaw) Ry(pitch) Rx(roll)."""
    (cr, cp, cy), (sr, sp, sy) = ([f(angle) for angle in rpy] for f in (math.cos, math.sin))
    T = np.eye(4)
    T[:3, :3] = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    T[:3, 3] = xyz
    return T


def placement(origin: ElementTree.Element | None, what: str) -> Array:
    """Return the transform (4, 4) of an <origin>; the identity where there is none."""
    zero = (0.0, 0.0, 0.0)
    return transform(_vector(origin, "xyz", zero, what), _vector(origin, "rpy", zero, what))


def _vector(element: ElementTree.Element | None, key: str, default: tuple[float, ...], what: str) -> Array:
    text = None if element is None else element.get(key)
    return np.array(default) if text is None else numbers(text, len(default), f"'{key}' of {what}")


def robot_name(urdf: str) -> str:
    """Return the name of the robot that a URDF describes."""
    return ElementTree.fromstring(urdf).get("name", "")
