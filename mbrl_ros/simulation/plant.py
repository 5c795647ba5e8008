"""The robot and its drives, simulated: M(q) qdd + h(q, qd) + damping qd + friction = tau, stepped by MuJoCo.

One `step` is one control period. What a command u means, with g(q) the robot's own gravity torque:
    effort:    tau = u
    velocity:  tau = M(q) (u - qd) / T + g(q),                T = 5 ms if not set
    position:  tau = M(q) (k (u - q) - qd) / T + g(q),      k = 20 / s, the usual cascade around the velocity loop

which settings make less perfect (servos.py). A driver that carries a share of the weight adds it to an effort, too.
tau is clipped to the effort limits. Behind a motor of lag L the joint receives tau', L dtau'/dt = tau - tau', exactly
for a tau that is constant over a physics step h: tau' <- tau + exp(-h/L) (tau' - tau). delivery.py determines which
command is in effect. The inner loop's time constant T is usually five physics steps, so it is stable whatever the
inertia. A drive knows neither friction nor the payload's weight, and yields to them a little, as real ones do.
"""

from __future__ import annotations

import numpy as np

from ..config.section import per_joint
from ..config.sections.simulation import PlantSettings
from ..exceptions import RobotDescriptionError
from ..robots import Robot
from ..robots.mimic import Coupling
from ..types import Array
from . import model as models
from .imperfections import Obstacle, limit_velocities, stiction
from .model import mujoco
from .plant_base import BasePlant, Measurement, Truth
from .plant_model import MARK, PAYLOAD_BODY, PLAY, plant_model
from .servos import Servos

__all__ = ["Measurement", "Plant", "Truth"]


class Plant(BasePlant):
    """`robot` in MuJoCo."""

    def __init__(self, settings: PlantSettings, robot: Robot):
        super().__init__(settings, robot)
        self.model = plant_model(settings, robot)
        self.data = mujoco.MjData(self.model)
        self._payload = self.model.body(PAYLOAD_BODY).id
        self._mark_sites = [MARK.format(i) for i in range(len(settings.marks))] or [models.TIP]
        joints = [self.model.joint(name) for name in robot.joints]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dof = np.array([joint.dofadr[0] for joint in joints])
        followers = robot.followers
        self._coupling = Coupling(robot.n, followers) if followers else None
        moving = [self.model.joint(name) for name in robot.moving]
        self._all_qpos = np.array([joint.qposadr[0] for joint in moving])
        self._all_dof = np.array([joint.dofadr[0] for joint in moving])
        self._plays = bool(settings.backlash or settings.joint_stiffness)
        played = [self.model.joint(PLAY.format(name)) for name in robot.joints] if self._plays else []
        self._play_qpos = np.array([joint.qposadr[0] for joint in played], dtype=int)
        self._play_dof = np.array([joint.dofadr[0] for joint in played], dtype=int)
        self._friction = self.model.dof_frictionloss[self._dof].copy()  # of motion (n,)
        mujoco.mj_kinematics(self.model, self.data)
        # An MJCF may not know the root link by name; its world is taken for it then. `root_pose` is the root link's
        # position (3,) [m] and rotation (3, 3) in MuJoCo's world.
        root = max(0, mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, robot.root))
        self.root_pose = self.data.xpos[root].copy(), self.data.xmat[root].reshape(3, 3).copy()
        self._wanted, self._force = np.zeros(self.model.nv), np.zeros(self.model.nv)
        self._nothing = np.zeros(robot.n)
        self._servos = Servos(settings, robot)
        tip = self.data.site(models.TIP).id
        self._obstacle = Obstacle(settings, self.model, tip, self.root_pose) if settings.obstacle else None
        self.reset()

    @property
    def marks(self) -> Array:
        """Where the marks are (count, 3) [m], in the root link's frame."""
        return self._sites(self._mark_sites)

    def frame(self, name: str) -> tuple[Array, Array]:
        """Return position (3,) [m] and rotation (3, 3) of a body or site, now, in the root link's frame.

        Raises
        ------
        RobotDescriptionError : the model has neither of this name
        """
        mujoco.mj_kinematics(self.model, self.data)
        kinds = {mujoco.mjtObj.mjOBJ_BODY: self.data.body, mujoco.mjtObj.mjOBJ_SITE: self.data.site}
        for kind, element in kinds.items():
            if mujoco.mj_name2id(self.model, kind, name) >= 0:
                origin, turn = self.root_pose
                found = element(name)
                return (found.xpos - origin) @ turn, turn.T @ found.xmat.reshape(3, 3)
        raise RobotDescriptionError(f"the simulated model has no body or site '{name}'")

    def holding_effort(self, q: Array) -> Array:
        """Return the efforts (n,) [N m or N] that hold the robot and its payload still at q (n,)."""
        data = mujoco.MjData(self.model)
        data.qpos[self._all_qpos] = self._followed(q)
        mujoco.mj_forward(self.model, data)
        effort = self._on_joints(data.qfrc_bias)
        if self.robot.interface == "effort":  # a driver that carries a share of the weight adds it to the command
            effort = effort - self._on_joints(data.qfrc_gravcomp)
        return effort

    def inertia_at(self, q: Array) -> Array:
        """Return the diagonal (n,) [kg m^2 or kg] of the joints' inertia, rotors and payload included, at q (n,)."""
        data, columns = mujoco.MjData(self.model), np.zeros(self.model.nv)
        data.qpos[self._all_qpos] = self._followed(q)
        mujoco.mj_forward(self.model, data)
        diagonal = np.empty(self.robot.n)
        for i, e in enumerate(np.eye(self.robot.n)):
            direction = np.zeros(self.model.nv)
            direction[self._all_dof] = e if self._coupling is None else self._coupling.E @ e
            mujoco.mj_mulM(self.model, data, columns, direction)
            diagonal[i] = self._on_joints(columns)[i]
        return diagonal

    def push(self, joint: int, speed: float) -> None:
        """Change the velocity of joint number `joint` at once by `speed` [rad/s or m/s], as a blow does."""
        self.data.qvel[self._dof[joint]] += speed
        self._take_along()

    # --- inside -----------------------------------------------------------------------------------------------

    def _place(self, q: Array) -> None:
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[self._all_qpos] = self._followed(q)
        settings = self.settings
        if settings.joint_stiffness or not settings.servo_coupled:
            mujoco.mj_forward(self.model, self.data)
        if settings.joint_stiffness:  # the springs carry the arm
            dof = self._play_dof
            weight = self.data.qfrc_bias[dof] - self.data.qfrc_gravcomp[dof]
            self.data.qpos[self._play_qpos] = -weight / per_joint(
                settings.joint_stiffness, self.robot.n, "joint_stiffness"
            )
        inertia = np.ones(self.robot.n)
        if not settings.servo_coupled:
            inertia = np.array([self._times_inertia(e)[i] for i, e in enumerate(np.eye(self.robot.n))])
        self._servos.reset(inertia)

    def _advance(self, u: Array) -> None:
        settings = self.settings
        if settings.stiction_factor != 1.0:
            share = stiction(self.data.qvel[self._dof], settings)
            self.model.dof_frictionloss[self._dof] = share * self._friction
        mujoco.mj_step1(self.model, self.data)
        self._apply(u)
        mujoco.mj_step2(self.model, self.data)
        if settings.velocity_limited:
            limit_velocities(self.model, self.data, self._dof, self.robot.velocity_limit)
            self._take_along()

    def _load(self, kg: float, inertia: float) -> None:
        self.model.body_mass[self._payload] = kg
        self.model.body_inertia[self._payload] = inertia
        # A scratch state: mj_setConst overwrites the one it is given.
        mujoco.mj_setConst(self.model, mujoco.MjData(self.model))

    def _apply(self, u: Array) -> None:
        """Turn the command in effect into joint torques for the coming physics step."""
        data, dof = self.data, self._dof
        if self.robot.interface == "effort":
            wanted, gravity = u, self._nothing
        else:
            gravity = self._on_joints(data.qfrc_gravcomp)
            wanted = self._servos.efforts(u, data.qpos[self._qpos], data.qvel[dof], self._times_inertia, gravity)
        data.qfrc_applied[dof] = self._driven(wanted) - gravity  # MuJoCo adds its gravity compensation itself
        if self._obstacle is not None:
            self._obstacle.push_back(self.model, data)

    def _times_inertia(self, a: Array) -> Array:
        """Return M(q) a (n,)."""
        self._wanted[self._all_dof] = a if self._coupling is None else self._coupling.E @ a
        mujoco.mj_mulM(self.model, self.data, self._force, self._wanted)
        return self._on_joints(self._force)

    def _followed(self, q: Array) -> Array:
        """Return the positions of the joints and their followers for q (n,)."""
        return q if self._coupling is None else self._coupling.positions(q)

    def _on_joints(self, force: Array) -> Array:
        """Return what generalized forces (nv,) on all joints are on the robot's (n,)."""
        acting: Array = force[self._all_dof]
        return acting if self._coupling is None else self._coupling.E.T @ acting

    def _take_along(self) -> None:
        """Give the followers the velocities that those of their joints mean."""
        if self._coupling is not None:
            self.data.qvel[self._all_dof] = self._coupling.E @ self.data.qvel[self._dof]

    def _state(self) -> tuple[Array, Array, Array]:
        return self.data.qpos[self._qpos], self.data.qvel[self._dof], self._effort

    def _truth(self) -> tuple[Array, Array, Array]:
        q, qd, _ = self._state()
        if self._plays:
            q, qd = q + self.data.qpos[self._play_qpos], qd + self.data.qvel[self._play_dof]
        return q, qd, self._sites([models.TIP])[0]

    def _sites(self, names: list[str]) -> Array:
        """Positions (len(names), 3) [m] of sites, now, in the root link's frame."""
        mujoco.mj_kinematics(self.model, self.data)
        position, rotation = self.root_pose
        found: Array = (np.array([self.data.site(name).xpos for name in names]) - position) @ rotation
        return found
