"""The package's estimator and planner for a task, which has no robot description: names and limits are enough."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..config.configuration import Configuration
from ..config.sections.dynamics import DynamicsSettings
from ..dynamics.online import OnlineDynamics
from ..dynamics.priors.base import Prior
from ..dynamics.priors.integrator import IntegratorPrior
from ..dynamics.priors.nonlinear_model import NonlinearModel
from ..planners.base import Planner, PlannerContext, build_planner
from ..robots import Robot
from ..robots.undescribed import undescribed_robot
from ..tasks.base import TaskInfo


def robot_of(info: TaskInfo) -> Robot:
    """Return a robot that is nothing but names and limits; a passive joint's commands count in units of 1."""
    scale = np.where(info.u_upper > info.u_lower, 0.5 * (info.u_upper - info.u_lower), 1.0)
    fast = np.full(info.n, np.inf)
    return undescribed_robot(info.joints, "effort", info.u_lower, info.u_upper, fast, scale)


def unknown(info: TaskInfo, spread: float) -> IntegratorPrior:
    """Return the prior that believes in no effect of anything, and is sure of none.

    spread: standard deviation of all coefficients of the acceleration, by state, by full command and at the present
    point [rad/s^2 or m/s^2 per unit].
    """
    return IntegratorPrior(np.zeros((info.n, 3 * info.n)), np.full(3 * info.n + 1, spread * info.dt))


def estimator(info: TaskInfo, prior: Prior, **settings: Any) -> OnlineDynamics:
    """Return the package's estimator about `prior`; settings: those of `dynamics`."""
    return OnlineDynamics(robot_of(info), info.dt, DynamicsSettings(**settings), prior)


def planner_for(info: TaskInfo, name: str, model: NonlinearModel | None = None, **settings: Any) -> Planner:
    """Return the planner `name` for the task's cost and limits; settings: those of `planner`."""
    flat = {"control.planner": name, "planner.horizon": info.horizon}
    configuration = Configuration.from_flat({**flat, **{f"planner.{key}": value for key, value in settings.items()}})
    anywhere = np.full(2 * info.n, np.inf)
    context = PlannerContext(
        info.cost,
        configuration.planner,
        2 * info.n,
        info.n,
        info.u_lower,
        info.u_upper,
        -anywhere,
        anywhere,
        None if model is None else lambda: model,
    )
    return build_planner(configuration, context)
