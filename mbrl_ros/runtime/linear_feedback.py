r"""A plan's first stage as a law that another, faster controller plays until the next plan comes.

The law of linear_feedback_controller (loco-3d) is u(t) = u_0 + K_f (x_d - x(t)), with x = [q; qd] and u_0, K_f and x_d
of its newest message. A plan's first stage is u = u_hat_0 + K_0 (x - x_hat_0) with x = [q; qd; s; sd], so the sign of
the gain turns and three things are to be done:

* x_d is constant while the plan's state moves from x_hat_0 to x_hat_1. On the plan the mean of u over the period is to
  be the plan's command; with a state that moves linearly that is x_d = (x_hat_0 + x_hat_1) / 2.
* s is not measured there. A deviation of the joints moves the image with them, delta s = G delta q and
  delta sd = G delta qd with the image Jacobian G, so K_f = -[K_q + K_s G, K_qd + K_sd G]. What else moves the
  image between two plans is left to the next plan.
* The feedback on the previous command, K_u, is left out: the plan was made for the command in effect, whose deviation
  is zero in stage 0.

What is learned from is u_0, as without feedback: the faster loop is then part of the plant that the model describes. To
infer the mean command from how the state moved would give the model a regressor that depends on the disturbance of the
same period (closed-loop identification), which turns the sign of what is learned where the disturbance is large.

The gain of a joint whose command was changed after planning (a limit, a ramp) is zero, and that of every joint where
the command is not the plan's: a hold, a fault, a stop. The law is then the command alone, as without feedback.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..safety.command import Command
from ..safety.state_machine import State
from ..types import Array, Decision, Gain, JointVector, Observation

UNALTERED = 1e-9  # of a command: a requested and an applied one that differ by less are the same


@dataclass(frozen=True, eq=False, slots=True)
class LinearFeedback:
    """u = u_0 + K (x_d - x): u_0 (n,) [N m or N], K (n, 2n) [1/rad, s/rad times u_0], x_d = [q; qd] (n,) each."""

    u: Array
    K: Gain
    q: JointVector
    qd: JointVector

    def command(self, q: JointVector, qd: JointVector) -> Array:
        """Return u (n,) at q (n,), qd (n,), not limited."""
        n = len(self.u)
        u: Array = self.u + self.K[:, :n] @ (self.q - q) + self.K[:, n:] @ (self.qd - qd)
        return u


def open_loop(u: Array, q: JointVector) -> LinearFeedback:
    """Return the law that is u (n,) whatever the state; q (n,) is written as its place."""
    n = len(u)
    return LinearFeedback(u, np.zeros((n, 2 * n)), q, np.zeros(n))


def law_of(decision: Decision | None, command: Command, observation: Observation, G: Gain | None) -> LinearFeedback:
    """Return the law that a tick's command and plan stand for.

    Parameters
    ----------
    decision
        with a plan of stages one control period apart, or without one.
    command
        what the supervisor made of it.
    observation
        the state that it answers.
    G
        image Jacobian (m, n): ds = G dq; None without features.

    Returns
    -------
    LinearFeedback
        in the order of the robot's joints; K = 0 in every state but ACTIVE and without a plan of this tick.
    """
    u, n = command.u, len(command.u)
    plan = None if decision is None else decision.plan
    if decision is None or plan is None or not plan.usable or command.state is not State.ACTIVE:
        return open_loop(u, observation.q)
    K = plan.K[0]
    gain = -K[:, : 2 * n]
    if G is not None and len(G):
        m = len(G)
        gain[:, :n] -= K[:, 2 * n : 2 * n + m] @ G
        gain[:, n:] -= K[:, 2 * n + m :] @ G
    gain[np.abs(u - decision.u) > UNALTERED * np.maximum(1.0, np.abs(u))] = 0.0
    x = 0.5 * (plan.x_hat[0] + plan.x_hat[1])
    if not (np.isfinite(gain).all() and np.isfinite(x).all()):
        return open_loop(u, observation.q)
    return LinearFeedback(u, gain, x[:n].copy(), x[n : 2 * n].copy())
