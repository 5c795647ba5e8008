"""What the supervisor is warned of in a tick."""

from __future__ import annotations

from ..controllers.base import Health
from ..safety.state_machine import NO_REASON, Reason
from .scheduling import CommandAge


def warnings_of(health: Health, age: CommandAge, following: bool) -> Reason:
    """Return what a controller's health, the age of the commands and a robot's not `following` are cause to warn of."""
    warnings = Reason.LATE if age.late else NO_REASON
    if not following:
        warnings |= Reason.NOT_FOLLOWING
    if age.held:
        warnings |= Reason.TOO_LATE
    if health.features_lost:
        warnings |= Reason.FEATURES
    if health.model_inconsistent:
        warnings |= Reason.MODEL_INCONSISTENT
    if health.model_lost:
        warnings |= Reason.MODEL_LOST
    return warnings
