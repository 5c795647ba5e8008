"""Obstacles at run time: ~/obstacles in, and for RViz the robot's capsules with all obstacles out, on ~/capsules."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode
from rclpy.serialization import deserialize_message
from visualization_msgs.msg import MarkerArray

from ..exceptions import DataError
from ..messages.message_size import too_large
from ..messages.obstacles import ObstacleReader, to_details
from ..robots import Robot
from ..runtime.control_loop import ControlLoop
from ..safety.collision_rule import CollisionRule
from . import qos
from .markers import capsule_markers
from .reporter import Reporter
from .tick_observer import TickObserver

LARGEST_SCENE = 262144  # bytes of a MarkerArray


class ObstacleTopic(TickObserver):
    """Gives obstacles to `rule` between two commands, as an event that a replay repeats."""

    def __init__(self, node: LifecycleNode, loop: ControlLoop, robot: Robot, rule: CollisionRule, reporter: Reporter):
        self._node, self._loop, self._robot, self._rule, self._reporter = node, loop, robot, rule, reporter
        self._reader = ObstacleReader(("", robot.frame_prefix + robot.root))
        self._publisher = node.create_publisher(MarkerArray, "~/capsules", qos.LATCHED)
        self._subscription = node.create_subscription(
            MarkerArray, "~/obstacles", self._on_bytes, qos.TARGET_QOS, raw=True
        )
        self._show()

    def _on_bytes(self, raw: bytes) -> None:
        try:
            if len(raw) > LARGEST_SCENE:
                raise DataError(too_large("obstacles", len(raw), LARGEST_SCENE))
            boxes = self._reader.read(deserialize_message(raw, MarkerArray))
        except DataError as error:
            self._rule.refused += 1
            self._reporter.report(f"obstacles refused: {error}", False)
            return
        self._loop.between_commands("obstacles", lambda: self._rule.set_obstacles(boxes), boxes=to_details(boxes))
        self._show()

    def _show(self) -> None:
        self._publisher.publish(capsule_markers(self._rule.scene, self._robot))

    def destroy(self) -> None:
        """Release topics."""
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_publisher(self._publisher)
