"""Bags for the tests of replay, record and doctor: small, seeded, of a planar arm whose every number is known."""

import json
from pathlib import Path

import numpy as np

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.messages.input_gate import InputGate
from mbrl_ros.messages.readers import JointStateReader
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.inertia import JointSpaceInertia
from mbrl_ros.safety.state_machine import Reason
from mbrl_ros.safety.supervisor import Supervisor
from support.needs import present
from support.robots import planar_arm

if present("rosbags"):
    from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer
    from rosbags.rosbag2.enums import CompressionFormat
    from rosbags.typesys import Stores, get_typestore

TWIST = "geometry_msgs/msg/TwistStamped"
STATE, VECTOR, POINT, TEXT = (
    "sensor_msgs/msg/JointState",
    "std_msgs/msg/Float64MultiArray",
    "geometry_msgs/msg/PointStamped",
    "std_msgs/msg/String",
)
EVENT = "rcl_interfaces/msg/ParameterEvent"
RATE, START = 50.0, 100.0
SETTINGS = {
    "robot.description": planar_arm(2),
    "control.rate": RATE,
    "planner.horizon": 6,
    "planner.backend": "casadi",
    "planner.iterations": 1,
    "control.delay": 0.0,
    "lockstep": True,
}


class Messages:
    """Makes serialised messages; `store`: of which distribution the types are."""

    def __init__(self, store: str = "ros2_jazzy"):
        self.store = get_typestore(Stores(store))
        self._t = self.store.types

    def header(self, stamp: float, frame: str = ""):
        nanoseconds = round(1e9 * stamp)
        time = self._t["builtin_interfaces/msg/Time"](sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
        return self._t["std_msgs/msg/Header"](stamp=time, frame_id=frame)

    def state(self, stamp, q, qd=(), effort=(), names=("joint1", "joint2")) -> bytes:
        return self._bytes(
            STATE,
            header=self.header(stamp),
            name=list(names),
            position=np.array(q, dtype=np.float64),
            velocity=np.array(qd, dtype=np.float64),
            effort=np.array(effort, dtype=np.float64),
        )

    def command(self, u, stamp: float | None = None) -> bytes:
        return self.labelled(u, [] if stamp is None else [f"{stamp:.9f}"])

    def labelled(self, values, labels) -> bytes:
        """A vector with a dimension for each label."""
        dimension, layout = self._t["std_msgs/msg/MultiArrayDimension"], self._t["std_msgs/msg/MultiArrayLayout"]
        dims = [dimension(label=label, size=len(values), stride=len(values)) for label in labels]
        return self._bytes(VECTOR, layout=layout(dim=dims, data_offset=0), data=np.array(values, dtype=np.float64))

    def point(self, stamp, p, frame="base") -> bytes:
        return self._bytes(
            POINT, header=self.header(stamp, frame), point=self._t["geometry_msgs/msg/Point"](*map(float, p))
        )

    def twist(self, stamp, v, w=(0.0, 0.0, 0.0), frame="") -> bytes:
        vector = self._t["geometry_msgs/msg/Vector3"]
        twist = self._t["geometry_msgs/msg/Twist"](*(vector(*map(float, values)) for values in (v, w)))
        return self._bytes(TWIST, header=self.header(stamp, frame), twist=twist)

    def text(self, text: str) -> bytes:
        return self._bytes(TEXT, data=text)

    def _bytes(self, kind, **fields) -> bytes:
        return bytes(self.store.serialize_cdr(self._t[kind](**fields), kind))


def parameter_event(make: Messages, node: str, key: str, value: float) -> bytes:
    """A rcl_interfaces/ParameterEvent: `key` was set to `value`."""
    t = make.store.types
    fields = dict(
        type=3,
        bool_value=False,
        integer_value=0,
        double_value=value,
        string_value="",
        byte_array_value=np.array([], np.uint8),
        bool_array_value=np.array([], np.bool_),
        integer_array_value=np.array([], np.int64),
        double_array_value=np.array([]),
        string_array_value=[],
    )
    parameter = t["rcl_interfaces/msg/Parameter"](name=key, value=t["rcl_interfaces/msg/ParameterValue"](**fields))
    return make._bytes(
        EVENT,
        stamp=t["builtin_interfaces/msg/Time"](0, 0),
        node=node,
        new_parameters=[],
        changed_parameters=[parameter],
        deleted_parameters=[],
    )


def write_bag(folder: Path, messages, storage: str = "mcap", compression: str = "", store: str = "ros2_jazzy") -> Path:
    """A bag of (topic, type, stamp [s], bytes); compression: "", "file", "message" or "storage" (mcap's chunks)."""
    writer = Writer(folder, version=9, storage_plugin=StoragePlugin[storage.upper()])
    if compression:
        writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
    types = get_typestore(Stores(store))
    connections = {}
    with writer:
        for topic, kind, stamp, data in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=types)
            writer.write(connections[topic], round(1e9 * stamp), data)
    return folder


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """A truncation, or up to 40 bytes that are others."""
    if rng.random() < 0.4:
        return content[: rng.integers(len(content))]
    changed = bytearray(content)
    for at in rng.integers(len(content), size=rng.integers(1, 41)):
        changed[at] = rng.integers(256)
    return bytes(changed)


def closed_loop(seconds: float = 3.0, seed: int = 0, session: bool = True, store: str = "ros2_jazzy", **settings):
    """(messages, commands (T, 2)) of a run in lockstep as the nodes make it: no gravity, some noise, one target."""
    values = {**SETTINGS, **settings}
    configuration = Configuration.from_flat({key: value for key, value in values.items() if key != "lockstep"})
    robot = load_robot(configuration.robot)
    controller = build_controller(robot, configuration)
    supervisor = Supervisor(robot, configuration.supervisor, 1.0 / RATE)
    reader = JointStateReader(robot, InputGate("joint_states", timeout=1.0, clock="stamps"))
    make, rng, inertia = Messages(store), np.random.default_rng(seed), JointSpaceInertia(robot)
    q, qd, messages, commands = np.zeros(2), np.zeros(2), [], []
    if session:
        messages.append(
            (
                "/mbrl_session",
                TEXT,
                START - 1.0,
                make.text(
                    json.dumps(
                        {
                            "format": 1,
                            "node": "/mpc_node",
                            "parameters": {**values, "use_sim_time": False},
                            "versions": {},
                        }
                    )
                ),
            )
        )
    target = START + 0.5
    messages.append(("/mpc_node/target_point", POINT, START - 0.5, make.point(target, (0.7, 0.0, -0.3))))
    controller.set_point_target(np.array([0.7, 0.0, -0.3]), target)
    for k in range(round(seconds * RATE)):
        stamp = START + round(k * 1e9 / RATE) * 1e-9
        measured = q + 1e-5 * rng.standard_normal(2), qd + 1e-3 * rng.standard_normal(2)
        data = make.state(stamp, *measured, effort=(0.0, 0.0))
        messages.append(("/joint_states", STATE, stamp, data))
        reading = reader.read(make.store.deserialize_cdr(data, STATE), stamp)  # as a node
        assert reading is not None
        observation = reading.observation
        if k == 0:
            controller.reset(observation)
            supervisor.reset(observation)
        decision, health = controller.step(observation), controller.health()
        warnings = (Reason.MODEL_INCONSISTENT if health.model_inconsistent else Reason.NONE) | (
            Reason.MODEL_LOST if health.model_lost else Reason.NONE
        )
        u = supervisor.filter(decision, decision.admitted, warnings).u
        controller.record(observation.stamp, u)
        commands.append(u)
        messages.append(("/commands", VECTOR, stamp + 0.001, make.command(u, observation.stamp)))
        acceleration = np.linalg.solve(inertia(q), u) - 0.5 * qd
        q, qd = q + qd / RATE + 0.5 * acceleration / RATE**2, qd + acceleration / RATE
    return messages, np.array(commands)
