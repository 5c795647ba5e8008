"""A policy on the way to acting: what it says now, how far it is from the teacher, and whether it may be trusted.

Disagreement is |u - u_T| in the metric of the teacher's Q_uu, over half the command range in its diagonal
(teachers.disagreement), averaged with the time constant MEMORY.
"""

from __future__ import annotations

import math

from ..config.sections.distillation import DistillationSettings
from ..distillation.compiled_policy import CompiledPolicy
from ..distillation.imitation import disagreement
from ..references.targets import Target
from ..types import Array

MEMORY = 0.1  # [s]


class Candidate:
    """`student`, its `version`, seconds in shadow so far and its mean disagreement with the teacher."""

    def __init__(self, student: CompiledPolicy, version: int):
        self.student, self.version = student, version
        self.restart()

    def restart(self) -> None:
        """Forget how it did."""
        self.shadowed, self.disagreement, self._target = 0.0, math.nan, None

    def says(self, target: Target | None, task: int, q: Array, qd: Array, a: Array, w: Array) -> Array | None:
        """Its command (n,); None: a kind of target it was not taught."""
        if target is None or target.path is not None:
            return None
        if target is not self._target:
            shape = self.student.policy.shape
            value = target.q if shape.kind == "joints" else target.value if target.kind == shape.kind else None
            if value is None or value.size != shape.nt or task >= shape.tasks:
                return None
            self.student.set_target(value, task)
            self._target = target
        return self.student.act(q, qd, a, w)

    def outside(self) -> list[str]:
        """Which of its inputs lie outside of what it was taught."""
        return [name for name, score in self.student.scores.items() if not score <= 1.0]

    def compare(self, u: Array, label: Array, Q: Array, half: Array, seconds: float) -> None:
        """It says u, the teacher `label` with Q_uu = Q; both (n,) hold for `seconds`."""
        now = disagreement(u, label, Q, half)
        gain = min(1.0, seconds / MEMORY)
        self.disagreement = (
            now if math.isnan(self.disagreement) else self.disagreement + gain * (now - self.disagreement)
        )

    def doubt(self, settings: DistillationSettings) -> str:
        """Why it may not act yet; '' if it may."""
        if self.shadowed < settings.promote_after:
            return f"it has been in shadow for {self.shadowed:.1f} s of {settings.promote_after:g} s"
        if not self.disagreement <= settings.promote_disagreement:
            return (
                f"it disagrees with the planner by {self.disagreement:.3f}, more than {settings.promote_disagreement:g}"
            )
        return ""
