"""From settings to the dynamics that are learned online."""

from __future__ import annotations

from collections.abc import Mapping

from ..config import registry
from ..config.section import Section
from ..config.sections.dynamics import ConsistencySettings, DynamicsSettings, FeatureSettings
from ..robots import Robot
from .online import OnlineDynamics
from .priors.base import Prior


def build_dynamics(
    robot: Robot,
    dt: float,
    settings: DynamicsSettings,
    prior_sections: Mapping[str, Section],
    features: FeatureSettings | None = None,
    consistency: ConsistencySettings | None = None,
) -> OnlineDynamics:
    """Build the dynamics of `robot` for a period dt [s], with the prior that `settings.prior` names.

    prior_sections: {name of a prior: its settings}; one that is not there has its defaults.
    """
    module = registry.load("prior", settings.prior)
    prior: Prior = module.build(prior_sections.get(settings.prior, module.Settings()), robot, dt)
    return OnlineDynamics(robot, dt, settings, prior, features, consistency)
