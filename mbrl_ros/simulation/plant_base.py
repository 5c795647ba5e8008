"""What every simulated robot does, whatever engine moves it: when commands act, motor lag, sensors, seeds.

A subclass advances the physics by one step of its engine and tells the state. The same settings and the same commands
give bitwise the same measurements.
"""

from __future__ import annotations

import collections
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from ..config.section import per_joint
from ..config.sections.simulation import PlantSettings
from ..exceptions import ConfigurationError, JointNameError
from ..robots import Robot
from ..robots.velocity_estimator import VelocityEstimator
from ..types import Array, checked
from .delivery import Delivery
from .home import initial_position

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


class BasePlant(ABC):
    """`robot` in a physics engine. Arrays follow the order of `robot.joints`, whatever the engine's own order.

    `rejected` counts commands with an entry that is not finite (the drive keeps its last command), `clipped` those
    outside the robot's command limits; `delivery` tells which command acts, by the number of the step it was given to.
    """

    def __init__(self, settings: PlantSettings, robot: Robot):
        self.settings, self.robot = settings, robot
        self.period = 1.0 / settings.rate
        self._substeps = round(self.period / settings.timestep)
        self.delivery = Delivery(settings, self._substeps)
        self._lagging: Array | None = None  # exp(-h/L), (n,)
        self._delivered: Array | None = None  # tau'
        self.set_motor_lag(settings.motor_lag)
        factors = per_joint(settings.velocity_noise_factors, robot.n, "velocity_noise_factors")
        self._velocity_noise = settings.velocity_noise * factors
        self._spikes = _spikes(settings.velocity_spikes, robot.joints, self.period)
        self._differentiator = VelocityEstimator(settings.velocity_cutoff) if settings.differentiated_velocity else None
        self._home = initial_position(settings, robot)
        self._scale = np.ones(robot.n)
        self.seed, self._rng = settings.seed, np.random.default_rng(settings.seed)
        self._effort = np.zeros(robot.n)
        self._states: collections.deque[tuple[Array, Array, Array]] = collections.deque(
            maxlen=settings.sensor_delay + 1
        )
        self._tick = self.rejected = self.clipped = 0

    # --- what an engine does --------------------------------------------------------------------------------------

    @abstractmethod
    def _place(self, q: Array) -> None:
        """Put the robot at q (n,), at rest, with nothing else left of what was before."""

    @abstractmethod
    def _advance(self, u: Array) -> None:
        """Let one step of the physics pass with the command u (n,) in effect."""

    @abstractmethod
    def _state(self) -> tuple[Array, Array, Array]:
        """Return q, qd and the drives' efforts (n,) as they are now."""

    @abstractmethod
    def _truth(self) -> tuple[Array, Array, Array]:
        """Return q, qd (n,) and the tip (3,) [m] in the root link's frame as they are now."""

    @abstractmethod
    def _load(self, kg: float, inertia: float) -> None:
        """Give the payload a mass [kg] and an inertia [kg m^2]."""

    @abstractmethod
    def holding_effort(self, q: Array) -> Array:
        """Return the efforts (n,) [N m or N] that hold the robot and its payload still at q (n,)."""

    # --- the same for all -----------------------------------------------------------------------------------------

    def reset(self, seed: int | None = None) -> Measurement:
        """Return to the initial position at rest, unloaded, motors in order; `seed` replaces the settings' seed."""
        robot = self.robot
        self.seed = self.settings.seed if seed is None else seed
        self._rng = np.random.default_rng(self.seed)
        self._scale[:] = 1.0
        self.set_payload(0.0)
        self.set_motor_lag(self.settings.motor_lag)
        start = self._home + self.settings.initial_noise * self._rng.standard_normal(robot.n)
        start = np.clip(start, robot.position_lower, robot.position_upper)
        self._place(start)
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
            self._advance(self.delivery.at(self._tick * self._substeps + i))
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
        q, qd, tip = self._truth()
        return Truth(self.time, q, qd, tip)

    def set_motor_lag(self, lag: tuple[float, ...]) -> None:
        """Let the efforts follow with `lag` [s] from now on, one for all joints or one of each, until a reset."""
        L = per_joint(lag, self.robot.n, "motor_lag")
        with np.errstate(divide="ignore"):
            self._lagging = np.exp(-self.settings.timestep / L) if L.any() else None

    def set_payload(self, kg: float) -> None:
        """Fasten a ball of `kg` to the payload point (0: take it off), without disturbing the motion."""
        if not (math.isfinite(kg) and kg >= 0.0):
            raise ConfigurationError(f"a payload must be a mass of at least 0 kg, got {kg!r}", key="payload", value=kg)
        self._load(kg, 0.4 * kg * PAYLOAD_RADIUS**2)

    def scale_motor(self, joint: str, factor: float) -> None:
        """Let the motor of `joint` deliver only `factor` (0 to 1) of the torque its drive asks for, from now on."""
        if joint not in self.robot.joints:
            raise JointNameError([joint], self.robot.joints)
        if not 0.0 <= factor <= 1.0:
            raise ConfigurationError(f"a motor's factor lies in [0, 1], got {factor!r}", key="factor", value=factor)
        self._scale[self.robot.joints.index(joint)] = factor

    def _driven(self, wanted: Array) -> Array:
        """Return what the drives give (n,) of what is `wanted` (n,): within their limits, behind the motors' lag."""
        limit = self.settings.effort_limit_factor * self.robot.effort_limit
        wanted = np.clip(wanted, -limit, limit)
        if self._lagging is not None:
            if self._delivered is None:  # a drive holds its arm before the first command
                self._delivered = wanted
            wanted = wanted + self._lagging * (self._delivered - wanted)
        self._delivered = wanted
        self._effort = self._scale * wanted
        return self._effort

    def _measure(self) -> Measurement:
        q, qd, effort = self._states[0]
        noise = self._rng.standard_normal((2, self.robot.n))
        stamp = self._tick * self.period
        q, qd = q + self.settings.position_noise * noise[0], qd + self._velocity_noise * noise[1]
        if step := self.settings.position_resolution:
            q = step * np.round(q / step)
        if self._differentiator is not None:
            estimate = self._differentiator.update(stamp, q)
            qd = np.zeros(self.robot.n) if estimate is None else estimate.copy()
        for joint, size in self._spikes.get(self._tick, ()):
            qd[joint] += size
        return Measurement(stamp, q, qd, effort.copy())


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
