"""A target that is dragged in RViz: the server's side of interactive markers for one marker with a menu.

A display asks NAME/get_interactive_markers for the marker and its sequence number, follows NAME/update, whose number
rises by one each time, and tells on NAME/feedback what the user does (visualization_msgs). The package
interactive_markers has a server for any number of markers; it is not on PyPI, and one marker needs no more than this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from geometry_msgs.msg import Pose, Quaternion
from rclpy.node import Node
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import (
    InteractiveMarker,
    InteractiveMarkerControl,
    InteractiveMarkerFeedback,
    InteractiveMarkerPose,
    InteractiveMarkerUpdate,
    Marker,
    MenuEntry,
)
from visualization_msgs.srv import GetInteractiveMarkers

from ..robots.rotation import matrix_of, quaternion_of
from ..types import Array
from . import qos

MARKER = "target"
HANDLE = ColorRGBA(r=0.9, g=0.4, b=0.1, a=0.6)
HALF = math.sqrt(0.5)
AXES = {"x": (HALF, 0.0, 0.0, HALF), "y": (0.0, 0.0, HALF, HALF), "z": (0.0, HALF, 0.0, HALF)}  # turn the x axis to it
LEAST_NORM = 1e-3  # of a quaternion that is taken for a rotation
SERVER = "mbrl_ros"


class InteractiveTarget:
    """One marker with six degrees of freedom and a menu, in the topics and the service below `name`.

    Parameters
    ----------
    node
        The node whose topics they are.
    name
        The namespace that a display is given.
    frame
        The frame in which the marker stands.
    scale
        Its size [m].
    menu
        {title: what is called when it is chosen}, in their order.
    released
        What is called when the mouse has let go of the marker.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        frame: str,
        scale: float,
        menu: Mapping[str, Callable[[], None]],
        released: Callable[[], None],
    ):
        self._actions, self._released, self._sequence = list(menu.values()), released, 0
        self.refused = 0
        self._log = node.get_logger()
        self._marker = _marker(frame, scale, list(menu))
        self._updates = node.create_publisher(InteractiveMarkerUpdate, f"{name}/update", qos.MARKER_UPDATES)
        node.create_subscription(InteractiveMarkerFeedback, f"{name}/feedback", self._on_feedback, qos.MARKER_UPDATES)
        node.create_service(GetInteractiveMarkers, f"{name}/get_interactive_markers", self._on_request)
        self._publish(markers=[self._marker])

    @property
    def pose(self) -> Pose:
        """Where the marker stands, in its frame."""
        return self._marker.pose

    def place(self, T: Array) -> None:
        """Put the marker at T (4, 4) [m] of its frame."""
        pose = Pose()
        pose.position.x, pose.position.y, pose.position.z = T[:3, 3].tolist()
        x, y, z, w = quaternion_of(T[:3, :3]).tolist()
        pose.orientation = Quaternion(x=x, y=y, z=z, w=w)
        self._move(pose)

    def _move(self, pose: Pose) -> None:
        self._marker.pose = pose
        self._publish(poses=[InteractiveMarkerPose(header=self._marker.header, pose=pose, name=MARKER)])

    def _publish(
        self, markers: list[InteractiveMarker] | None = None, poses: list[InteractiveMarkerPose] | None = None
    ) -> None:
        self._sequence += 1
        self._updates.publish(
            InteractiveMarkerUpdate(
                server_id=SERVER,
                seq_num=self._sequence,
                type=InteractiveMarkerUpdate.UPDATE,
                markers=markers or [],
                poses=poses or [],
            )
        )

    def _on_request(
        self, _: GetInteractiveMarkers.Request, answer: GetInteractiveMarkers.Response
    ) -> GetInteractiveMarkers.Response:
        answer.sequence_number, answer.markers = self._sequence, [self._marker]
        return answer

    def _on_feedback(self, feedback: InteractiveMarkerFeedback) -> None:
        if feedback.marker_name != MARKER:
            return
        if feedback.event_type in (feedback.POSE_UPDATE, feedback.MOUSE_UP):
            pose = _valid(feedback.pose) if feedback.header.frame_id in ("", self._marker.header.frame_id) else None
            if pose is None:
                self.refused += 1
                self._log.warning(
                    f"a pose of the target marker is refused ({self.refused} so far): it must be finite, and in the "
                    f"frame '{self._marker.header.frame_id}'",
                    throttle_duration_sec=5.0,
                )
                return
            self._marker.pose = pose
            if feedback.event_type == feedback.MOUSE_UP:
                self._move(pose)  # the displays of others
                self._released()
        elif feedback.event_type == feedback.MENU_SELECT and 1 <= feedback.menu_entry_id <= len(self._actions):
            self._actions[feedback.menu_entry_id - 1]()


def _valid(pose: Pose) -> Pose | None:
    """Return the pose with a quaternion of norm 1; None where it is none."""
    p, q = pose.position, pose.orientation
    quaternion = np.array([q.x, q.y, q.z, q.w])
    norm = float(np.linalg.norm(quaternion))
    if not np.isfinite([p.x, p.y, p.z, norm]).all() or norm < LEAST_NORM:
        return None
    x, y, z, w = quaternion_of(matrix_of(quaternion / norm)).tolist()
    return Pose(position=p, orientation=Quaternion(x=x, y=y, z=z, w=w))


def _marker(frame: str, scale: float, titles: list[str]) -> InteractiveMarker:
    """Return the marker: a sphere to drag, an arrow and a ring for each axis, and the menu."""
    marker = InteractiveMarker(name=MARKER, description="drag, then choose with the right button", scale=scale)
    marker.header.frame_id = frame
    marker.menu_entries = [
        MenuEntry(id=number, title=title, command_type=MenuEntry.FEEDBACK) for number, title in enumerate(titles, 1)
    ]
    sphere = Marker(type=Marker.SPHERE, color=HANDLE)
    sphere.scale.x = sphere.scale.y = sphere.scale.z = 0.4 * scale
    control = InteractiveMarkerControl
    controls = [
        control(name="drag", interaction_mode=control.MOVE_ROTATE_3D, always_visible=True, markers=[sphere]),
        control(name="menu", interaction_mode=control.MENU, always_visible=True),
    ]
    for name, (x, y, z, w) in AXES.items():
        turn = Quaternion(x=x, y=y, z=z, w=w)
        for kind, mode in (("move", control.MOVE_AXIS), ("turn", control.ROTATE_AXIS)):
            controls.append(control(name=f"{kind} {name}", orientation=turn, interaction_mode=mode))
    marker.controls = controls
    return marker
