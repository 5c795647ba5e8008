"""Columns of a sensor_msgs/PointCloud2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..types import Array

MOST_DRAWN_POINTS = 200  # points of an image
_FORMATS = {7: "f4", 8: "f8"}  # PointField.FLOAT32, FLOAT64


def cloud_columns(message: Any, wanted: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Array]:
    """Return {field: values (count,)} of an unorganized or organized cloud.

    Parameters
    ----------
    message
        with the fields of a PointCloud2.
    wanted
        fields that must be there, each one float32 or float64.
    optional
        fields that are returned if they are there.

    Raises
    ------
    ValueError
        says what does not fit.
    """
    fields = {field.name: field for field in message.fields}
    for name in wanted:
        if name not in fields:
            raise ValueError(f"the cloud has no field '{name}'; it has {sorted(fields)}")
    count = message.width * message.height
    chosen = [fields[name] for name in (*wanted, *optional) if name in fields]
    for field in chosen:
        if field.datatype not in _FORMATS or field.count != 1:
            raise ValueError(f"field '{field.name}' must be one float32 or float64")
        if field.offset + np.dtype(_FORMATS[field.datatype]).itemsize > message.point_step:
            raise ValueError(f"field '{field.name}' ends outside its point")
    if message.row_step < message.width * message.point_step or len(message.data) < message.row_step * message.height:
        raise ValueError(f"{len(message.data)} bytes of data do not hold {count} points of {message.point_step} bytes")
    if not count:
        return {field.name: np.zeros(0) for field in chosen}
    order = ">" if message.is_bigendian else "<"
    kind = np.dtype(
        {
            "names": [f.name for f in chosen],
            "formats": [order + _FORMATS[f.datatype] for f in chosen],
            "offsets": [f.offset for f in chosen],
            "itemsize": message.point_step,
        }
    )
    strides = (message.row_step, message.point_step)
    points: Array = np.ndarray((message.height, message.width), kind, bytes(message.data), strides=strides)
    return {field.name: points[field.name].astype(np.float64).ravel() for field in chosen}


def drawn_points(message: Any) -> Array | None:
    """Return the image points (k, 2) of a cloud, NaN for those that were not seen; None where it holds none."""
    try:
        columns = cloud_columns(message, ("x", "y"), ("confidence",))
    except ValueError:
        return None
    points = np.column_stack((columns["x"], columns["y"])).astype(float)[:MOST_DRAWN_POINTS]
    points[columns.get("confidence", np.ones(len(points)))[: len(points)] <= 0.0] = np.nan
    return points
