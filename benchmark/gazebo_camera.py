"""The images of Gazebo's camera where Gazebo cannot render: python benchmark/gazebo_camera.py PARAMS WORLD.sdf RADIUS.

Pose, opening angle, size and rate are those of the camera in the world's file, the joints those of joint_states, which
Gazebo has simulated; MuJoCo draws the robot's collision shapes in a plain room, and the ball of RADIUS [m] at its end
effector. Published as camera/image_raw and camera/camera_info, as config/gazebo/bridge.yaml does, with the stamp of the
state that is shown. An image that is due while the last one is still drawn is left out.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from array import array

import mujoco
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import CameraInfo, Image, JointState

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import CameraSettings, PlantSettings
from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.messages.readers import seconds
from mbrl_ros.nodes import message_writers, qos
from mbrl_ros.nodes.camera_output import camera_info
from mbrl_ros.robots import Robot, load_robot
from mbrl_ros.robots.urdf import transform
from mbrl_ros.simulation import model as models
from mbrl_ros.simulation.camera import CameraPose
from mbrl_ros.simulation.plant import Plant
from mbrl_ros.simulation.rendering import Renderer

FRAME = "camera/link/camera"  # as gz-sensors names the frame of this sensor


def robot_of(params: str) -> tuple[Robot, dict]:
    """Return the robot of a parameter file, and what the file gives sim_node."""
    own = {key[6:]: value for key, value in read_settings(params).items() if key.startswith("robot.")}
    return load_robot(RobotSettings.from_mapping(own, prefix="robot.", source=params)), read_settings(
        params, "sim_node"
    )


def camera_of(world: str) -> tuple[CameraPose, CameraSettings]:
    """Return pose and settings of the only camera in a world's file; SDF's camera looks along x, z is up."""
    model = ElementTree.parse(world).getroot().find(".//sensor[@type='camera']/../..")
    assert model is not None
    place = np.array((model.findtext("pose") or "0 0 0 0 0 0").split(), dtype=float)
    sensor = model.find("link/sensor")
    assert sensor is not None
    own = {key: float(sensor.findtext(path) or 0.0) for key, path in PATHS.items()}
    T = transform(place[:3], place[3:])
    settings = CameraSettings(
        rate=own["rate"],
        field_of_view=float(np.degrees(own["fov"])),
        width=int(own["width"]),
        height=int(own["height"]),
        noise=0.0,
        latency=0.0,
    )
    return CameraPose(T[:3, 3], np.column_stack((-T[:3, 1], -T[:3, 2], T[:3, 0]))), settings


PATHS = {
    "rate": "update_rate",
    "fov": "camera/horizontal_fov",
    "width": "camera/image/width",
    "height": "camera/image/height",
}


def dress(spec: mujoco.MjSpec, radius: float) -> None:
    """Add the ball, a gray floor and the world's sun."""
    body, offset = models.place(spec, models.TIP, np.zeros(3))
    plain = {"mass": 0.0, "contype": 0, "conaffinity": 0}
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[radius, 0, 0], pos=offset, rgba=[1.0, 0.0, 0.0, 1.0], **plain
    )
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE, size=[10, 10, 0.1], rgba=[0.7, 0.7, 0.7, 1.0], contype=0, conaffinity=0
    )
    spec.worldbody.add_light(pos=[0, 0, 10], dir=[-0.5, 0.1, -0.9], castshadow=False, diffuse=[0.8] * 3)


class CameraNode:
    """Draws the newest state whenever an image is due by the stamps."""

    def __init__(self, params: str, world: str, radius: float):
        self.robot, plant = robot_of(params)
        self._pose, settings = camera_of(world)
        start = plant.get("plant.initial_position", ())
        simulated = Plant(PlantSettings(initial_position=tuple(start)), self.robot)
        self._renderer = Renderer(
            simulated,
            (settings.width, settings.height),
            field_of_view=settings.field_of_view,
            shadows=False,
            dress=lambda spec: dress(spec, radius),
        )
        self._period, self._next, self._info = 1.0 / settings.rate, -np.inf, camera_info(settings)
        self.node = rclpy.create_node("gazebo_camera")
        self._images = self.node.create_publisher(Image, "camera/image_raw", qos.RELIABLE)
        self._infos = self.node.create_publisher(CameraInfo, "camera/camera_info", qos.RELIABLE)
        newest = rclpy.qos.QoSProfile(depth=1, reliability=rclpy.qos.ReliabilityPolicy.BEST_EFFORT)
        self.node.create_subscription(JointState, "joint_states", self._on_state, newest)

    def _on_state(self, message: JointState) -> None:
        stamp = seconds(message.header.stamp)
        if stamp < self._next - 1e-6:
            return
        due = self._next + self._period
        self._next = due if due > stamp else stamp + self._period
        at = dict(zip(message.name, message.position, strict=True))
        pixels = self._renderer(np.array([at[name] for name in self.robot.joints]), self._pose)
        image = Image(height=pixels.shape[0], width=pixels.shape[1], encoding="rgb8", step=3 * pixels.shape[1])
        image.header.stamp, image.header.frame_id = message_writers.to_time(stamp), FRAME
        image.data = array("B", pixels.tobytes())
        self._info.header = image.header
        self._infos.publish(self._info)
        self._images.publish(image)


def main() -> None:
    """Run until the end of the context."""
    rclpy.init()
    try:
        rclpy.spin(CameraNode(sys.argv[1], sys.argv[2], float(sys.argv[3])).node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass


if __name__ == "__main__":
    main()
