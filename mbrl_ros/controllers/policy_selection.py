"""Which policy acts, if one does: taken into shadow, promoted, demoted.

TEACH     the teacher's plans become samples; whose command is applied is up to the imitation method
SHADOW    the teacher acts; the policy's command is compared with the teacher's
ACT       the policy acts; a newer one is compared meanwhile, until it is promoted in its place
FALLBACK  something was wrong while the policy acted; the teacher acts until the policy is promoted again
"""

from __future__ import annotations

import enum
import math

from ..config.sections.distillation import DistillationSettings
from ..distillation.compiled_policy import CompiledPolicy
from ..exceptions import DataError
from .policy_candidate import Candidate

SUPERVISED = 20  # ticks in a row whose command the supervisor changed before the planner takes over


class Mode(enum.IntEnum):
    """Who acts, and what becomes of the policy; see the top of this module."""

    TEACH = 0
    SHADOW = 1
    ACT = 2
    FALLBACK = 3


class PolicySelection:
    """`current` acts or would act, `newer` is in shadow while `current` acts; `reason`: of the last change of mode."""

    def __init__(self, settings: DistillationSettings, *, teaching: bool):
        self._settings = settings
        self.mode, self.reason = Mode.TEACH if teaching else Mode.SHADOW, ""
        self.current: Candidate | None = None
        self.newer: Candidate | None = None
        self.changed = False
        self._supervised = 0

    @property
    def version(self) -> int:
        """The version of the current policy; 0 without one."""
        return self.current.version if self.current else 0

    @property
    def disagreement(self) -> float:
        """The mean disagreement of the current policy with the teacher; NaN while unknown."""
        return self.current.disagreement if self.current else math.nan

    def update_settings(self, settings: DistillationSettings) -> None:
        """Take over the dynamic settings."""
        self._settings = settings

    def reset(self) -> None:
        """Put the policy back into shadow: everything starts anew."""
        if self.mode is not Mode.TEACH:
            self.mode, self.reason = Mode.SHADOW, "start"

    def restart(self) -> None:
        """Forget how the policies did: time was interrupted."""
        self.changed, self._supervised = False, 0
        for candidate in filter(None, (self.current, self.newer)):
            candidate.restart()

    def take_change(self) -> bool:
        """Return whether the mode has changed since the last call."""
        changed, self.changed = self.changed, False
        return changed

    def use(self, student: CompiledPolicy, version: int | None = None) -> None:
        """Take a new policy into shadow (while teaching: into the imitation); one that acts goes on acting.

        Parameters
        ----------
        student
            The policy.
        version
            Its version; None: one more than the highest one known.

        Raises
        ------
        DataError
            Its window is not that of the settings.
        """
        window = student.policy.shape.window
        if abs(window - self._settings.window) > 1e-9:
            raise DataError(f"the policy averages over {window:g} s; set distillation.window to that")
        known = max((c.version for c in (self.current, self.newer) if c), default=0)
        candidate = Candidate(student, known + 1 if version is None else version)
        if self.mode is Mode.ACT:
            self.newer = candidate
            return
        self.current, self.newer = candidate, None
        if self.mode is Mode.FALLBACK:
            self._change(Mode.SHADOW, "new policy")

    def promote(self, force: bool = False) -> str:
        """Let the newest policy act; returns '' or the reason why not. `force`: without its time in shadow."""
        candidate = self.newer or self.current
        if candidate is None:
            return "there is no policy"
        if self.mode is Mode.TEACH:
            return "the robot is being taught"
        acts = candidate is self.current and self.mode is Mode.ACT
        reason = "" if force or acts else candidate.reason_to_wait(self._settings)
        if not reason:
            self.current, self.newer = candidate, None
            self._change(Mode.ACT, "promoted")
            candidate.restart()
        return reason

    def demote(self, reason: str = "asked to") -> None:
        """Return to the planner, for a reason; a newer policy stays in shadow in place of the one that acted."""
        if self.mode is Mode.ACT and self.current is not None:
            self.current.shadowed = 0.0
            self._change(Mode.SHADOW if self.newer else Mode.FALLBACK, reason)
            self.current, self.newer = self.newer or self.current, None

    def promote_by_rule(self) -> None:
        """Promote the newest policy if the settings leave that to the rule."""
        if self._settings.promote == "rule":
            self.promote()

    def count_supervised(self, changed: bool) -> None:
        """Take note of whether the supervisor changed the policy's last command; too often in a row demotes it."""
        self._supervised = self._supervised + 1 if changed else 0
        if self._supervised > SUPERVISED:
            self.demote("the supervisor keeps changing its commands")

    def check_disagreement(self) -> None:
        """Demote a policy that disagrees too much with the teacher."""
        if self.disagreement > self._settings.fall_back_disagreement:
            self.demote(f"disagrees with the planner by {self.disagreement:.2f}")

    def _change(self, mode: Mode, reason: str) -> None:
        self.mode, self.reason, self.changed = mode, reason, True
        self._supervised = 0
