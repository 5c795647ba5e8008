"""Message classes by the name that a graph or a bag gives them."""

from __future__ import annotations

import importlib
from typing import Any

from ..exceptions import DataError


def message_class(name: str) -> Any:
    """Return the class of the message type `name`, for instance "sensor_msgs/msg/JointState".

    Raises
    ------
    DataError
        The package of the type is not installed, or the name is no message type.
    """
    try:
        package, _, message = name.split("/")
        return vars(importlib.import_module(f"{package}.msg"))[message]
    except (ValueError, ImportError, KeyError):
        raise DataError(
            f"the message type {name} is not installed here; install its package or leave the topic out"
        ) from None
