"""The methods by name."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from ..config.section import Section
from ..exceptions import ConfigurationError, unknown
from ..tasks.base import Task
from .base import Episode, Method

LEARNING_METHODS = {
    "online": "a local model learned from nothing at every step, iLQR at every step",
    "fit_once": "a global model of random episodes, then one plan open loop, then MPC",
    "aggregate": "a global model fitted again after every episode, each of one plan open loop",
    "aggregate_mpc": "a global model fitted again after every episode, each under MPC",
    "pets": "an ensemble that knows its ignorance, fitted after every episode, each under MPC over its particles",
    "bnn": "a Bayesian neural network, of whose posterior every plan's particles have samples, otherwise as pets",
    "gps": "guided policy search: local controllers of several starts, near one policy that is fitted to them",
    "backprop": "a policy by backpropagation through that ensemble, whole, truncated or with a learned value",
    "td3": "no model: a policy and its values from the transitions alone, by the library skrl",
    "policy_gradient": "a policy by likelihood ratios on rollouts of that ensemble, with common random numbers",
}


def find_method(name: str) -> Method:
    """Return the method `name`; ConfigurationError with the nearest name where there is none."""
    if name not in LEARNING_METHODS:
        raise unknown("method", name, LEARNING_METHODS)
    return cast(Method, importlib.import_module(f"{__package__}.{name}"))


def settings_of(name: str) -> type[Section] | None:
    """Return the settings of the method `name`, the `Settings` of its module; None where it has none."""
    find_method(name)
    found: type[Section] | None = vars(importlib.import_module(f"{__package__}.{name}")).get("Settings")
    return found


def learner(name: str, changes: Mapping[str, Any]) -> Callable[[Task, int, int], Iterator[Episode]]:
    """Return the function `learn` of the method `name` with some settings changed.

    Raises ConfigurationError if there is no such method or setting, or a value is wrong.
    """
    learn: Any = find_method(name).learn
    section = settings_of(name)
    if changes and section is None:
        raise ConfigurationError(f"the method '{name}' has no settings", key=next(iter(changes)), value=name)
    found: Callable[[Task, int, int], Iterator[Episode]] = learn
    if changes and section is not None:
        found = functools.partial(learn, settings=section.from_mapping(changes))
    return found
