"""The compiled code that does not depend on the robot: every library a controller and its supervisor may ask for."""

from __future__ import annotations

from ..dynamics import compiled_delay, compiled_history, compiled_model, compiled_posterior, velocity_gate
from ..references import jerk_motion
from ..robots import compiled_kinematics, inertia
from ..safety import compiled_limiter, loop_measures
from . import compiled_step

LIBRARIES = (
    compiled_step.library,
    compiled_model.library,
    compiled_posterior.library,
    compiled_delay.library,
    compiled_history.library,
    velocity_gate.library,
    jerk_motion.library,
    compiled_kinematics.library,
    inertia.library,
    compiled_limiter.library,
    loop_measures.library,
)
