r"""A policy that acts or may act: its command now, how far that is from the teacher's, and whether it may be promoted.

The disagreement is |u - u_T| in the metric of the teacher's Q_uu, over half the command range in its diagonal
(distillation/imitation.py), averaged with the time constant DISAGREEMENT_MEMORY.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..config.sections.distillation import DistillationSettings
from ..distillation.compiled_policy import CompiledPolicy
from ..distillation.imitation import disagreement
from ..references.targets import Target
from ..types import Array, CommandVector, JointVector

DISAGREEMENT_MEMORY = 0.1  # [s]


@dataclass(frozen=True, eq=False, slots=True)
class PolicyInput:
    """What a policy decides on: target, number of the task, and q, qd, a, w (n,) as in distillation/window.py."""

    target: Target | None
    task: int
    q: JointVector
    qd: JointVector
    a: JointVector
    w: CommandVector


class Candidate:
    """`student` with its `version`, the seconds `shadowed` so far, and its mean `disagreement` (NaN: not known yet)."""

    def __init__(self, student: CompiledPolicy, version: int):
        self.student, self.version = student, version
        self.shadowed, self.disagreement = 0.0, math.nan
        self._target: Target | None = None

    def restart(self) -> None:
        """Forget how it did."""
        self.shadowed, self.disagreement, self._target = 0.0, math.nan, None

    def command(self, given: PolicyInput) -> CommandVector | None:
        """Return its command (n,); None for a kind of target it was not taught."""
        target = given.target
        if target is None or target.path is not None:
            return None
        if target is not self._target:
            shape = self.student.policy.shape
            value = target.q if shape.kind == "joints" else target.value if target.kind == shape.kind else None
            if value is None or value.size != shape.nt or given.task >= shape.tasks:
                return None
            self.student.set_target(value, given.task)
            self._target = target
        return self.student.act(given.q, given.qd, given.a, given.w)

    def outside(self) -> list[str]:
        """List which of its inputs lie outside of what it was taught."""
        return [name for name, score in self.student.scores.items() if not score <= 1.0]

    def compare(self, u: CommandVector, label: CommandVector, Q: Array, half: Array, seconds: float) -> None:
        """Take note that its command u (n,) and the teacher's `label` (n,) stood side by side for `seconds`.

        Q (n, n) is the teacher's Q_uu, `half` (n,) half the command range.
        """
        now = disagreement(u, label, Q, half)
        gain = min(1.0, seconds / DISAGREEMENT_MEMORY)
        self.disagreement = (
            now if math.isnan(self.disagreement) else self.disagreement + gain * (now - self.disagreement)
        )
        self.shadowed += seconds

    def reason_to_wait(self, settings: DistillationSettings) -> str:
        """Tell why it may not act yet; '' if it may."""
        if self.shadowed < settings.promote_after:
            return f"it has been in shadow for {self.shadowed:.1f} s of {settings.promote_after:g} s"
        if not self.disagreement <= settings.promote_disagreement:
            return (
                f"it disagrees with the planner by {self.disagreement:.3f}, more than {settings.promote_disagreement:g}"
            )
        return ""
