"""The tasks by name."""

from __future__ import annotations

import importlib

from ..exceptions import ConfigurationError, unknown
from .base import Task

TASKS = {
    "cartpole_swingup": "swing a pole up and balance it by a bounded force on its cart",
    "demo_points": "the points and the payload of mbrl demo, by torques, without a model of gravity, friction or load",
    "demo_poses": "the poses and the payload of mbrl demo --scenario poses, by torques",
    "inverted_pendulum": "Gymnasium's InvertedPendulum-v5: keep a pole on a cart from falling",
    "half_cheetah": "Gymnasium's HalfCheetah-v5: a planar body on two legs runs as fast as it can",
    "panda_reach": "the hand of a simulated Panda goes to a point and stays there, by joint velocities",
    "pusher": "Gymnasium's Pusher-v5: an arm of seven joints pushes a cylinder to a place on a table",
    "reacher": "Gymnasium's Reacher-v5: the tip of a planar arm goes to a target",
}

# Problems with a known model, of which there is nothing to learn: name -> what it is, and the command that solves it.
PLANNER_PROBLEMS = {
    "parking": ("park a kinematic bicycle with a bounded steering angle, by collocation", "mbrl bench parking"),
}


def make_task(name: str) -> Task:
    """Build the task `name`; ConfigurationError with the nearest name where there is none."""
    if name in PLANNER_PROBLEMS:
        command = PLANNER_PROBLEMS[name][1]
        raise ConfigurationError(
            f"'{name}' is a problem for a planner, with nothing to learn: {command}", key="task", value=name
        )
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    task: Task = importlib.import_module(f"{__package__}.{name}").build()
    return task
