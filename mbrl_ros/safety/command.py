"""What the supervisor makes of a decision."""

from __future__ import annotations

from dataclasses import dataclass

from ..types import Array, quick_init
from .state_machine import Reason, State


@quick_init
@dataclass(frozen=True, eq=False, slots=True)
class Command:
    """The applied command u (nu,), finite and inside every limit, the state, and why u is not the requested one."""

    u: Array
    state: State
    reasons: Reason = Reason.NONE
