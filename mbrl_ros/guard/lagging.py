"""An arm that lags behind the positions that are commanded: what these may do so that it goes less far.

A joint of first order that is to brake with its acceleration limit a needs commands that are slower than it is by a
times its lag. A joint lags by tau = (command - q) / qd where both have the direction of its motion and tau exceeds
tau_0, which a delay explains. Its commands then brake HARDER times as hard down to |qd| - a (tau - tau_0), for the
state in which the braking begins, and with a from there on: the joint itself brakes with no more than a.
"""

from __future__ import annotations

import numpy as np

from .messages import Array

LAGGING, LAGGING_PERIODS = 0.03, 3.0  # [s] and periods: tau_0 is the larger one
HARDER = 3.0  # times the acceleration limit


def speed_for_lagging(lead: Array, v: Array, qd: Array, acceleration: Array, period: float) -> Array:
    """Return the speeds (n,) down to which commands brake HARDER, infinite for joints that do not lag.

    Parameters
    ----------
    lead
        (n,) from the joints to their commands [rad or m].
    v, qd
        (n,) velocities of the commands and of the joints [rad/s or m/s].
    acceleration
        (n,) a [rad/s^2 or m/s^2].
    period
        of the commands [s].
    """
    speed, delay = np.abs(qd), max(LAGGING, LAGGING_PERIODS * period)
    lags = (qd * v > 0.0) & (lead * qd > 0.0) & (np.abs(lead) > delay * speed)
    lag = np.abs(lead) / np.where(lags, speed, 1.0)
    return np.where(lags, np.maximum(speed - acceleration * (lag - delay), 0.0), np.inf)


def braked(v: Array, slow: Array | float, change: Array) -> Array:
    """Return the velocity v (n,) of commands braked by `change` (n,), HARDER as long as it exceeds `slow` (n,)."""
    change = np.clip(np.abs(v) - slow, change, HARDER * change)
    return np.asarray(v - np.clip(v, -change, change))
