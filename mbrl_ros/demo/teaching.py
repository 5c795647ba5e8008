"""Teach a policy in lockstep: the planner moves the arm to a row of targets, and the policy is fitted to what it did.

Each target has a slot of the same duration, with the payload on or off at random. After every `every` seconds the
policy is fitted anew, starting from the last one, and goes on in shadow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..config.sections.distillation import DistillationSettings
from ..distillation.compiled_policy import CompiledPolicy
from ..distillation.dataset import Memory
from ..distillation.fit import Report, fit
from ..distillation.inertia import PointMassInertia
from ..distillation.policy import Policy
from ..types import Array
from .environment import Environment

FEWEST_TO_TEACH = 500  # samples, before the first fit


@dataclass(frozen=True)
class Schedule:
    """Durations [s] of the teaching, of a target and between two fits, the payload [kg], and the seed of its times."""

    seconds: float
    slot: float
    every: float
    payload_kg: float
    seed: int


@dataclass(frozen=True)
class Callbacks:
    """What is called while teaching.

    fitted(time, report) after every fit, visited(time) after every target, with the simulated time [s]; keep(policy)
    with every new policy.
    """

    fitted: Callable[[float, Report], None] = lambda time, report: None
    visited: Callable[[float], None] = lambda time: None
    keep: Callable[[Policy], None] = lambda policy: None


NO_CALLBACKS = Callbacks()


class Teaching:
    """The teaching of one policy in one environment."""

    def __init__(
        self, environment: Environment, settings: DistillationSettings, schedule: Schedule, callbacks: Callbacks
    ):
        robot = environment.plant.robot
        self._environment, self._settings, self._schedule = environment, settings, schedule
        self._callbacks, self._robot = callbacks, robot
        self.memory = Memory(
            robot.n,
            "point",
            3,
            capacity=settings.capacity,
            window=settings.window,
            tasks=settings.tasks,
            seed=settings.seed,
        )
        self.reports: list[Report] = []
        self._inertia, self._next_fit = PointMassInertia(robot), schedule.every
        self._policy: Policy | None = None

    def run(self, targets: Iterable[Array]) -> Policy:
        """Visit `targets` (3,) [m] until the time is over, fit a last time, and return the last policy."""
        environment, schedule = self._environment, self._schedule
        rng = np.random.default_rng(schedule.seed)
        for target in targets:
            left = schedule.seconds - environment.time
            if left <= 0.0:
                break
            environment.plant.set_payload(schedule.payload_kg * int(rng.integers(2)))
            environment.errors.append(environment.visit(target, min(schedule.slot, left), self._after_tick))
            self._callbacks.visited(environment.time)
        return self._fit()

    def _after_tick(self) -> None:
        sample, schedule = self._environment.controller.sample, self._schedule
        if sample is not None and sample.kind == "point":
            self.memory.add(sample)
        now = self._environment.time
        if (
            now >= self._next_fit
            and now < schedule.seconds - 0.5 * schedule.every
            and self.memory.count > FEWEST_TO_TEACH
        ):
            self._next_fit += schedule.every
            self._fit()

    def _fit(self) -> Policy:
        settings, environment = self._settings, self._environment
        policy, report = fit(
            self.memory.samples(settings.fit_samples),
            self._robot,
            "point",
            settings,
            tasks=settings.tasks,
            previous=self._policy,
            inertia_model=self._inertia,
            about={"version": len(self.reports) + 1, "taught_s": round(environment.time, 3)},
        )
        self._policy = policy
        self.reports.append(report)
        self._callbacks.keep(policy)
        environment.controller.use(CompiledPolicy(policy, self._robot))
        self._callbacks.fitted(environment.time, report)
        return policy
