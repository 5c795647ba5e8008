"""A MuJoCo model of a robot's mechanism, from its URDF or an MJCF, with the same joints as the `Robot`.

The joints the robot does not control are locked, except those that follow a controlled one, contacts are off, and the
model's own actuators are removed: the plant applies joint forces itself.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ..exceptions import ConfigurationError, JointNameError, RobotDescriptionError, nearest
from ..robots import Robot, sources, urdf
from ..robots.document import parsed
from ..robots.meshes import find_mesh
from ..types import Array
from .mechanism import bare_mechanism

try:
    import mujoco
except ImportError as error:
    raise ConfigurationError(f"the simulation needs MuJoCo ({error}): pip install 'mbrl_ros[sim]'") from None

__all__ = ["MESHES", "TIP", "compiled", "mechanism", "mujoco", "place"]  # mujoco, which is imported once

MESHES = (".stl", ".obj")  # the mesh formats MuJoCo reads
TIP = "mbrl_tip"
# of the rule by which a joint follows another: MuJoCo lengthens the time constant [s] to two timesteps
FOLLOWS, FOLLOWS_IMPEDANCE = (1e-4, 1.0), (0.9999, 0.9999, 0.001, 0.5, 2.0)


def mechanism(source: str, robot: Robot, *, shapes: bool = False) -> tuple[mujoco.MjSpec, bool]:
    """Return the `robot`'s mechanism with a site `TIP` at its end effector, and whether it comes from a URDF.

    Parameters
    ----------
    source : a URDF or MJCF, as a file, as text or as 'package-data:NAME'; empty: the robot's own URDF
    shapes : keep a URDF's collision shapes, for pictures

    Raises
    ------
    RobotDescriptionError : MuJoCo cannot read the model
    JointNameError : it lacks a joint of the robot
    """
    text = sources.read(source) if source else robot.urdf
    path = sources.path_of(source) if source and not source.lstrip().startswith("<") else None
    folder = None if path is None else path.parent
    try:
        root = parsed(text)
    except RobotDescriptionError as error:
        raise RobotDescriptionError(f"MuJoCo cannot read the model: {error}") from None
    try:
        if root.tag == "mujoco" and path is not None:
            spec = mujoco.MjSpec.from_file(str(path))
        elif root.tag == "mujoco":
            spec = mujoco.MjSpec.from_string(text)
        else:
            spec = mujoco.MjSpec.from_string(_urdf(text, robot, folder, shapes))
    except ValueError as error:
        raise RobotDescriptionError(f"MuJoCo cannot read the model: {error}") from None
    given = [joint.name for joint in spec.joints]
    if any(name not in given for name in robot.joints):
        raise JointNameError(robot.joints, given, what="the robot's joints and the simulated model's")
    if root.tag == "mujoco":
        _lock_and_release(spec, robot)
    for geom in spec.geoms:
        geom.contype = geom.conaffinity = 0
    _couple(spec, robot)
    body, offset = place(spec, robot.tip, robot.tip_offset)
    body.add_site(name=TIP, pos=offset)
    return spec, root.tag == "robot"


def compiled(spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Compile `spec`; RobotDescriptionError repeats MuJoCo's reason against it."""
    try:
        return spec.compile()
    except ValueError as error:
        raise RobotDescriptionError(
            f"MuJoCo cannot simulate this model: {error}. Check the mass and inertia of the link it names"
        ) from None


def place(spec: mujoco.MjSpec, name: str, offset: ArrayLike) -> tuple[mujoco.MjsBody, Array]:
    """Find the body that carries `name`, a body or a site; RobotDescriptionError if there is none.

    Returns
    -------
    The body, and `offset` (3,) [m], given in the frame of `name`, in the body's frame.
    """
    body, site = spec.body(name), spec.site(name)
    if body is not None:
        return body, np.asarray(offset, dtype=np.float64)
    if site is not None:
        turned = np.zeros(3)
        mujoco.mju_rotVecQuat(turned, np.asarray(offset, dtype=np.float64), np.asarray(site.quat))
        return site.parent, site.pos + turned
    names = [entry.name for entry in (*spec.bodies, *spec.sites) if entry.name]
    raise RobotDescriptionError(
        f"the simulated model has no body or site '{name}'; did you mean '{nearest(name, names)}'? It has {names}"
    )


def _urdf(text: str, robot: Robot, folder: Path | None, shapes: bool) -> str:
    missing = [name for name in robot.joints if name not in {joint.name for joint in urdf.parse(text).joints}]
    if missing:  # before everything but the robot's joints is fixed, so that the error can name the others
        raise JointNameError(
            robot.joints,
            [joint.name for joint in urdf.parse(text).joints if joint.movable],
            what="the robot's joints and the simulated model's",
        )
    root = bare_mechanism(text, robot)
    if shapes:
        for link, full in zip(root.findall("link"), parsed(text).findall("link"), strict=True):
            for collision in full.findall("collision"):
                mesh = collision.find("geometry/mesh")
                if mesh is not None:
                    file = find_mesh(mesh.get("filename", ""), folder, MESHES)
                    if file is None:
                        continue
                    mesh.set("filename", str(file))
                link.append(collision)
    options = ElementTree.SubElement(root, "mujoco")
    ElementTree.SubElement(
        options, "compiler", fusestatic="false", balanceinertia="true", strippath="false", discardvisual="false"
    )
    return ElementTree.tostring(root, encoding="unicode")


def _couple(spec: mujoco.MjSpec, robot: Robot) -> None:
    """Let the robot's followers follow, as stiffly as the timestep of the physics allows."""
    for follower in robot.followers:
        if spec.joint(follower.name) is None:
            raise RobotDescriptionError(
                f"the simulated model has no joint '{follower.name}', which follows "
                f"'{robot.joints[follower.master]}' in the URDF"
            )
        rule = spec.add_equality(
            type=mujoco.mjtEq.mjEQ_JOINT,
            objtype=mujoco.mjtObj.mjOBJ_JOINT,
            name1=follower.name,
            name2=robot.joints[follower.master],
            solref=FOLLOWS,
            solimp=FOLLOWS_IMPEDANCE,
        )
        rule.data[:5] = (follower.offset, follower.multiplier, 0.0, 0.0, 0.0)


def _lock_and_release(spec: mujoco.MjSpec, robot: Robot) -> None:
    """Lock an MJCF's other hinges and slides; drop what would act on the joints or refer to locked ones."""
    locked = [
        joint
        for joint in spec.joints
        if joint.name not in robot.moving and joint.type in (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
    ]
    for element in (*spec.actuators, *spec.sensors, *spec.keys):
        spec.delete(element)
    if locked:
        for element in (*spec.equalities, *spec.tendons):
            spec.delete(element)
    for joint in locked:
        spec.delete(joint)
