"""A policy bound to its robot, ready to act: compiled once, two calls, no allocation that grows."""

from __future__ import annotations

import numpy as np

from ..robots import Robot
from ..types import Array
from .expression import act_function, compiled, goal_function
from .policy import Policy


class CompiledPolicy:
    """`policy` for `robot`; DataError if it was taught on another kind of robot.

    scores: how far the last inputs were outside of what was taught, by name (see policy.py). compiled: whether there is
    compiled code.
    """

    def __init__(self, policy: Policy, robot: Robot):
        policy.check(robot)
        self.policy = policy
        self._goal, self._act = (compiled(robot, policy, function) for function in (goal_function, act_function))
        self.compiled = self._act.compiled
        self._one_hot, self._task = np.eye(policy.shape.tasks), 0
        inputs, outputs = self._act.inputs, self._act.outputs
        self._q, self._qd, self._a, self._w, self._g = (inputs[name] for name in ("q", "qd", "a", "w", "g"))
        self._u, self._score = outputs["u"], outputs["score"]
        self.scores = {"state": 0.0, "target": np.inf, "spread": np.inf}

    def set_target(self, target: Array, task: int = 0) -> Array:
        """Go to `target` (nt,) from now on; return the goal posture g (n,). `scores` tell how known the target is."""
        self._goal.inputs["target"][:] = target
        self._goal.inputs["task"][:], self._task = self._one_hot[task], task
        self._goal.run()
        self._g[:] = self._goal.outputs["g"]
        self.scores["target"], self.scores["spread"] = map(float, self._goal.outputs["scores"])
        goal: Array = self._g.copy()
        return goal

    def act(self, q: Array, qd: Array, a: Array, w: Array) -> Array:
        """Return u (n,), valid until the next call, from q, qd and the window's a, w, each (n,)."""
        self._q[:], self._qd[:], self._a[:], self._w[:] = q, qd, a, w
        self._act.run()
        self.scores["state"] = float(self._score[self._task])
        return self._u
