"""The node benches in short: nothing that is fed, killed or full brings the controller out of order."""

import json

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.console.verdict import LATE
from support.needs import needs, present
from support.reports import assert_reported, report_into
from support.ros import HOME, PANDA

if present("rclpy"):
    from mbrl_ros.bench.node.bad_messages import TOPICS, BadMessages
    from mbrl_ros.bench.node.faults import BENCH_PARTS

OLD_COUNTS = (
    "bad_messages",
    "kills",
    "controller_crashes",
    "out_of_limit_commands",
    "non_finite_commands",
    "late_safe_commands",
    "unrecovered",
)
pytestmark = needs("rclpy", "mujoco", "example-robot-data")


def test_every_way_to_be_bad_is_drawn_and_can_be_sent():
    bad = BadMessages(PANDA["robot.joints"], HOME, seed=0)
    drawn = [bad.draw(1000.0) for _ in range(2000)]
    assert {topic for topic, _ in drawn} == set(TOPICS)
    assert all(isinstance(message, TOPICS[topic]) for topic, message in drawn)
    states = [message for topic, message in drawn if topic == "joint_states"]
    assert any(np.isnan(message.position).any() for message in states)
    assert any(len(message.name) > 1000 for message in states) and any(not message.name for message in states)


@pytest.mark.slow
@pytest.mark.realtime
def test_the_controller_survives_the_fault_bench(tmp_path, capfd):
    file = tmp_path / "faults.json"
    code = main(
        ["bench", "faults", "--messages", "400", "--kills", "3", "--restarts", "1", "--quiet", "--json", str(file)]
        + ["--kinds", *BENCH_PARTS]  # the others: test_fault_bench.py
    )
    written, said = json.loads(file.read_text()), capfd.readouterr().out
    assert written["falls"] == written["silent_failures"] == written["unasked_commands"] == 0
    counts = {key: written[key] for key in OLD_COUNTS}
    late = counts.pop("late_safe_commands")  # a matter of this machine's load, so it is not judged here
    assert counts == {
        "bad_messages": 400,
        "kills": 6,
        "controller_crashes": 0,
        "out_of_limit_commands": 0,
        "non_finite_commands": 0,
        "unrecovered": 0,
    }, said
    assert code == (1 if late else 0) and said.splitlines()[-1].startswith("FAIL: " if late else "PASS")


@pytest.mark.slow
@pytest.mark.realtime
def test_the_node_bench_reports_what_it_measured(tmp_path):
    file = tmp_path / "node.json"
    code = main(
        ["bench", "node", "--rates", "50", "--duration", "1", "--quiet", "--json", str(file), *report_into(tmp_path)]
    )
    result = json.loads(file.read_text())["50"]
    assert code == (1 if result["missed_fraction"] > LATE else 0)
    assert_reported(tmp_path, "Bench of the node", pictures=1, of="<td", passed=not code)
    assert set(result) == {
        "message_to_command_ms",
        "period_us",
        "missed_fraction",
        "cpu_fraction",
        "rss_mb_start",
        "rss_mb_end",
    }
    assert 0.0 < result["message_to_command_ms"]["p50"] <= result["message_to_command_ms"]["max"]
    assert result["missed_fraction"] < 1.0 and result["rss_mb_start"] > 10.0
