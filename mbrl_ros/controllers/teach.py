"""The controller `teach`: mpc, whose plans a policy is distilled from (controllers/policy.py).

Whose command is applied, the plan's or that of the policy trained so far, is up to `distillation.method`.
"""

from __future__ import annotations

import dataclasses

from ..config.configuration import Configuration
from ..config.section import Section
from ..robots import Robot
from .base import Controller
from .mpc import MpcController
from .policy import PolicyController
from .policy_teacher import teacher_configuration


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """No settings beside those of mpc and `distillation`."""


def build(settings: Settings, robot: Robot, configuration: Configuration) -> Controller:
    """Build the controller with an mpc as its teacher."""
    teacher = MpcController(robot, teacher_configuration(configuration))
    return PolicyController(robot, configuration, teacher, teaching=True)
