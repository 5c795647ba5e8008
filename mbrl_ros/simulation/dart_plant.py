r"""The robot and its drives in DART, the engine that Gazebo runs by default, behind the interface of the MuJoCo plant.

Drives and sensors are those of plant.py. DART knows no rotor inertia, and its own dry friction is too strong by
1 + h D / M_ii where there is damping D, too. So for every step h of the physics the acceleration a of

    (M + diag(A) + h diag(D)) a = tau - c - D qd + f,    |f_j| <= F_j,    qd'_j = 0 or f_j = -F_j sign(qd'_j)

is solved here (A rotor inertia, F dry friction, c Coriolis, gravity and payload, qd' = qd + h a), and DART is given the
effort M a + c, whose answer is exactly a; joint stops, and velocity limits with `velocity_limited`, are DART's own.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np

from ..config.section import per_joint
from ..config.sections.simulation import PlantSettings
from ..exceptions import ConfigurationError, RobotDescriptionError
from ..robots import Robot
from ..types import Array
from .mechanism import bare_mechanism, losses
from .plant_base import POSITION_GAIN, BasePlant

try:
    import dartpy as dart
except ImportError as error:
    raise ConfigurationError(f"the second engine needs DART ({error}): pip install 'mbrl_ros[dart]'") from None

NOTHING = 1e-9  # [kg], [kg m^2]: DART refuses a mass of 0, and takes 1 for a link without one
FRICTION_SWEEPS, FRICTION_TOLERANCE = 60, 1e-6  # [N m or N]
# settings that only the MuJoCo plant has, with the value that means none
ONLY_MUJOCO = {
    "model": "",
    "stiction_factor": 1.0,
    "backlash": 0.0,
    "joint_stiffness": (),
    "carried_weight": -1.0,
    "servo_coupled": True,
    "servo_integral": 0.0,
    "obstacle": (),
    "marks": (),
    "payload_body": "",
}


class DartPlant(BasePlant):
    """`robot` in DART."""

    def __init__(self, settings: PlantSettings, robot: Robot):
        for key, none in ONLY_MUJOCO.items():
            if settings.to_mapping()[key] != none:
                raise ConfigurationError(f"the DART plant has no '{key}'", key=key)
        if robot.followers:
            raise RobotDescriptionError(
                f"the DART plant has no joints that follow others, and {[one.name for one in robot.followers]} do"
            )
        super().__init__(settings, robot)
        n = robot.n
        self._skeleton = _skeleton(robot)
        self._world = dart.simulation.World()
        self._world.setTimeStep(settings.timestep)
        self._gravity = np.array(settings.gravity or robot.gravity)
        self._world.setGravity(self._gravity)
        tip = self._skeleton.getBodyNode(robot.tip)
        weld, self._payload = self._skeleton.createWeldJointAndBodyNodePair(tip)
        offset = np.eye(4)
        offset[:3, 3] = robot.tip_offset
        weld.setTransformFromParentBodyNode(dart.math.Isometry3(offset))
        self._load(0.0, 0.0)
        self._world.addSkeleton(self._skeleton)
        order = {self._skeleton.getDof(i).getName(): i for i in range(self._skeleton.getNumDofs())}
        self._dof = np.array([order[name] for name in robot.joints])
        self._rotors = per_joint(settings.armature, n, "armature")
        self._damping, self._dry = losses(settings, robot)
        self._held = np.zeros(n)  # f of the last step
        self._limit_joints()
        if settings.mass_factor != 1.0:
            self._scale_masses(settings.mass_factor)
        self.reset()

    def holding_effort(self, q: Array) -> Array:
        """Return the efforts (n,) [N m or N] that hold the robot and its payload still at q (n,)."""
        before = self._skeleton.getPositions(), self._skeleton.getVelocities()
        self._set(q, np.zeros(self.robot.n))
        effort: Array = np.array(self._skeleton.getGravityForces())[self._dof]
        self._skeleton.setPositions(before[0])
        self._skeleton.setVelocities(before[1])
        return effort

    def push(self, joint: int, speed: float) -> None:
        """Change the velocity of joint number `joint` at once by `speed` [rad/s or m/s], as a blow does."""
        q, qd, _ = self._state()
        qd[joint] += speed
        self._set(q, qd)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _limit_joints(self) -> None:
        """Let DART keep position limits, and velocity limits where they are asked for, and no more."""
        for name, limit in zip(self.robot.joints, self.robot.velocity_limit, strict=True):
            joint, most = self._skeleton.getJoint(name), limit if self.settings.velocity_limited else np.inf
            joint.setLimitEnforcement(True)
            joint.setVelocityLowerLimit(0, -most)
            joint.setVelocityUpperLimit(0, most)
            joint.setForceLowerLimit(0, -np.inf)
            joint.setForceUpperLimit(0, np.inf)
            joint.setDampingCoefficient(0, 0.0)
            joint.setCoulombFriction(0, 0.0)
            joint.setSpringStiffness(0, 0.0)
            joint.setActuatorType(dart.dynamics.ActuatorType.FORCE)

    def _scale_masses(self, factor: float) -> None:
        for i in range(self._skeleton.getNumBodyNodes()):
            body = self._skeleton.getBodyNode(i)
            if body.getName() != self._payload.getName():
                old = body.getInertia()
                body.setInertia(
                    dart.dynamics.Inertia(factor * old.getMass(), old.getLocalCOM(), factor * old.getMoment())
                )

    def _set(self, q: Array, qd: Array) -> None:
        full = np.zeros((2, self._skeleton.getNumDofs()))
        full[:, self._dof] = q, qd
        self._skeleton.setPositions(full[0])
        self._skeleton.setVelocities(full[1])

    def _place(self, q: Array) -> None:
        self._world.reset()
        self._skeleton.resetCommands()
        self._skeleton.resetGeneralizedForces()
        self._held = np.zeros(self.robot.n)
        self._set(q, np.zeros(self.robot.n))

    def _load(self, kg: float, inertia: float) -> None:
        moment = max(inertia, NOTHING) * np.eye(3)
        self._payload.setInertia(dart.dynamics.Inertia(max(kg, NOTHING), np.zeros(3), moment))

    def _advance(self, u: Array) -> None:
        h, (q, qd, _) = self.settings.timestep, self._state()
        M = np.array(self._skeleton.getMassMatrix())[np.ix_(self._dof, self._dof)]
        c = np.array(self._skeleton.getCoriolisAndGravityForces())[self._dof]
        weight = 0.0
        if self.robot.interface != "effort":
            # Gravity is carried for the robot, whose weight is not clipped; the payload's is not.
            weight = np.array(self._skeleton.getGravityForces())[self._dof] - self._payload_weight()
            u = POSITION_GAIN * (u - q) if self.robot.interface == "position" else u
            u = (M + np.diag(self._rotors)) @ (u - qd) / self.settings.servo_time + weight
        tau = self._driven(u)
        G = np.linalg.inv(M + np.diag(self._rotors + h * self._damping))
        free = qd + h * G @ (tau - c - self._damping * qd)
        a = (self._after_friction(free, h * G) - qd) / h
        full = np.zeros(self._skeleton.getNumDofs())
        full[self._dof] = M @ a + c
        self._skeleton.setForces(full)
        self._world.step(True)

    def _after_friction(self, free: Array, G: Array) -> Array:
        """Return qd' (n,) = free + G f with dry friction f in its box: Gauss-Seidel from the last step's f."""
        f, F, diagonal = self._held, self._dry, G.diagonal()
        sliding = -F * np.sign(free)
        v: Array = free + G @ sliding
        if (v * free > 0.0).all():  # all joints slide on
            f[:] = sliding
            return v
        v = free + G @ f
        for _ in range(FRICTION_SWEEPS):
            largest = 0.0
            for i in range(f.size):
                change = min(max(f[i] - v[i] / diagonal[i], -F[i]), F[i]) - f[i]
                f[i] += change
                v += G[:, i] * change
                largest = max(largest, abs(change))
            if largest < FRICTION_TOLERANCE:
                break
        return v

    def _payload_weight(self) -> Array:
        """Return the efforts (n,) that carry the payload's weight, which a drive does not know."""
        J = np.array(self._skeleton.getLinearJacobian(self._payload))[:, self._dof]
        weight: Array = -J.T @ (self._payload.getMass() * self._gravity)
        return weight

    def _state(self) -> tuple[Array, Array, Array]:
        q, qd = np.array(self._skeleton.getPositions()), np.array(self._skeleton.getVelocities())
        return q[self._dof], qd[self._dof], self._effort

    def _truth(self) -> tuple[Array, Array, Array]:
        q, qd, _ = self._state()
        return q, qd, np.array(self._payload.getWorldTransform().translation()).ravel()


def _skeleton(robot: Robot) -> dart.dynamics.Skeleton:
    """Return the robot's mechanism, its root welded to the world."""
    root = bare_mechanism(robot.urdf, robot)
    for link in root.findall("link"):
        mass = link.find("inertial/mass")
        if mass is not None and float(mass.get("value", "0")) <= 0.0:
            for inertial in link.findall("inertial"):
                link.remove(inertial)
    nothing = dart.dynamics.Inertia(NOTHING, np.zeros(3), NOTHING * np.eye(3))
    loader = dart.utils.DartLoader()
    loader.setOptions(
        dart.utils.DartLoaderOptions(
            dart.common.LocalResourceRetriever(), dart.utils.DartLoaderRootJointType.FIXED, nothing
        )
    )
    text = ElementTree.tostring(root, encoding="unicode")
    skeleton = loader.parseSkeletonString(text, dart.common.Uri.createFromPath("/"))
    if skeleton is None or skeleton.getNumDofs() != robot.n:
        raise RobotDescriptionError("DART cannot read this URDF")
    return skeleton
