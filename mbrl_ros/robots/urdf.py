"""Read a URDF: the joints of a tree of links, and where each stands.

A joint places its child link in its parent link (http://wiki.ros.org/urdf/XML/joint):
parent_T_child(q) = T(xyz, rpy) * motion(axis, q), with R = Rz(yaw) Ry(pitch) Rx(roll), the motion a rotation about
the unit axis (revolute, continuous) or a translation along it (prismatic).
"""

from __future__ import annotations

import importlib.metadata
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..exceptions import RobotDescriptionError, nearest
from ..types import Array

MOVABLE = ("revolute", "continuous", "prismatic")
PACKAGE_DATA = "package-data:"


@dataclass(frozen=True, eq=False, slots=True)
class Joint:
    """One joint. `origin` (4, 4) is parent_T_child at zero, `axis` (3,) unit, in the child frame.

    `limit` holds the attributes of <limit> [rad or m, rad/s or m/s, N m or N]; a mimic joint has `mimic`, the joint
    it follows, and counts as not movable.
    """

    name: str
    kind: str
    parent: str
    child: str
    origin: Array
    axis: Array
    limit: dict[str, float]
    mimic: str = ""

    @property
    def movable(self) -> bool:
        return self.kind in MOVABLE and not self.mimic


@dataclass(frozen=True, eq=False, slots=True)
class Tree:
    """The links and joints of a URDF, in the order of the file."""

    text: str
    links: tuple[str, ...]
    joints: tuple[Joint, ...]
    root: str

    def chain(self, link: str) -> tuple[Joint, ...]:
        """The joints from the root to `link`."""
        above = {joint.child: joint for joint in self.joints}
        path: list[Joint] = []
        while link != self.root:
            if len(path) == len(self.joints):
                raise RobotDescriptionError(f"link '{link}' is part of a ring, not connected to the root '{self.root}'")
            path.append(above[link])
            link = above[link].parent
        return tuple(reversed(path))

    def leaves(self) -> list[str]:
        """Links without a child, in the order of the file."""
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


def read(source: str) -> str:
    """The text of `source`: XML itself, a file, or 'package-data:NAME'; RobotDescriptionError if there is none."""
    source = source.strip()
    if source.startswith("<"):
        return source
    if not source:
        raise RobotDescriptionError("no robot description: give a URDF file, its text, or 'package-data:NAME'")
    path = package_data(source[len(PACKAGE_DATA) :]) if source.startswith(PACKAGE_DATA) else Path(source).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RobotDescriptionError(
            f"cannot read the robot description '{path}': {error}. Give an existing URDF file, "
            f"URDF text, or 'package-data:NAME' (a robot of example-robot-data)"
        ) from None
    if path.suffix == ".xacro":
        raise RobotDescriptionError(f"'{path}' is a xacro; expand it first: xacro {path.name} > robot.urdf")
    return text


def package_data(name: str) -> Path:
    """The URDF of robot `name` in the PyPI package example-robot-data: NAME.urdf or NAME_robot.urdf."""
    files = {path.stem: path for path in sorted(package_data_root().glob("robots/*/*/*.urdf"))}
    for stem in (name, f"{name}_robot"):
        if stem in files:
            return files[stem]
    raise RobotDescriptionError(
        f"example-robot-data has no robot '{name}'; did you mean '{nearest(name, files)}'? It has {sorted(files)}"
    )


def package_data_root() -> Path:
    """The shared folder of the installed example-robot-data (found without importing it)."""
    try:
        files = importlib.metadata.files("example-robot-data") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if "robots" in file.parts and file.suffix == ".urdf":
            path = Path(file.locate())
            return path.parents[len(file.parts) - file.parts.index("robots") - 1]
    raise RobotDescriptionError(
        "'package-data:' needs the package example-robot-data, which is not installed: "
        "pip install example-robot-data (or pip install 'mbrl_ros[sim]'), or give a URDF file"
    )


def parse(text: str) -> Tree:
    """The `Tree` of URDF `text`; RobotDescriptionError says what is wrong and how to fix it."""
    try:
        robot = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise RobotDescriptionError(
            f"the robot description is not valid XML ({error}); check it with check_urdf"
        ) from None
    if robot.tag != "robot":
        hint = " An MJCF model can be simulated, but the controller needs the URDF." if robot.tag == "mujoco" else ""
        raise RobotDescriptionError(f"the root element is <{robot.tag}>, a URDF's is <robot>.{hint}")
    links = tuple(_attribute(link, "name", "a <link>") for link in robot.findall("link"))
    if not links:
        raise RobotDescriptionError("the URDF has no <link>; if it is a xacro macro, expand a file that uses it")
    joints = tuple(_joint(element) for element in robot.findall("joint"))
    for names, what in ((links, "link"), ([joint.name for joint in joints], "joint")):
        double = sorted({name for name in names if list(names).count(name) > 1})
        if double:
            raise RobotDescriptionError(f"{what} names must be unique; {double} occur more than once")
    for joint in joints:
        for link in (joint.parent, joint.child):
            if link not in links:
                raise RobotDescriptionError(
                    f"joint '{joint.name}' refers to link '{link}', which does not exist; "
                    f"did you mean '{nearest(link, links)}'?"
                )
    children = [joint.child for joint in joints]
    roots = [link for link in links if link not in children]
    if len(roots) != 1 or len(set(children)) != len(children):
        raise RobotDescriptionError(
            f"the links must form one tree; links without a parent: {roots}, links with two "
            f"parents: {sorted({c for c in children if children.count(c) > 1})}"
        )
    tree = Tree(text, links, joints, roots[0])
    for link in links:
        tree.chain(link)  # raises if a ring of links is cut off from the root
    return tree


def _joint(element: ElementTree.Element) -> Joint:
    name = _attribute(element, "name", "a <joint>")
    what = f"joint '{name}'"
    kind = _attribute(element, "type", what)
    if kind not in (*MOVABLE, "fixed"):
        raise RobotDescriptionError(
            f"{what} is of type '{kind}'; supported are {[*MOVABLE, 'fixed']}. "
            f"Fix the robot to its base and describe the arm only"
        )
    origin, axis = element.find("origin"), element.find("axis")
    direction = _vector(axis, "xyz", (1.0, 0.0, 0.0), what)
    length = float(np.linalg.norm(direction))
    if kind != "fixed" and length < 1e-9:
        raise RobotDescriptionError(f"the axis of {what} is zero; give it a direction")
    limit = element.find("limit")
    mimic = element.find("mimic")
    return Joint(
        name,
        kind,
        *(_attribute(_child(element, tag, what), "link", f"<{tag}> of {what}") for tag in ("parent", "child")),
        origin=transform(_vector(origin, "xyz", (0.0, 0.0, 0.0), what), _vector(origin, "rpy", (0.0, 0.0, 0.0), what)),
        axis=direction / length if length > 0.0 else direction,
        limit={}
        if limit is None
        else {key: float(_numbers(value, 1, f"<limit {key}> of {what}")[0]) for key, value in limit.attrib.items()},
        mimic="" if mimic is None else _attribute(mimic, "joint", f"<mimic> of {what}"),
    )


def inertials(text: str, links: Collection[str]) -> dict[str, Inertial]:
    """The `Inertial` of every one of `links` that has one; RobotDescriptionError names the link that is wrong."""
    found = {}
    for link in ElementTree.fromstring(text).findall("link"):
        element = link.find("inertial")
        if link.get("name") in links and element is not None:
            found[link.get("name")] = _inertial(element, f"link '{link.get('name')}'")
    return found


def _inertial(element: ElementTree.Element, what: str) -> Inertial:
    origin, inertia = element.find("origin"), _child(element, "inertia", f"<inertial> of {what}")
    place = transform(_vector(origin, "xyz", (0.0, 0.0, 0.0), what), _vector(origin, "rpy", (0.0, 0.0, 0.0), what))
    mass = float(
        _numbers(
            _attribute(_child(element, "mass", f"<inertial> of {what}"), "value", f"<mass> of {what}"),
            1,
            f"the mass of {what}",
        )[0]
    )
    if mass < 0.0:
        raise RobotDescriptionError(
            f"the mass of {what} is negative ({mass:g} kg); write its mass from the robot's data "
            f"sheet into its <inertial>, or remove the <inertial> if the link weighs nothing"
        )
    of = f"the <inertia> of {what}"
    moments = [_attribute(inertia, key, of) for key in ("ixx", "iyy", "izz")]
    products = [inertia.get(key, "0") for key in ("ixy", "ixz", "iyz")]
    xx, yy, zz, xy, xz, yz = (float(_numbers(value, 1, of)[0]) for value in (*moments, *products))
    R = place[:3, :3]
    return Inertial(mass, place[:3, 3], R @ np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) @ R.T)


def reduced(text: str, joints: Collection[str]) -> ElementTree.Element:
    """The URDF of the mechanism alone: links with their inertias, `joints` movable, every other joint fixed at zero.

    Meshes, sensors, transmissions and extensions of other tools are left out; what the URDF standard lets an author
    omit (origins, axes, unit length of axes) is written out, because not every reader knows the standard's defaults.
    """
    tree, source = parse(text), ElementTree.fromstring(text)
    robot = ElementTree.Element("robot", name=source.get("name", "robot"))
    for link in source.findall("link"):
        inertials = link.findall("inertial")
        for inertial in inertials:
            _write_origin(inertial)
        ElementTree.SubElement(robot, "link", name=link.get("name", "")).extend(inertials)
    for joint, element in zip(tree.joints, source.findall("joint")):
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
    """T(xyz [m], rpy [rad]) (4, 4): R = Rz(yaw) Ry(pitch) Rx(roll)."""
    (cr, cp, cy), (sr, sp, sy) = ([f(angle) for angle in rpy] for f in (math.cos, math.sin))
    T = np.eye(4)
    T[:3, :3] = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    T[:3, 3] = xyz
    return T


def _child(element: ElementTree.Element, tag: str, what: str) -> ElementTree.Element:
    found = element.find(tag)
    if found is None:
        raise RobotDescriptionError(f"{what} has no <{tag}>")
    return found


def _attribute(element: ElementTree.Element, key: str, what: str) -> str:
    value = element.get(key)
    if not value:
        raise RobotDescriptionError(f"{what} has no attribute '{key}'")
    return value


def _vector(element: ElementTree.Element | None, key: str, default: tuple[float, ...], what: str) -> Array:
    text = None if element is None else element.get(key)
    return np.array(default) if text is None else _numbers(text, len(default), f"'{key}' of {what}")


def _numbers(text: str, count: int, what: str) -> Array:
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError:
        values = np.empty(0)
    if values.size != count or not np.isfinite(values).all():
        raise RobotDescriptionError(f"{what} must be {count} finite number(s), got '{text}'")
    return values
