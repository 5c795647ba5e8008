"""The methods by name."""

from __future__ import annotations

import importlib
from typing import cast

from ..exceptions import ConfigurationError, nearest
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
        raise ConfigurationError(
            f"no method '{name}'; did you mean '{nearest(name, LEARNING_METHODS)}'? There are: "
            f"{', '.join(LEARNING_METHODS)}",
            value=name,
        )
    return cast(Method, importlib.import_module(f"{__package__}.{name}"))
