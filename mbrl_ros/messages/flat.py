"""Flat arrays with named fields: Float64MultiArray whose layout.dim names a version and then the fields."""

from __future__ import annotations

from .readers import Message


def flat_fields(message: Message, version: str = "") -> dict[str, float] | None:
    """Return {field: value} of a message of `version`, empty for any; None where it is none."""
    labels = [dimension.label for dimension in message.layout.dim]
    if not labels or version not in ("", labels[0]) or len(labels) != len(message.data) + 1:
        return None
    return {label: float(value) for label, value in zip(labels[1:], message.data, strict=True)}
