"""The environment of the distill scenario: plant, controller and supervisor in lockstep and in one process.

Targets are drawn uniformly from the half of the reachable space in front of the base (x > 0).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..controllers.policy import PolicyController
from ..robots import Robot
from ..robots.kinematics import Kinematics, first_joint, longest_reach
from ..safety.state_machine import State
from ..safety.supervisor import Supervisor
from ..simulation.plant import Plant
from ..types import Array, Decision, Observation

END = 0.25  # [s] at the end of a visit in which the error counts
REACH_TOLERANCE = 0.02  # [rad or m] by which a position may lie outside its limits


class TickRecord(NamedTuple):
    """One tick of the trace: time [s], the policy's version, mode and disagreement, and the requested command (n,)."""

    time: float
    version: int
    mode: int
    disagreement: float
    u: Array


class Environment:
    """One plant that one controller moves under one supervisor; `tick` once per period.

    fastest: largest joint speed over its limit; violations: ticks in which a command or a position was outside its
    limits; distort: what faulty sensors make of (q, qd), None for good ones; errors: of the targets visited while
    teaching [m].
    """

    def __init__(self, plant: Plant, controller: PolicyController, supervisor: Supervisor):
        self.plant, self.controller, self.supervisor = plant, controller, supervisor
        self.measurement = plant.reset()
        self.distort: Callable[[Array, Array], tuple[Array, Array]] | None = None
        self.decision: Decision | None = None
        self.ticks, self.fastest, self.violations = 0, 0.0, 0
        self.errors: list[float] = []
        self.trace: list[TickRecord] = []
        observation = self.observation
        controller.reset(observation)
        supervisor.reset(observation)

    @property
    def observation(self) -> Observation:
        """Return what the sensors measure now."""
        m = self.measurement
        q, qd = (m.q, m.qd) if self.distort is None else self.distort(m.q, m.qd)
        return Observation(m.stamp, q, qd)

    @property
    def time(self) -> float:
        """Return the simulated time [s]."""
        return self.ticks * self.plant.period

    @property
    def stopped(self) -> bool:
        """Return whether the supervisor has stopped the robot for good."""
        return self.supervisor.state in (State.FAULT, State.E_STOP)

    def tick(self) -> Decision:
        """Simulate one period; return the controller's decision."""
        observation, robot = self.observation, self.plant.robot
        decision = self.decision = self.controller.step(observation)
        u = self.supervisor.filter(decision, observation).u
        self.controller.record(observation.stamp, u)
        self.measurement = self.plant.step(u)
        q, qd = self.plant.truth.q, self.plant.truth.qd
        self.fastest = max(self.fastest, float(np.abs(qd / robot.velocity_limit).max()))
        self.violations += int(
            (~np.isfinite(u)).any()
            or (u < robot.command_lower).any()
            or (u > robot.command_upper).any()
            or (q < robot.position_lower - REACH_TOLERANCE).any()
            or (q > robot.position_upper + REACH_TOLERANCE).any()
        )
        c = self.controller
        self.trace.append(TickRecord(self.time, c.version, int(c.mode), c.disagreement, decision.u))
        self.ticks += 1
        return decision

    def run(self, seconds: float) -> None:
        """Simulate `seconds`, rounded to whole periods."""
        for _ in range(round(seconds / self.plant.period)):
            self.tick()

    def visit(self, target: Array, seconds: float, after_tick: Callable[[], None] = lambda: None) -> float:
        """Move to `target` (3,) [m] for `seconds`; return the largest distance [m] of the true tip at the END."""
        self.controller.set_point_target(target, self.observation.stamp)
        ticks, worst = round(seconds / self.plant.period), 0.0
        for i in range(ticks):
            self.tick()
            after_tick()
            if (ticks - i) * self.plant.period <= END:
                worst = max(worst, float(np.linalg.norm(self.plant.truth.tip - target)))
        return worst


def draw_targets(robot: Robot, count: int, seed: int, home: Array) -> Array:
    """Draw `count` reachable points (count, 3) [m], uniform in x > 0; inverse kinematics begin at `home` (n,)."""
    rng, kinematics = np.random.default_rng(seed), Kinematics(robot)
    found: list[Array] = []
    lower, upper = np.maximum(robot.position_lower, -np.pi), np.minimum(robot.position_upper, np.pi)
    reach = np.abs(kinematics.positions(rng.uniform(lower, upper, (2000, robot.n)))).max(axis=0)
    centre, longest = first_joint(robot), longest_reach(robot)  # to search for a posture beyond takes many attempts
    while len(found) < count:
        p = rng.uniform([0.0, -1.0, -1.0], [1.0, 1.0, 1.0]) * 1.1 * reach
        if np.linalg.norm(p - centre) < longest and kinematics.inverse(p, home)[1] < 1e-5:
            found.append(p)
    return np.array(found)
