r"""The task interface: a system of n joints that is reset, stepped and rewarded.

    x = [q; qd] (2n,),    x' = g(x, u),    return = sum_t r(x_t, u_t, x_{t+1})

Every joint has a command; those of a passive joint have the limits 0 and 0, so that u (n,) has the size that models and
planners of arms expect. What a method "from nothing" is told of a task are the joints' names, the period and the limits
of the commands. Rewards and costs are functions of state and command, known as they are in an arm's settings; the
dynamics g are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..codegen.symbolic import casadi
from ..costs import CostModel
from ..types import CommandVector, StateVector


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """What one step led to: state x (2n,), its reward, and whether the episode ended there by failure."""

    x: StateVector
    reward: float
    failed: bool


@dataclass(frozen=True, eq=False, slots=True)
class TaskInfo:
    """What is known of a task beforehand.

    joints: the n names; u_lower, u_upper (n,): limits of the commands, both 0 for a passive joint; dt [s]; steps of an
    episode; solved: the return from which on an episode counts as solved; horizon: stages that are worth planning;
    cost: the planner's objective of x (2n,) and u (n,); observe: what a policy sees of x (2n,), None where the task has
    nothing better to name than its joints.
    """

    joints: tuple[str, ...]
    u_lower: CommandVector
    u_upper: CommandVector
    dt: float
    steps: int
    solved: float
    horizon: int
    cost: CostModel
    observe: casadi.Function | None = None

    @property
    def n(self) -> int:
        """The number of joints."""
        return len(self.joints)


class Task(Protocol):
    """A system that is learned in episodes. Not thread-safe."""

    @property
    def info(self) -> TaskInfo:
        """What is known of it beforehand."""

    def reset(self, seed: int) -> StateVector:
        """Begin an episode at a state (2n,) that depends on `seed` alone, and return it."""

    def step(self, u: CommandVector) -> Step:
        """Apply the command u (n,), clipped to its limits, for one period."""

    def reward(self, x: StateVector, u: CommandVector, x_next: StateVector) -> float:
        """Return the reward of one step, also of one that a model predicts."""

    def failed(self, x: StateVector) -> bool:
        """Return whether an episode ends at x (2n,) before its time."""
