"""Report in words: to the node's log, and on ~/message what became of a target or a service call."""

from __future__ import annotations

from rclpy.node import Node
from std_msgs.msg import String

from . import qos

LONGEST_LINE = 500  # characters reported of one target or service call


class Reporter:
    """The node's log and the topic ~/message."""

    def __init__(self, node: Node):
        self._node = node
        self._message = node.create_publisher(String, "~/message", qos.EVERY)

    def log(self, level: str, text: str) -> None:
        """Log `text` at `level`: "info", "warning" or "error"."""
        logger = self._node.get_logger()
        if level == "error":  # rclpy allows one severity per line of code
            logger.error(text)
        elif level == "warning":
            logger.warning(text)
        else:
            logger.info(text)

    def report(self, text: str, done: bool = True, *, log: bool = True) -> None:
        """Publish and `log` what became of a request; a refused one (not `done`) with its reason, as a warning."""
        text = text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]} ..."  # it may quote what was received
        if log:
            self.log("info" if done else "warning", text)
        self._message.publish(String(data=text))

    def destroy(self) -> None:
        """Release the publisher."""
        self._node.destroy_publisher(self._message)
