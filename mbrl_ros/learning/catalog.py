"""The methods by name."""

from __future__ import annotations

import importlib
from typing import cast

from ..exceptions import unknown
from .base import Method

LEARNING_METHODS = {
    "online": "a local model learned from nothing at every step, iLQR at every step",
    "fit_once": "a global model of random episodes, then one plan open loop, then MPC",
    "aggregate": "a global model fitted again after every episode, each of one plan open loop",
    "aggregate_mpc": "a global model fitted again after every episode, each under MPC",
}


def find_method(name: str) -> Method:
    """Return the method `name`; ConfigurationError with the nearest name where there is none."""
    if name not in LEARNING_METHODS:
        raise unknown("method", name, LEARNING_METHODS)
    return cast(Method, importlib.import_module(f"{__package__}.{name}"))
