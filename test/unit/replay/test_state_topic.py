"""Tools read the joint_states that hold the joints, whatever else publishes joint states, and more of them."""

import json

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.data import ReadOptions, load
from mbrl_ros.replay.state_topic import with_state_topic
from mbrl_ros.replay.topics import JOINT_STATE, Mapped
from support.needs import needs, present
from support.robots import planar_arm

if present("rosbags"):
    from rosbags.typesys import Stores, get_typestore

    from support.replay_bags import write_bag

ARM, GRIPPER = "/joint_states", "/gripper/joint_states"
JOINTS = ("joint1", "joint2")


@pytest.mark.parametrize(
    "names, wanted, chosen",
    (
        ({ARM: JOINTS, GRIPPER: ("finger",)}, JOINTS, ARM),
        ({ARM: ("finger",), GRIPPER: JOINTS}, JOINTS, GRIPPER),
        ({ARM: ("finger",), "/arm/state": JOINTS}, JOINTS, "/arm/state"),
        ({ARM: ("finger",), GRIPPER: JOINTS}, (), GRIPPER),
        ({ARM: ("a",), GRIPPER: ("b",)}, JOINTS, None),
        ({ARM: JOINTS}, JOINTS, None),
        ({"/mpc_node/target_joints": JOINTS, ARM: ("finger",)}, JOINTS, None),
    ),
)
def test_the_topic_that_holds_the_joints_is_chosen(names, wanted, chosen):
    topics = {topic: (JOINT_STATE, 5 if topic == ARM else 500) for topic in names}
    mapped = with_state_topic(Mapped(), topics, lambda topic: names[topic], wanted)
    assert mapped.topics.get("states") == chosen
    said = Mapped({"states": ARM})
    assert with_state_topic(said, topics, lambda topic: names[topic], wanted) is said


@pytest.fixture
def bag(tmp_path):
    """A bag of an arm whose gripper publishes ten times as often, on a topic of the usual name, too."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    types = store.types
    kind = types["sensor_msgs/msg/JointState"]
    messages = []

    def add(topic: str, stamp: float, names: tuple[str, ...], value: float) -> None:
        time = types["builtin_interfaces/msg/Time"](int(stamp), round(1e9 * (stamp % 1.0)))
        n = len(names)
        filled = np.full(n, value)
        state = kind(types["std_msgs/msg/Header"](time, ""), list(names), filled, filled, filled)
        messages.append((topic, kind.__msgtype__, stamp, bytes(store.serialize_cdr(state, kind.__msgtype__))))

    for k in range(60):
        add(ARM, 100.0 + 0.01 * k, JOINTS, 0.001 * k)
        for i in range(10):
            add(GRIPPER, 100.0 + 0.01 * k + 0.001 * i, ("finger",), 0.0)
    (tmp_path / "arm.urdf").write_text(planar_arm(2))
    (tmp_path / "arm.yaml").write_text(
        f"robot:\n  description: {tmp_path}/arm.urdf\n  joints: [joint1, joint2]\n  interface: velocity\n"
        "control:\n  rate: 100.0\n"
    )
    return write_bag(tmp_path / "bag", messages, store="ros2_humble")


@needs("rosbags")
def test_every_tool_takes_the_topic_of_the_arm(bag, capsys):
    folder = bag.parent
    config = ["--config", str(folder / "arm.yaml")]
    main(["doctor", str(bag), *config, "--json", str(folder / "found.json")])
    found = json.loads((folder / "found.json").read_text())
    assert found["joints"] == list(JOINTS)
    assert main(["init", "--bag", str(bag), "--urdf", str(folder / "arm.urdf"), "-o", str(folder / "new.yaml")]) == 0
    assert read_settings(folder / "new.yaml")["robot.joints"] == list(JOINTS)
    assert main(["replay", str(bag), "--no-plan", *config, "--output", str(folder / "out")]) == 0
    assert load(str(bag), ReadOptions(joints=JOINTS)).joints == JOINTS
    assert load(str(bag), ReadOptions()).joints == JOINTS
