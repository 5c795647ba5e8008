"""`mbrl distill` on a recorded bag, and `mbrl policy info` on what it wrote."""

import json

import numpy as np
import pytest
import yaml

from mbrl_ros.cli.main import main
from mbrl_ros.distillation.policy import load
from mbrl_ros.messages.supervision import VERSION
from support.needs import needs
from support.replay_bags import VECTOR, Messages, write_bag
from support.robots import planar_arm, planar_robot
from support.teaching import N, taught_samples

pytestmark = needs("rosbags")


TOPIC = "/arm/mpc_node/supervision"


def supervision(make: Messages, k: int, s) -> bytes:
    """Sample k of `s` as it stands in a bag."""
    fields = {
        "sequence": [k],
        "stamp": [1.0 + 0.005 * k],
        "epoch": [s.epoch[k]],
        "task": [0],
        "target": s.target[k],
        "q": s.q[k],
        "qd": s.qd[k],
        "a": s.a[k],
        "w": s.w[k],
        "u": s.u[k],
        "P": s.P[k][np.triu_indices(N)],
    }
    types = make.store.types
    dimension = types["std_msgs/msg/MultiArrayDimension"]
    dims = [dimension(label=label, size=0, stride=0) for label in (VERSION, "/arm/mpc_node", "point")]
    dims += [dimension(label=name, size=len(value), stride=len(value)) for name, value in fields.items()]
    layout = types["std_msgs/msg/MultiArrayLayout"](dim=dims, data_offset=0)
    message = types[VECTOR](layout=layout, data=np.concatenate([np.asarray(v, dtype=float) for v in fields.values()]))
    return bytes(make.store.serialize_cdr(message, VECTOR))


@pytest.fixture
def robot_file(tmp_path):
    path = tmp_path / "arm.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "mpc_node": {
                    "ros__parameters": {
                        "robot": {"description": planar_arm(N)},
                        "distillation": {"goal_units": 4, "gain_units": 4, "iterations": 10},
                    }
                }
            }
        )
    )
    return path


@pytest.mark.slow
def test_a_bag_becomes_a_policy(tmp_path, robot_file, capsys):
    make, s = Messages(), taught_samples(planar_robot(N), 600)
    rows = [(TOPIC, VECTOR, 1.0 + 0.005 * k, supervision(make, k, s)) for k in range(600)]
    rows.append((TOPIC, VECTOR, 2.0, make.labelled([1.0], ["something else"])))
    bag, policy = write_bag(tmp_path / "bag", rows), tmp_path / "out.policy"
    assert main(["distill", str(bag), "--robot", str(robot_file), "--output", str(policy), "--restarts", "1"]) == 0
    printed = capsys.readouterr().out
    assert "samples stored" in printed and "not a mbrl_ros/supervision/1 message" in printed
    load(policy).check(planar_robot(N))
    assert main(["policy", "info", str(policy), "--json", str(tmp_path / "info.json")]) == 0
    facts = json.loads((tmp_path / "info.json").read_text())
    assert facts["joints"] == ["joint1", "joint2", "joint3"] and facts["version"] == 2 and facts["targets"] == 40


def test_a_bag_without_supervision_is_refused_with_what_it_holds(tmp_path, robot_file, capsys):
    bag = write_bag(tmp_path / "bag", [("/commands", VECTOR, 1.0, Messages().command([0.0, 0.0, 0.0]))])
    assert main(["distill", str(bag), "--robot", str(robot_file)]) != 0
    assert "no supervision topic" in capsys.readouterr().err
    assert main(["policy", "info", str(robot_file)]) != 0
    assert "not a policy file of mbrl_ros" in capsys.readouterr().err
