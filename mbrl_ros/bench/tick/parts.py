"""Which part of a tick an instruction belongs to.

The methods at the boundaries of the parts take a mark when they are entered and when they are left. What lies between
two marks belongs to the part entered last and not yet left, so that each part counts its own work only, without the
parts within it:

    cycle        ControlCycle.tick without the parts below: what acted, warnings, statistics, the tick's record
    step         the controller's step without the parts below: state, delay, cost parameters, acting
    dynamics     OnlineDynamics.predict, learn, fit, CompiledStep.compare without the next three; with a linear prior,
                 in compiled code, also what posterior and prior do in a usual tick
    posterior    the regression: predict, add, add_innovation, condition, rebase
    prior        mean, linearize, spread_at, learn_gain, move_to
    features     the image Jacobian: add_joints, add_frame, present
    reference    TargetManager: place_uncontrolled, advance, preview
    planner      limits, reset and plan; where the model is stated in one compiled call with the plan, that, too
    record       the controller's record: history of commands, estimate of the delay
    supervisor   Supervisor.filter

Taking a mark costs instructions itself, some before the count and some after it. `Overhead` measures both with an empty
method; they are subtracted from the part entered and from the one around it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...controllers.base import Controller
from ...controllers.mpc import MpcController
from ...runtime.control_cycle import ControlCycle
from ..counters import Counter

OUTERMOST, REMAINING = "cycle", "rest"
CALIBRATED = 100  # calls of an empty method


class Marks:
    """Marks of a counter with the part that each one enters; None: the part entered last is left."""

    def __init__(self, counter: Counter):
        self._take, self.entered = counter.mark, list[str | None]()

    def around(self, part: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return `method` with a mark before and after it."""
        take, append = self._take, self.entered.append

        @functools.wraps(method)
        def marked(*args: Any, **kwargs: Any) -> Any:
            append(part)
            take()
            try:
                return method(*args, **kwargs)
            finally:
                append(None)
                take()

        return marked


@dataclass(frozen=True, slots=True)
class Overhead:
    """Instructions that a marked call adds: `inside` the part that is entered, and `outside` of it."""

    inside: float
    outside: float

    @classmethod
    def measure(cls, counter: Counter) -> Overhead:
        """Measure it, and forget nothing of what the counter has counted: the marks are the counter's last ones.

        With p instructions for an unmarked call of an empty method in a loop, i between its two marks and o between
        one call and the next, the overhead is i - p/2 inside and o - p/2 outside.
        """
        before, marks = len(counter.counts()), Marks(counter)
        empty = functools.partial(_nothing, None)
        marked = marks.around("empty", empty)
        for call in (empty, marked):
            for _ in range(3):  # what the first calls of a function do besides
                call()
        counter.mark()
        for _ in range(CALIBRATED):
            empty()
        counter.mark()
        for _ in range(CALIBRATED):
            marked()
        counts = counter.counts()[before + 6 :]
        plain = (counts[1] - counts[0]) / CALIBRATED
        taken = counts[2:]
        inside = sum(taken[i + 1] - taken[i] for i in range(0, len(taken), 2)) / CALIBRATED
        gaps = [taken[i + 1] - taken[i] for i in range(1, len(taken) - 1, 2)]
        return cls(inside - 0.5 * plain, sum(gaps) / len(gaps) - 0.5 * plain)


def _nothing(_: None) -> None:
    """Do nothing."""


def mark_parts(cycle: ControlCycle, marks: Marks, *, only: str = "") -> None:
    """Let the methods at the boundaries of the parts take marks from now on; of one part only, where it is named."""
    for part, owner, names in boundaries(cycle, cycle.controller):
        for name in names if only in ("", part) else ():
            setattr(owner, name, marks.around(part, getattr(owner, name)))


def boundaries(cycle: ControlCycle, controller: Controller) -> Iterator[tuple[str, object, tuple[str, ...]]]:
    """Yield (part, object, names of its methods); controllers without a model have fewer parts."""
    yield OUTERMOST, cycle, ("tick",)
    yield "supervisor", cycle.supervisor, ("filter",)
    yield "step", controller, ("step",)
    yield "record", controller, ("record",)
    if isinstance(controller, MpcController):
        dynamics = controller.dynamics
        yield "dynamics", dynamics, ("predict", "learn", "fit")
        yield "posterior", dynamics.posterior, ("predict", "add", "add_innovation", "condition", "rebase")
        yield "prior", dynamics.prior, ("mean", "linearize", "spread_at", "learn_gain", "move_to")
        yield "features", dynamics.features, ("add_joints", "add_frame", "present")
        yield "reference", controller.target_manager, ("place_uncontrolled", "advance", "preview")
        if controller.learner.step is not None:
            yield "dynamics", controller.learner.step, ("compare",)
            yield "planner", controller.learner.step, ("plan",)
        yield "planner", controller.planner, ("limit_commands", "limit_step", "reset", "plan")


def shares(entered: Sequence[str | None], counts: Sequence[int], overhead: Overhead) -> dict[str, float]:
    """Return {part: instructions of its own} of marks and what was counted at each of them."""
    if len(entered) != len(counts):
        raise ValueError(f"{len(entered)} marks were taken, {len(counts)} counted")
    total: dict[str, float] = {}
    stack: list[str] = []
    for i, part in enumerate(entered):
        if part is not None:
            if stack:
                total[stack[-1]] -= overhead.outside
            stack.append(part)
            total[part] = total.get(part, 0.0) - overhead.inside
        else:
            stack.pop()
        if stack and i + 1 < len(counts):
            total[stack[-1]] += counts[i + 1] - counts[i]
    return total


def summed_to(whole: float, parts: dict[str, float]) -> dict[str, float]:
    """Return parts whose sum is `whole`: those given, and the controller's step and what is left as `rest`."""
    found = {part: count for part, count in parts.items() if part != "step"}
    return {**found, REMAINING: whole - sum(found.values())}
