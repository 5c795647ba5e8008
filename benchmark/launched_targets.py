"""Targets for a robot that a launch file runs, and what its states say: python benchmark/launched_targets.py OUT.json.

For launch/gazebo.launch.py and launch/hardware.launch.py, with the default robot or --params. Begins with the first
joint state. Points are those of `mbrl demo` for the seed. Image targets (--images, with the camera of --world) are
where the camera would see the end effector after a small motion of every joint from the start, to which it goes back.
Errors at rest are medians of the last half second before the next target, by the states of the simulator; of image
targets in pixels by the camera's true pose, which only this script knows, in mm across the line of sight at the end
effector, and in pixels by the points that feature_node finds.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import rclpy
from gazebo_camera import camera_of, robot_of
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import Float64MultiArray, String

from mbrl_ros.config.resources import config_file
from mbrl_ros.demo.metrics import rest_error, settled
from mbrl_ros.messages.point_cloud import cloud_columns
from mbrl_ros.messages.readers import seconds
from mbrl_ros.nodes import message_writers, qos
from mbrl_ros.nodes.status import read_status
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.scenarios.scenario import HOLD, SLOT, Slot, build_scenario
from mbrl_ros.simulation.camera import project
from mbrl_ros.types import FeatureFrame

BACK, IMAGE_SLOT, SWING = 2.5, 6.0, 0.35  # [s], [s], [rad or m]
WINDOW = 0.5  # [s] before the next target


class Session:
    """Sends slots by the stamps of the states, and keeps what was said."""

    def __init__(self, node: Node, slots: list[Slot], root: str):
        self.node, self.slots, self._root = node, slots, root
        self.states: list[tuple[float, JointState]] = []
        self.seen: list[tuple[float, float, float]] = []
        self.supervisor: list[tuple[float, str]] = []
        self.said: list[str] = []
        self.status: list[dict[str, float]] = []
        self._point = node.create_publisher(PointStamped, "mpc_node/target_point", qos.TARGET_QOS)
        self._image = node.create_publisher(PointCloud2, "mpc_node/target_features", qos.TARGET_QOS)
        node.create_subscription(JointState, "joint_states", self._on_state, qos.EVERY)
        node.create_subscription(PointCloud2, "features", self._on_features, qos.EVERY)
        node.create_subscription(String, "mpc_node/supervisor_state", self._on_supervisor, qos.LATCHED)
        node.create_subscription(String, "mpc_node/message", lambda m: self.said.append(m.data), qos.EVERY)
        node.create_subscription(
            Float64MultiArray, "mpc_node/status", lambda m: self.status.append(read_status(m)), qos.STATUS
        )

    def run(self, patience: float) -> None:
        """Wait for the first state, then send every slot when it begins; end with the last one."""
        begun, waiting, end = time.monotonic(), list(self.slots), self.slots[-1].end
        while not self.states or self.now < end:
            rclpy.spin_once(self.node, timeout_sec=0.2)
            if time.monotonic() - begun > patience:
                raise SystemExit(f"at {self.now if self.states else None} s after {patience:g} s: {self.said[-5:]}")
            while self.states and waiting and self.now >= waiting[0].start:
                self._send(waiting.pop(0))

    @property
    def now(self) -> float:
        """Time since the first state [s]."""
        return self.states[-1][0] - self.states[0][0]

    def _send(self, slot: Slot) -> None:
        stamp = message_writers.to_time(self.states[0][0] + slot.start)
        if slot.kind == "features":
            message = message_writers.to_cloud(FeatureFrame(0.0, slot.value, np.ones(1)))
            message.header.stamp = stamp
            self._image.publish(message)
            return
        point = PointStamped()
        point.header.frame_id, point.header.stamp = self._root, stamp
        point.point.x, point.point.y, point.point.z = map(float, slot.value)
        self._point.publish(point)

    def _on_state(self, message: JointState) -> None:
        self.states.append((seconds(message.header.stamp), message))

    def _on_features(self, message: PointCloud2) -> None:
        columns = cloud_columns(message, ("x", "y"), ("confidence",))
        if columns["confidence"][0] > 0.0:
            self.seen.append((seconds(message.header.stamp), columns["x"][0], columns["y"][0]))

    def _on_supervisor(self, message: String) -> None:
        self.supervisor.append((self.now if self.states else float("nan"), message.data))


def drawn(robot, start, seed: int, points: int, images: int, camera) -> list[Slot]:
    """Draw the slots: points as in the demo, then image targets with the way back to the start before each."""
    demo = build_scenario(robot, start, seed, payload_kg=0.0, duration=HOLD + SLOT * max(2, points))
    slots = demo.slots_of("point")[:points]
    kinematics, rng = Kinematics(robot), np.random.default_rng(1000 + seed)
    t = slots[-1].end if slots else HOLD
    for _ in range(images):
        pose, settings = camera
        while True:
            q = np.clip(start + rng.uniform(-SWING, SWING, robot.n), robot.position_lower, robot.position_upper)
            image, visible = project(kinematics.position(q)[None], pose, settings)
            away = np.linalg.norm(image - project(kinematics.position(start)[None], pose, settings)[0])
            if visible[0] and np.abs(image).max() < 0.6 and away > 0.2 and kinematics.position(q)[2] > 0.2:
                break
        slots.append(Slot("point", t, t + BACK, kinematics.position(start)))
        slots.append(Slot("features", t + BACK, t + BACK + IMAGE_SLOT, image.ravel()))
        t += BACK + IMAGE_SLOT
    return slots


def judged(session: Session, robot, camera) -> list[dict]:
    """Return for every slot how near the end effector was at its end."""
    begin = session.states[0][0]
    t = np.array([stamp - begin for stamp, _ in session.states])
    names = session.states[0][1].name
    order = [names.index(joint) for joint in robot.joints]
    q = np.array([np.array(message.position)[order] for _, message in session.states])
    tip, found = Kinematics(robot).positions(q), []
    seen = np.array(session.seen).reshape(-1, 3)
    for slot in session.slots:
        during = (t >= slot.start) & (t < slot.end)
        if slot.kind == "point":
            error = np.linalg.norm(tip[during] - slot.value, axis=1)
            reached = settled(t[during], error)
            found.append({"kind": "point", "rest_mm": rest_error(t[during], error), "reached_s": reached})
            if reached is not None:
                found[-1]["reached_s"] = reached - slot.start
            continue
        pose, settings = camera
        last = during & (t >= slot.end - WINDOW)
        focal = 1.0 / np.tan(np.radians(settings.field_of_view) / 2.0)
        off = np.linalg.norm(project(tip[last], pose, settings)[0] - slot.value, axis=1)
        depth = (tip[last] - pose.position) @ pose.rotation[:, 2]
        measured = (seen[:, 0] >= begin + slot.end - WINDOW) & (seen[:, 0] < begin + slot.end)
        all_off = np.linalg.norm(project(tip[during], pose, settings)[0] - slot.value, axis=1)
        found.append(
            {
                "kind": "features",
                "start_px": 0.5 * settings.width * float(all_off[0]),
                "rest_px": 0.5 * settings.width * float(np.median(off)),
                "rest_mm": 1e3 * float(np.median(off * depth / focal)),
                "seen_px": 0.5
                * settings.width
                * float(np.median(np.linalg.norm(seen[measured, 1:] - slot.value, axis=1)))
                if measured.any()
                else None,
                "images": int(((seen[:, 0] >= begin + slot.start) & (seen[:, 0] < begin + slot.end)).sum()),
            }
        )
    return found


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--params", default=str(config_file("panda")))
    parser.add_argument("--world", default=str(config_file("panda").parent / "gazebo" / "world.sdf"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=4)
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--namespace", default="")
    parser.add_argument("--patience", type=float, default=900.0, help="real time [s]")
    given = parser.parse_args()
    robot, plant = robot_of(given.params)
    start = np.array(plant.get("plant.initial_position", np.zeros(robot.n)))
    camera = camera_of(given.world)
    rclpy.init()
    session = Session(
        rclpy.create_node("launched_targets", namespace=given.namespace),
        drawn(robot, start, given.seed, given.points, given.images, camera),
        robot.root,
    )
    session.run(given.patience)
    late = [values["late"] for values in session.status if "late" in values]
    report = {
        "seed": given.seed,
        "slots": judged(session, robot, camera),
        "supervisor": session.supervisor,
        "said": session.said,
        "ticks": len(session.status),
        "late": int(np.sum(np.array(late) > 0)),
        "missed": session.status[-1].get("missed") if session.status else None,
        "states_hz": (len(session.states) - 1) / session.now,
    }
    Path(given.out).write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
