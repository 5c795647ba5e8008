"""Local linear-Gaussian dynamics, refitted at every tick."""

from .delay import CommandHistory
from .image_jacobian import FeatureMotion
from .online import Innovation, OnlineDynamics, build_dynamics
from .posterior import RegressionPosterior

__all__ = ["CommandHistory", "FeatureMotion", "Innovation", "OnlineDynamics", "RegressionPosterior", "build_dynamics"]
