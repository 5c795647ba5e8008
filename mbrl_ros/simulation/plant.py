"""The robot and its drives, simulated: M(q) qdd + h(q, qd) + damping qd + friction = tau, stepped by MuJoCo.

One `step` is one control period. What a command u means, with g(q) the robot's own gravity torque:
    effort:    tau = u
    velocity:  tau = M(q) (u - qd) / T + g(q),                T = 5 ms
    position:  tau = M(q) (k (u - q) - qd) / T + g(q),      k = 20 / s, the usual cascade around the velocity loop
tau is clipped to the effort limits. Behind a motor of lag L the joint receives tau', L dtau'/dt = tau - tau', exactly
for a tau that is constant over a physics step h: tau' <- tau + exp(-h/L) (tau' - tau). delivery.py determines which
command is in effect. The inner loop's time constant T is five physics steps, so it is stable whatever the inertia. A
drive knows neither friction nor the payload's weight, and yields to them a little, as real ones do.
"""

from __future__ import annotations

import collections
import math
from dataclasses import dataclass

import numpy as np

from ..config.section import per_joint
from ..config.sections.simulation import PlantSettings
from ..exceptions import ConfigurationError, JointNameError
from ..robots import Robot
from ..robots.velocity_estimator import VelocityEstimator
from ..types import Array, checked
from . import model as models
from .delivery import Delivery
from .imperfections import limit_velocities, stiction
from .model import mujoco
from .plant_model import MARK, PAYLOAD_BODY, PLAY, initial_position, plant_model

VELOCITY_TIME = 0.005  # T [s]
POSITION_GAIN = 20.0  # k [1/s]
PAYLOAD_RADIUS = 0.05  # [m], a solid ball: inertia 2/5 m r^2


@dataclass(frozen=True, eq=False, slots=True)
class Measurement:
    """What the sensors report.

    q (n,) [rad or m] and qd (n,) [rad/s or m/s] as they were at `stamp` [s], with noise; effort (n,) [N m or N]: what
    the drives applied just before.
    """

    stamp: float
    q: Array
    qd: Array
    effort: Array


@dataclass(frozen=True, eq=False, slots=True)
class Truth:
    """The state without noise or delay at `stamp` [s]: q (n,), qd (n,), and tip (3,) [m] in the root link's frame."""

    stamp: float
    q: Array
    qd: Array
    tip: Array


class Plant:
    """`robot` in MuJoCo. Arrays follow the order of `robot.joints`, whatever the model's own order.

    The same settings and the same commands give bitwise the same measurements. `rejected` counts commands with an
    entry that is not finite (the drive keeps its last command), `clipped` those outside the robot's command limits;
    `delivery` tells which command acts, by the number of the step it was given to.
    """

    def __init__(self, settings: PlantSettings, robot: Robot):
        self.settings, self.robot = settings, robot
        self.period = 1.0 / settings.rate
        self._substeps = round(self.period / settings.timestep)
        self.delivery = Delivery(settings, self._substeps)
        lag = per_joint(settings.motor_lag, robot.n, "motor_lag")
        with np.errstate(divide="ignore"):
            self._lagging = np.exp(-settings.timestep / lag) if lag.any() else None  # exp(-h/L), (n,)
        self._spikes = _spikes(settings.velocity_spikes, robot.joints, self.period)
        self._differentiator = VelocityEstimator(settings.velocity_cutoff) if settings.differentiated_velocity else None
        self.model = plant_model(settings, robot)
        self.data = mujoco.MjData(self.model)
        self._payload = self.model.body(PAYLOAD_BODY).id
        self._mark_sites = [MARK.format(i) for i in range(len(settings.marks))] or [models.TIP]
        joints = [self.model.joint(name) for name in robot.joints]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dof = np.array([joint.dofadr[0] for joint in joints])
        played = [self.model.joint(PLAY.format(name)) for name in robot.joints] if settings.backlash else []
        self._play_qpos = np.array([joint.qposadr[0] for joint in played], dtype=int)
        self._play_dof = np.array([joint.dofadr[0] for joint in played], dtype=int)
        self._friction = self.model.dof_frictionloss[self._dof].copy()  # of motion (n,)
        mujoco.mj_kinematics(self.model, self.data)
        # An MJCF may not know the root link by name; its world is taken for it then. `root_pose` is the root link's
        # position (3,) [m] and rotation (3, 3) in MuJoCo's world.
        root = max(0, mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, robot.root))
        self.root_pose = self.data.xpos[root].copy(), self.data.xmat[root].reshape(3, 3).copy()
        self._home = initial_position(settings, robot)
        self._wanted, self._force = np.zeros(self.model.nv), np.zeros(self.model.nv)
        self._scale = np.ones(robot.n)
        self.seed, self._rng = settings.seed, np.random.default_rng(settings.seed)
        self._effort = np.zeros(robot.n)
        self._delivered: Array | None = None  # tau'
        self._states: collections.deque[tuple[Array, Array, Array]] = collections.deque(
            maxlen=settings.sensor_delay + 1
        )
        self._tick = self.rejected = self.clipped = 0
        self.reset()

    def reset(self, seed: int | None = None) -> Measurement:
        """Return to the initial position at rest, unloaded, motors in order; `seed` replaces the settings' seed."""
        robot = self.robot
        self.seed = self.settings.seed if seed is None else seed
        self._rng = np.random.default_rng(self.seed)
        self._scale[:] = 1.0
        self.set_payload(0.0)
        mujoco.mj_resetData(self.model, self.data)
        start = self._home + self.settings.initial_noise * self._rng.standard_normal(robot.n)
        start = np.clip(start, robot.position_lower, robot.position_upper)
        self.data.qpos[self._qpos] = start
        self._effort = np.zeros(robot.n)
        # Until a first command acts: no effort, standing still, or staying where it is.
        rest = {"effort": np.zeros(robot.n), "velocity": np.zeros(robot.n), "position": start}[robot.interface]
        self.delivery.reset(rest, self.seed)
        self._delivered = np.zeros(robot.n) if robot.interface == "effort" else None
        if self._differentiator is not None:
            self._differentiator.reset()
        self._states.extend([self._state()] * (self.settings.sensor_delay + 1))
        self._tick = self.rejected = self.clipped = 0
        return self._measure()

    def step(self, command: Array) -> Measurement:
        """Advance one period; `command` (n,) is the answer to the measurement returned last."""
        command = np.array(checked("command", command, (self.robot.n,)))
        if not np.isfinite(command).all():
            self.rejected += 1
            command = self.delivery.newest
        allowed = np.clip(command, self.robot.command_lower, self.robot.command_upper)
        self.clipped += int((allowed != command).any())
        self.delivery.give(allowed)
        for i in range(self._substeps):
            if self.settings.stiction_factor != 1.0:
                share = stiction(self.data.qvel[self._dof], self.settings)
                self.model.dof_frictionloss[self._dof] = share * self._friction
            mujoco.mj_step1(self.model, self.data)
            self._apply(self.delivery.at(self._tick * self._substeps + i))
            mujoco.mj_step2(self.model, self.data)
            if self.settings.velocity_limited:
                limit_velocities(self.model, self.data, self._dof, self.robot.velocity_limit)
        self._tick += 1
        self._states.append(self._state())
        return self._measure()

    @property
    def time(self) -> float:
        """Now [s], in the clock of the stamps: ahead of the newest measurement by the sensor delay."""
        return (self._tick + self.settings.sensor_delay) * self.period

    @property
    def truth(self) -> Truth:
        """The state as it is now, without noise or delay."""
        q, qd, _ = self._state()
        if self.settings.backlash:
            q, qd = q + self.data.qpos[self._play_qpos], qd + self.data.qvel[self._play_dof]
        return Truth(self.time, q, qd, self._sites([models.TIP])[0])

    @property
    def marks(self) -> Array:
        """Where the marks are (count, 3) [m], in the root link's frame."""
        return self._sites(self._mark_sites)

    def set_payload(self, kg: float) -> None:
        """Fasten a ball of `kg` to the payload point (0: take it off), without disturbing the motion."""
        if not (math.isfinite(kg) and kg >= 0.0):
            raise ConfigurationError(f"a payload must be a mass of at least 0 kg, got {kg!r}", key="payload", value=kg)
        self.model.body_mass[self._payload] = kg
        self.model.body_inertia[self._payload] = 0.4 * kg * PAYLOAD_RADIUS**2
        # A scratch state: mj_setConst overwrites the one it is given.
        mujoco.mj_setConst(self.model, mujoco.MjData(self.model))

    def holding_effort(self, q: Array) -> Array:
        """Return the efforts (n,) [N m or N] that hold the robot and its payload still at q (n,)."""
        data = mujoco.MjData(self.model)
        data.qpos[self._qpos] = q
        mujoco.mj_forward(self.model, data)
        effort: Array = data.qfrc_bias[self._dof]
        return effort

    def push(self, joint: int, speed: float) -> None:
        """Change the velocity of joint number `joint` at once by `speed` [rad/s or m/s], as a blow does."""
        self.data.qvel[self._dof[joint]] += speed

    def scale_motor(self, joint: str, factor: float) -> None:
        """Let the motor of `joint` deliver only `factor` (0 to 1) of the torque its drive asks for, from now on."""
        if joint not in self.robot.joints:
            raise JointNameError([joint], self.robot.joints)
        if not 0.0 <= factor <= 1.0:
            raise ConfigurationError(f"a motor's factor lies in [0, 1], got {factor!r}", key="factor", value=factor)
        self._scale[self.robot.joints.index(joint)] = factor

    # --- inside -----------------------------------------------------------------------------------------------

    def _apply(self, u: Array) -> None:
        """Turn the command in effect into joint torques for the coming physics step."""
        data, dof = self.data, self._dof
        if self.robot.interface == "effort":
            wanted, gravity = u, 0.0
        else:
            if self.robot.interface == "position":
                u = POSITION_GAIN * (u - data.qpos[self._qpos])
            self._wanted[dof] = (u - data.qvel[dof]) / VELOCITY_TIME
            mujoco.mj_mulM(self.model, data, self._force, self._wanted)
            gravity = data.qfrc_gravcomp[dof]
            wanted = self._force[dof] + gravity
        limit = self.settings.effort_limit_factor * self.robot.effort_limit
        wanted = np.clip(wanted, -limit, limit)
        if self._lagging is not None:
            if self._delivered is None:  # a drive holds its arm before the first command
                self._delivered = wanted
            self._delivered = wanted = wanted + self._lagging * (self._delivered - wanted)
        self._effort = self._scale * wanted
        data.qfrc_applied[dof] = self._effort - gravity  # MuJoCo adds its gravity compensation itself

    def _state(self) -> tuple[Array, Array, Array]:
        return self.data.qpos[self._qpos], self.data.qvel[self._dof], self._effort

    def _measure(self) -> Measurement:
        q, qd, effort = self._states[0]
        noise = self._rng.standard_normal((2, self.robot.n))
        stamp = self._tick * self.period
        q, qd = q + self.settings.position_noise * noise[0], qd + self.settings.velocity_noise * noise[1]
        if step := self.settings.position_resolution:
            q = step * np.round(q / step)
        if self._differentiator is not None:
            estimate = self._differentiator.update(stamp, q)
            qd = np.zeros(self.robot.n) if estimate is None else estimate.copy()
        for joint, size in self._spikes.get(self._tick, ()):
            qd[joint] += size
        return Measurement(stamp, q, qd, effort.copy())

    def _sites(self, names: list[str]) -> Array:
        """Positions (len(names), 3) [m] of sites, now, in the root link's frame."""
        mujoco.mj_kinematics(self.model, self.data)
        position, rotation = self.root_pose
        found: Array = (np.array([self.data.site(name).xpos for name in names]) - position) @ rotation
        return found


def _spikes(entries: tuple[str, ...], joints: tuple[str, ...], period: float) -> dict[int, list[tuple[int, float]]]:
    """Return {tick: [(joint number, size)]} of `entries`: time, joint and size, one after the other."""
    wrong = ConfigurationError(
        "'velocity_spikes' must hold a time [s], a joint and a size for every spike",
        key="velocity_spikes",
        value=entries,
    )
    if len(entries) % 3:
        raise wrong
    spikes: dict[int, list[tuple[int, float]]] = {}
    for time, joint, size in zip(entries[::3], entries[1::3], entries[2::3], strict=True):
        if joint not in joints:
            raise JointNameError([joint], joints)
        try:
            tick, off = round(float(time) / period), float(size)
        except (ValueError, OverflowError):
            raise wrong from None
        if not math.isfinite(off):
            raise wrong
        spikes.setdefault(tick, []).append((joints.index(joint), off))
    return spikes
