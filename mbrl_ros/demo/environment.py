"""Teaching and examining in lockstep and in one process: plant, controller, supervisor, memory and fits, no clock.

Targets are drawn uniformly from the half of the reachable space in front of the base (x > 0). A lesson is a row of
targets, each for `slot` seconds, with the payload on or off at random; after every `round` seconds the student is fitted
anew. An examination is a row of unseen targets with the policy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from ..config.sections.distillation import DistillationSettings
from ..distillation.compiled_policy import CompiledPolicy
from ..distillation.dataset import Memory
from ..distillation.fit import Report, fit
from ..distillation.inertia import PointMassInertia
from ..distillation.policy import Policy
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..safety.state_machine import State
from ..types import Array, Observation


def draw_targets(robot: Robot, count: int, seed: int, home: Array) -> Array:
    """`count` points (count, 3) [m], uniform in the reachable volume with x > 0."""
    rng, kinematics, found = np.random.default_rng(seed), Kinematics(robot), []
    reach = np.abs(kinematics.positions(rng.uniform(*_ranges(robot), (2000, robot.n)))).max(axis=0)
    while len(found) < count:
        p = rng.uniform([0.0, -1.0, -1.0], [1.0, 1.0, 1.0]) * 1.1 * reach
        if kinematics.inverse(p, home)[1] < 1e-5:
            found.append(p)
    return np.array(found)


def _ranges(robot: Robot) -> tuple[Array, Array]:
    return np.maximum(robot.position_lower, -np.pi), np.minimum(robot.position_upper, np.pi)


@dataclass(eq=False)
class Environment:
    """The world in which one controller moves one plant. `tick` once per period."""

    plant: object
    controller: object
    supervisor: object
    measurement: object = None
    ticks: int = 0
    fastest: float = 0.0
    outside: int = 0
    decision: object = None
    distort: Callable[[Array, Array], tuple[Array, Array]] | None = None  # what faulty sensors make of q, qd
    errors: list = field(default_factory=list)
    trace: list = field(
        default_factory=list
    )  # (time [s], policy's version, mode, disagreement, decision) of every tick

    def __post_init__(self) -> None:
        self.measurement = self.plant.reset()
        observation = self.observation
        self.controller.reset(observation)
        self.supervisor.reset(observation)

    @property
    def observation(self) -> Observation:
        m = self.measurement
        q, qd = (m.q, m.qd) if self.distort is None else self.distort(m.q, m.qd)
        return Observation(m.stamp, q, qd)

    def tick(self) -> None:
        """One period."""
        observation, robot = self.observation, self.plant.robot
        self.decision = self.controller.step(observation)
        u = self.supervisor.filter(self.decision, observation).u
        self.controller.record(observation.stamp, u)
        self.measurement = self.plant.step(u)
        q, qd = self.plant.truth.q, self.plant.truth.qd
        self.fastest = max(self.fastest, float(np.abs(qd / robot.velocity_limit).max()))
        self.outside += int(
            (~np.isfinite(u)).any()
            or (u < robot.command_lower).any()
            or (u > robot.command_upper).any()
            or (q < robot.position_lower - 0.02).any()
            or (q > robot.position_upper + 0.02).any()
        )
        c = self.controller
        self.trace.append((self.ticks * self.plant.period, c.version, int(c.mode), c.disagreement, self.decision.u))
        self.ticks += 1

    @property
    def stopped(self) -> bool:
        """Whether the supervisor has stopped the robot for good."""
        return self.supervisor.state in (State.FAULT, State.E_STOP)

    def visit(self, target: Array, seconds: float, after_tick: Callable[[], None] = lambda: None) -> float:
        """Go to `target` (3,) for `seconds`; the largest distance [m] of the true tip in the last quarter second."""
        self.controller.set_point_target(target, self.observation.stamp)
        ticks, worst = round(seconds / self.plant.period), 0.0
        for i in range(ticks):
            self.tick()
            after_tick()
            if (ticks - i) * self.plant.period <= 0.25:
                worst = max(worst, float(np.linalg.norm(self.plant.truth.tip - target)))
        return worst


def teach(
    room: Environment,
    targets: Iterable[Array],
    settings: DistillationSettings,
    *,
    seconds: float,
    slot: float,
    every: float,
    payload_kg: float,
    seed: int,
    progress: Callable[[float, Report | None], None] | None = None,
    watch: Callable[[float], None] | None = None,
    keep: Callable[[Policy], None] | None = None,
) -> tuple[Policy, Memory, list[Report]]:
    """Teach for `seconds` of simulated time, fitting every `every` seconds; the last policy, what it learned from, reports.
    After every fit progress(time, report) is told and keep(policy) is called, after every target watch(time).
    """
    robot, controller = room.plant.robot, room.controller
    rng = np.random.default_rng(seed)
    memory = Memory(
        robot.n,
        "point",
        3,
        capacity=settings.capacity,
        window=settings.window,
        tasks=settings.tasks,
        seed=settings.seed,
    )
    inertia_model, policy, reports = PointMassInertia(robot), None, []
    due = every

    def learn() -> None:
        nonlocal policy, due
        if controller.sample is not None and controller.sample.kind == "point":
            memory.add(controller.sample)
        now = room.ticks * room.plant.period
        if now >= due and now < seconds - 0.5 * every and memory.count > 500:
            due += every
            refit()

    def refit() -> None:
        nonlocal policy
        policy, report = fit(
            memory.samples(settings.fit_samples),
            robot,
            "point",
            settings,
            tasks=settings.tasks,
            previous=policy,
            inertia_model=inertia_model,
            about={"version": len(reports) + 1, "taught_s": round(room.ticks * room.plant.period, 3)},
        )
        reports.append(report)
        if keep is not None:
            keep(policy)
        controller.use(CompiledPolicy(policy, robot))
        if progress is not None:
            progress(room.ticks * room.plant.period, report)

    for target in targets:
        left = seconds - room.ticks * room.plant.period
        if left <= 0.0:
            break
        room.plant.set_payload(payload_kg * int(rng.integers(2)))
        room.errors.append(room.visit(target, min(slot, left), learn))
        if watch is not None:
            watch(room.ticks * room.plant.period)
    refit()
    return policy, memory, reports
