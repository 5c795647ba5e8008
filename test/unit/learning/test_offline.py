"""A recording as a task: models learn from its first half and are judged by its second."""

import json

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.exceptions import DataError
from mbrl_ros.learning import offline
from mbrl_ros.tasks.recording import WINDOW_STEPS, Recorded
from support.needs import needs

DT, SAMPLES = 0.02, 240
QUICK = {"networks": 2, "hidden": 16, "updates": 300}


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A damped joint pushed by torques that hold for ten samples, as a table."""
    rng, x, rows = np.random.default_rng(0), np.zeros(2), []
    U = rng.uniform(-1.0, 1.0, SAMPLES // 10).repeat(10)
    for k, u in enumerate(U):
        rows.append((k * DT, *x, u))
        rate = x[1] + DT * (8.0 * u - 4.0 * x[1] - 6.0 * np.sin(x[0]))
        x = np.array([x[0] + 0.5 * DT * (x[1] + rate), rate])
    path = tmp_path_factory.mktemp("recording") / "joint.csv"
    np.savetxt(path, rows, delimiter=",", header="time,Position1,Velocity1,Torque1", comments="", fmt="%.9f")
    return path


def test_the_second_half_is_held_out_and_its_windows_are_whole(recording):
    recorded = Recorded(recording)
    assert len(recorded.learned) == len(recorded.held_out) or len(recorded.held_out) - len(recorded.learned) == 1
    assert max(t.stamp for t in recorded.learned) < min(t.stamp for t in recorded.held_out)
    assert recorded.windows.shape[1] == WINDOW_STEPS and (np.diff(recorded.windows, axis=1) == 1).all()
    assert sum(len(recorded.share(k, 3)) for k in range(3)) == len(recorded.learned)


def test_the_score_is_one_without_error_and_zero_where_the_velocity_stays(recording):
    recorded = Recorded(recording)
    ends = np.array([recorded.held_out[k].x_next[1:] for k in recorded.windows[:, -1]])
    begins = np.array([recorded.held_out[k].x[1:] for k in recorded.windows[:, 0]])
    assert recorded.score(ends) == 1.0 and recorded.score(begins) == pytest.approx(0.0)


@pytest.mark.parametrize(("method", "changes"), [("online", {}), ("pets", QUICK)])
def test_a_model_predicts_what_it_has_not_seen_the_better_the_more_it_has_learned(recording, method, changes):
    first, *_, last = offline.learn(method, recording, 0, 2, changes)
    assert first.acted == "recorded" and last.reward > 0.8
    assert last.reward > first.reward - 0.05
    assert last == list(offline.learn(method, recording, 0, 2, changes))[-1]


def test_the_command_judges_a_recording_and_refuses_what_has_no_model(recording, tmp_path, capsys):
    task = f"recording:{recording}"
    command = ["learn", "--task", task, "--episodes", "2", "--quiet"]
    assert main([*command, "--method", "online", "--json", str(tmp_path / "r.json")]) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["task"] == task and [entry["acted"] for entry in result["seeds"]["0"]] == ["recorded"] * 2
    assert main([*command, "--method", "backprop"]) == 2
    assert "'backprop' cannot learn from a recording, online, fit_once, pets, bnn can" in capsys.readouterr().err
    assert main(["learn", "--task", "recording:none.csv", "--method", "online", "--quiet"]) == 2


def test_a_recording_without_commands_is_refused(tmp_path):
    path = tmp_path / "still.csv"
    t = np.arange(100) * DT
    np.savetxt(
        path, np.column_stack([t, np.sin(t), np.cos(t)]), delimiter=",", header="time,Position1,Velocity1", comments=""
    )
    with pytest.raises(DataError, match="has no commands"):
        Recorded(path)


@needs("data/panda_exciting_trajectory.db3")
def test_a_recording_of_a_real_panda_is_predicted_by_the_local_model():
    from support import SHARED

    *_, last = offline.learn("online", SHARED / "data" / "panda_exciting_trajectory.db3", 0, 2)
    assert last.reward > 0.5
