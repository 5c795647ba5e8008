"""Message classes by the name a graph or a bag gives them."""

from __future__ import annotations

import importlib

from ..exceptions import DataError


def message_class(kind: str):
    """The class of `package/msg/Name`; DataError if its package is not installed."""
    try:
        package, _, name = kind.split("/")
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ValueError, ImportError, AttributeError):
        raise DataError(
            f"the message type {kind} is not installed here; install its package or leave the topic out"
        ) from None
