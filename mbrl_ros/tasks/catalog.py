"""The tasks by name."""

from __future__ import annotations

import importlib

from ..exceptions import unknown
from .base import Task

TASKS = {
    "cartpole_swingup": "swing a pole up and balance it by a bounded force on its cart",
    "inverted_pendulum": "Gymnasium's InvertedPendulum-v5: keep a pole on a cart from falling",
    "half_cheetah": "Gymnasium's HalfCheetah-v5: a planar body on two legs runs as fast as it can",
    "panda_reach": "the hand of a simulated Panda goes to a point and stays there, by joint velocities",
    "pusher": "Gymnasium's Pusher-v5: an arm of seven joints pushes a cylinder to a place on a table",
    "reacher": "Gymnasium's Reacher-v5: the tip of a planar arm goes to a target",
}


def make_task(name: str) -> Task:
    """Build the task `name`; ConfigurationError with the nearest name where there is none."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    task: Task = importlib.import_module(f"{__package__}.{name}").build()
    return task
