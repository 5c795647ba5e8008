"""What view_node hears of model_health_node: the fields of ~/health, and the wrench beside them."""

from __future__ import annotations

import math

from geometry_msgs.msg import WrenchStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Float64MultiArray

from ..messages.flat import flat_fields
from ..replay.health import HEALTH_VERSION
from ..types import Array
from ..view.health import HEALTH_VALUES, WRENCH, health_values
from ..view.snapshot import Curves

NEWEST_ONE = QoSProfile(depth=1)


class HealthInputs:
    """Keeps the newest values of the node `name`, and their curves, of at most one point per `period` [s].

    `values` is empty as long as nothing has come.
    """

    def __init__(self, node: Node, name: str, period: float):
        self.values: dict[str, float] = {}
        self._wrench: dict[str, float] = {}
        self._curves = Curves(period, names=HEALTH_VALUES)
        node.create_subscription(Float64MultiArray, f"{name}/health", self._on_health, NEWEST_ONE)
        node.create_subscription(WrenchStamped, f"{name}/wrench", self._on_wrench, NEWEST_ONE)

    def curves(self) -> dict[str, Array]:
        """Return {"time", *HEALTH_VALUES: (k,)}."""
        return self._curves.arrays()

    def _on_health(self, message: Float64MultiArray) -> None:
        fields = flat_fields(message, HEALTH_VERSION)
        if fields is None:
            return
        self.values = {**fields, **(self._wrench if math.isfinite(fields.get("mass", math.nan)) else {})}
        self._curves.add(fields.get("stamp", math.nan), health_values(self.values))

    def _on_wrench(self, message: WrenchStamped) -> None:
        force, torque = message.wrench.force, message.wrench.torque
        numbers = (force.x, force.y, force.z, torque.x, torque.y, torque.z)
        self._wrench = dict(zip(WRENCH, map(float, numbers), strict=True))
