"""Local linear-Gaussian dynamics, refitted at every tick."""

from .base import Estimator, Innovation
from .compiled_history import make_history
from .delay import CommandHistory
from .factory import build_dynamics
from .image_jacobian import FeatureMotion
from .online import OnlineDynamics
from .posterior import RegressionPosterior

__all__ = [
    "CommandHistory",
    "Estimator",
    "FeatureMotion",
    "Innovation",
    "OnlineDynamics",
    "RegressionPosterior",
    "build_dynamics",
    "make_history",
]
