"""display_node: what RViz shows beside the robot: where the plan ends, and a target to drag.

The ghost of the robot stands where the newest plan ends. The target is an interactive marker; its menu sends the pose
or the point to the controller, puts the marker back to the tool, or cancels. Nothing is sent without a choice in the
menu, unless `send_on_release` says so. It is a process of its own: the controller does nothing for it.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, PointStamped, PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import MarkerArray

from ..config.sections.nodes import DisplayNodeSettings
from ..config.sections.robot import RobotSettings
from ..exceptions import MbrlError
from ..robots import Robot, load_robot, sources
from ..types import Array
from ..view.link_poses import LinkPoses
from ..view.shapes import Shapes, read_shapes
from . import qos
from .executor import EndRequest
from .ghost import Ghost
from .interactive_target import InteractiveTarget
from .parameters import Parameters, ReadsOverrides
from .process import run

SMALLEST_REACH, MARKER_SIZE = 0.3, 0.25  # [m], and of the marker in reaches of the arm


class DisplayNode(ReadsOverrides, Node):
    """Draws the ghost of the plan, and takes targets from RViz."""

    def __init__(self, end: EndRequest, **options: Any):
        super().__init__("display_node", **options)
        parameters = Parameters(self, {"": DisplayNodeSettings, "robot": RobotSettings})
        self.settings, self._robot_settings = parameters.section(DisplayNodeSettings), parameters.section(RobotSettings)
        self._robot: Robot | None = None
        self._poses: LinkPoses | None = None
        self._ghost: Ghost | None = None
        self._target: InteractiveTarget | None = None
        self._placed = False  # the marker, at the tool
        self._joints: frozenset[str] = frozenset()  # of the robot's description
        self._positions: dict[str, float] = {}  # the newest measured ones of these
        node = self.settings.node.rstrip("/")
        self._pose_targets = self.create_publisher(PoseStamped, f"{node}/target_pose", qos.TARGET_QOS)
        self._point_targets = self.create_publisher(PointStamped, f"{node}/target_point", qos.TARGET_QOS)
        self._cancel = self.create_client(Trigger, f"{node}/cancel")
        self._ghosts = self.create_publisher(MarkerArray, "~/ghost", qos.VIEW)
        self.create_subscription(JointState, "joint_states", self._on_states, qos.NEWEST)
        self.create_subscription(JointTrajectory, f"{node}/plan", self._on_plan, qos.VIEW)
        if not self._source:
            self.create_subscription(String, "robot_description", self._on_description, qos.LATCHED)

    @property
    def _source(self) -> str:
        return self.settings.robot_description or self._robot_settings.description

    def begin(self) -> None:
        """Draw, now or once the robot is known."""
        if self._source:
            text = sources.read(self._source)
            self._know(load_robot(self._robot_settings, text), read_shapes(text, sources.folder_of(self._source)))
        else:
            self.get_logger().info("waiting for robot_description; or give its file: robot_description:=FILE")

    def end(self) -> None:
        """Nothing is left to finish."""

    def _know(self, robot: Robot, shapes: Shapes) -> None:
        self._robot, self._poses = robot, LinkPoses(shapes.tree)
        self._joints = frozenset(joint.name for joint in shapes.tree.joints)
        self._ghost = Ghost(shapes, robot.base_frame)
        reach = max(SMALLEST_REACH, *(float(np.linalg.norm(T[:3, 3])) for T in self._poses.at({}).values()))
        menu = {
            "Go to this pose": self._send_pose,
            "Go to this point, in any orientation": self._send_point,
            "Put the marker back to the tool": self._back,
            "Cancel: stop and forget every target": self._stop,
        }
        released = self._send_pose if self.settings.send_on_release else lambda: None
        self._target = InteractiveTarget(self, "~/target", robot.base_frame, MARKER_SIZE * reach, menu, released)
        self._back()
        self.get_logger().info(f"drag the interactive markers of {self.resolve_topic_name('~/target')} in RViz")

    # --- what the menu does -----------------------------------------------------------------------------------------

    def _send_pose(self) -> None:
        if self._target is None or self._robot is None:
            return
        message = PoseStamped(pose=self._target.pose)
        message.header.frame_id = self._robot.base_frame
        self._pose_targets.publish(message)

    def _send_point(self) -> None:
        if self._target is None or self._robot is None:
            return
        at = self._target.pose.position
        message = PointStamped(point=Point(x=at.x, y=at.y, z=at.z))
        message.header.frame_id = self._robot.base_frame
        self._point_targets.publish(message)

    def _stop(self) -> None:
        if not self._cancel.service_is_ready():
            self.get_logger().warning(f"nobody answers {self.settings.node}/cancel")
            return
        self._cancel.call_async(Trigger.Request())

    def _back(self) -> None:
        pose = self._tool()
        if pose is not None and self._target is not None:
            self._target.place(pose)
            self._placed = True

    def _tool(self) -> Array | None:
        """Return the tool's pose (4, 4) [m] in the root link's frame; None while a controlled joint is unknown."""
        robot, poses = self._robot, self._poses
        if robot is None or poses is None or not all(name in self._positions for name in robot.joints):
            return None
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = robot.tip_rotation, robot.tip_offset
        pose: Array = poses.at(self._positions)[robot.tip] @ T
        return pose

    # --- topics -----------------------------------------------------------------------------------------------------

    def _on_description(self, message: String) -> None:
        if self._robot is not None:
            return
        try:
            self._know(load_robot(self._robot_settings, message.data), read_shapes(message.data, None))
        except MbrlError as error:
            self.get_logger().error(f"robot_description cannot be shown: {error}")

    def _on_states(self, message: JointState) -> None:
        if len(message.position) != len(message.name):
            return
        for name, at in zip(message.name, message.position, strict=True):
            if name in self._joints and math.isfinite(at):
                self._positions[name] = at
        if not self._placed:
            self._back()

    def _on_plan(self, message: JointTrajectory) -> None:
        if self._ghost is None or not message.points or not self._ghosts.get_subscription_count():
            return
        last = message.points[-1].positions
        if len(last) == len(message.joint_names) and np.isfinite(last).all():
            ends = dict(zip(message.joint_names, last, strict=True))
            self._ghosts.publish(self._ghost.at({**self._positions, **ends}))


def main(arguments: list[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return run(DisplayNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
