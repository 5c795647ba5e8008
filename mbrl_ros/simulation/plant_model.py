"""What is simulated of a robot: the MuJoCo model with friction, payload and marks, and the position it starts at.

Contacts are off, and gravity is compensated for every interface but effort, where the settings say nothing else: the
drives of velocity and position interfaces know their robot's own weight.
"""

from __future__ import annotations

import numpy as np

from ..config.section import per_joint
from ..config.sections.simulation import PlantSettings
from ..exceptions import ConfigurationError
from ..robots import Robot
from ..types import Array
from .mechanism import losses
from .model import TIP, compiled, mechanism, mujoco, place

PAYLOAD_BODY = "mbrl_payload"  # name of the payload's body
MARK = "mbrl_mark_{}"  # names of the marks' sites
PLAY = "mbrl_play_{}"  # names of the joints that stand for backlash and elasticity
# of such a joint: nearly no friction, and stops as hard as the timestep allows [time constant s, damping ratio]
PLAY_DAMPING, PLAY_STOP = 1e-3, (0.002, 1.0)


def plant_model(settings: PlantSettings, robot: Robot) -> mujoco.MjModel:
    """Compile the simulated robot: its mechanism with friction, payload and marks; raises what `plant_spec` raises."""
    model = compiled(plant_spec(settings, robot))
    if settings.mass_factor != 1.0:
        model.body_mass *= settings.mass_factor
        model.body_inertia *= settings.mass_factor
        mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


def plant_spec(settings: PlantSettings, robot: Robot) -> mujoco.MjSpec:
    """Return the simulated robot, not compiled yet.

    Raises
    ------
    RobotDescriptionError : MuJoCo cannot simulate the model
    JointNameError : the model lacks a joint of the robot
    ConfigurationError : the settings do not fit the robot's interface
    """
    n = robot.n
    if settings.joint_stiffness and robot.interface != "effort":
        raise ConfigurationError(
            "elastic joints are simulated for efforts only: the drives' loop of other commands takes them for rigid",
            key="joint_stiffness",
            value=settings.joint_stiffness,
        )
    spec, is_urdf = mechanism(settings.model, robot)
    spec.option.timestep = settings.timestep
    spec.option.gravity = settings.gravity or robot.gravity
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    for body in spec.bodies:
        body.gravcomp = carried_share(settings, robot)
    if is_urdf:
        columns = (per_joint(settings.armature, n, "armature"), *losses(settings, robot))
        for name, armature, damping, frictionloss in zip(robot.joints, *columns, strict=True):
            joint = spec.joint(name)
            joint.armature, joint.damping, joint.frictionloss = armature, _damping(joint, damping), frictionloss
    if settings.backlash or settings.joint_stiffness:
        _add_play(spec, robot, settings)
    body, offset = place(spec, settings.payload_body or TIP, settings.payload_offset)
    body.add_body(name=PAYLOAD_BODY, pos=offset, ipos=np.zeros(3), explicitinertial=True)
    for i, (name, offset) in enumerate(marks(settings)):
        body, offset = place(spec, name, offset)
        body.add_site(name=MARK.format(i), pos=offset)
    return spec


def carried_share(settings: PlantSettings, robot: Robot) -> float:
    """Return the share of the robot's own weight that the driver carries."""
    if settings.carried_weight >= 0.0:
        return settings.carried_weight
    return 0.0 if robot.interface == "effort" else 1.0


def _add_play(spec: mujoco.MjSpec, robot: Robot, settings: PlantSettings) -> None:
    """Give every joint of the robot another one behind it, on the same axis.

    A spring holds it where the joint is elastic; else it is free, with stops half the backlash away.
    """
    half = 0.5 * settings.backlash
    stiffness = per_joint(settings.joint_stiffness or (0.0,), robot.n, "joint_stiffness")
    for name, spring in zip(robot.joints, stiffness, strict=True):
        joint = spec.joint(name)
        play = joint.parent.add_joint(name=PLAY.format(name), type=joint.type, pos=joint.pos, axis=joint.axis)
        if settings.joint_stiffness:
            play.limited = mujoco.mjtLimited.mjLIMITED_FALSE
            play.stiffness = _damping(play, spring) if np.ndim(play.stiffness) else spring
            play.damping = _damping(play, spring * settings.joint_damping_time)
            continue
        in_degrees = spec.compiler.degree and joint.type == mujoco.mjtJoint.mjJNT_HINGE
        ends = np.rad2deg(half) if in_degrees else half
        play.range, play.limited = (-ends, ends), mujoco.mjtLimited.mjLIMITED_TRUE
        play.damping = _damping(play, PLAY_DAMPING)
        play.solref_limit = (max(PLAY_STOP[0], 2.0 * settings.timestep), PLAY_STOP[1])


def marks(settings: PlantSettings) -> list[tuple[str, Array]]:
    """Return the body or site of every mark and the mark's offset (3,) [m] in its frame."""
    offsets = np.reshape(settings.mark_offsets or np.zeros(3 * len(settings.marks)), (-1, 3))
    return list(zip(settings.marks, offsets, strict=True))


def _damping(joint: mujoco.MjsJoint, value: float) -> float | Array:
    """Return `value` as MuJoCo keeps damping: a scalar or, in newer versions, the coefficients of a polynomial."""
    if np.ndim(joint.damping) == 0:
        return value
    coefficients = np.zeros(np.size(joint.damping))
    coefficients[0] = value
    return coefficients
