"""`mbrl demo` as a user runs it: real nodes, real DDS, lockstep, a short scenario."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from ros_for_tests import needs_panda

pytest.importorskip("mujoco", reason="the demo simulates with MuJoCo")
pytest.importorskip("matplotlib", reason="the report draws with matplotlib")

SUMMARY = {"seed", "rate_hz", "horizon", "estimator", "targets", "feature_targets", "payload", "max_joint_speed_fraction",
           "limit_violations", "ticks", "message_to_command_ms", "prediction"}


def demo(folder, *options) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if key != "ROS_DOMAIN_ID"}
    return subprocess.run([sys.executable, "-m", "mbrl_ros.cli.main", "demo", "--headless", "--output", str(folder),
                           *options], capture_output=True, text=True, env=environment, timeout=600)


@needs_panda
def test_the_panda_learns_to_move_and_says_how_well(tmp_path):
    done = demo(tmp_path, "--lockstep", "--seed", "3", "--duration", "8")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary) == SUMMARY
    assert summary["seed"] == 3 and len(summary["targets"]) == 2 and summary["ticks"]["count"] == 1600
    for target in summary["targets"]:
        assert target["time_to_1cm_s"] <= 0.3
        assert target["rest_error_mm"] <= 1.5
    assert summary["payload"]["mass_kg"] == 1.5 and summary["payload"]["recover_to_1cm_s"] <= 0.5
    assert summary["limit_violations"] == 0 and summary["max_joint_speed_fraction"] <= 0.95
    assert 0.85 <= summary["prediction"]["nis_coverage_95"] <= 0.99
    assert (tmp_path / "report.html").stat().st_size > 100_000  # with its pictures inside
    for picture in ("tracking", "commands", "prediction", "ticks"):
        assert (tmp_path / f"{picture}.png").exists()
    assert "rest error" in done.stdout


@needs_panda
def test_equal_seeds_give_equal_runs(tmp_path):
    runs = []
    for name in ("first", "second"):
        done = demo(tmp_path / name, "--lockstep", "--duration", "8", "--set", "planner.horizon=15")
        assert done.returncode == 0, done.stderr
        runs.append(np.load(tmp_path / name / "truth.npz"))
    for column in ("q", "qd", "u"):
        np.testing.assert_array_equal(runs[0][column], runs[1][column])


@pytest.mark.parametrize(("options", "message"), [
    (("--duration", "3"), "needs at least 8 s"),
    (("--robot", "pandda"), "did you mean 'panda'"),
    (("--set", "planner.horizn=3"), "did you mean 'planner.horizon'"),
    (("--set", "planner.horizon"), "KEY=VALUE"),
])
def test_wrong_options_are_one_clear_line(tmp_path, options, message):
    done = demo(tmp_path, *options)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
