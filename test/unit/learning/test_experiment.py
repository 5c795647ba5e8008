"""`mbrl learn`: the shape of its result, repetition, resumption, files, verdict and errors."""

import csv
import json

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.learning import global_model, report
from mbrl_ros.learning.catalog import LEARNING_METHODS
from mbrl_ros.learning.experiment import judge
from mbrl_ros.tasks.catalog import TASKS
from support.needs import needs


@pytest.fixture(autouse=True)
def _short_fits(monkeypatch):
    monkeypatch.setattr(global_model, "FIT_UPDATES", 50)


def mbrl_learn(*options, method="fit_once"):
    return main(["learn", "--method", method, "--task", "cartpole_swingup", "--quiet", *map(str, options)])


@pytest.mark.slow
def test_the_result_has_one_entry_per_episode_and_repeats_to_the_last_byte(tmp_path):
    files = tmp_path / "a.json", tmp_path / "b.json"
    for file in files:
        assert mbrl_learn("--seeds", 10, 11, "--episodes", 3, "--json", file) == 1
    assert files[0].read_bytes() == files[1].read_bytes()
    result = json.loads(files[0].read_text())
    assert (result["method"], result["task"]) == ("fit_once", "cartpole_swingup")
    assert list(result["seeds"]) == ["10", "11"]
    for entries in result["seeds"].values():
        assert [entry["step"] for entry in entries] == [200, 400, 600]
        assert all(0.0 <= entry["return"] <= 200.0 for entry in entries)
        assert ["predicted_return" in entry for entry in entries] == [False, True, False]


@needs("matplotlib")
def test_seeds_that_are_there_are_taken_and_only_the_others_run(tmp_path):
    mbrl_learn("--seeds", 10, "--episodes", 1, "--output", tmp_path)
    (kept,) = tmp_path.glob("*seed_10.json")
    content = json.loads(kept.read_text())
    content["episodes"][0]["return"] = 123.0
    kept.write_text(json.dumps(content))
    mbrl_learn("--seeds", 10, 11, "--episodes", 1, "--output", tmp_path)
    with open(tmp_path / "results.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["seed"] for row in found] == ["10", "11"]
    assert float(found[0]["return"]) == 123.0 and float(found[1]["return"]) < 123.0
    assert (tmp_path / "curve.png").stat().st_size > 1000
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 1 and 'src="http' not in page
    assert "FAIL: fit_once did not solve cartpole_swingup with 2 of 2 seeds" in page
    assert "<th>seed.10.best return</th><td>123" in page
    command = "mbrl learn --method fit_once --task cartpole_swingup --seeds 10 11 --episodes 1"
    assert f"<th>command</th><td>{command}</td>" in page and "<th>processor</th>" in page


@needs("matplotlib")
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"method": "online", "task": "x", "seed": 10, "episodes": []}'])
def test_a_file_of_another_kind_is_named_and_left_alone(tmp_path, capsys, text):
    file = tmp_path / "fit_once_cartpole_swingup_1_episodes_seed_10.json"
    file.write_text(text)
    assert mbrl_learn("--seeds", 10, "--episodes", 1, "--output", tmp_path) == 2
    assert file.name in capsys.readouterr().err
    assert file.read_text() == text


def test_the_verdict_asks_that_every_seed_solves_the_task():
    result = {"method": "m", "task": "t", "seeds": {"0": [{"return": 1.0}, {"return": 9.0}], "1": [{"return": 5.0}]}}
    assert judge(result, 5.0).passed
    assert not judge(result, 6.0).passed
    assert "1 of 2 seeds (1): best return 5.0 of 6" in judge(result, 6.0).line()
    assert "2 of 2 seeds (0, 1): best returns 9.0, 5.0 of 10" in judge(result, 10.0).line()


def test_the_confidence_interval_is_students():
    mean, half = report.confidence(np.array([1.0, 2.0, 3.0]))
    assert (mean, half) == pytest.approx((2.0, 4.302653 / np.sqrt(3.0)))
    assert report.confidence(np.array([4.0])) == (4.0, 0.0)


def test_the_table_states_no_confidence_for_one_seed():
    entries = [{"step": 3, "return": 4.0, "acted": "mpc"}]
    one, two = ({"seeds": dict.fromkeys(names, entries)} for names in ("0", "01"))
    assert report.table(one).splitlines()[-1] == "| 1 | 3 | mpc | 4.0 | - | - |"
    assert report.table(two).splitlines()[-1] == "| 1 | 3 | mpc | 4.0 | 0.0 | - |"


def test_the_summary_names_the_first_episode_that_solved_the_task():
    result = {"method": "m", "task": "t", "seeds": {"0": [{"return": 1.0}, {"return": 9.0}, {"return": 8.0}]}}
    assert report.summary(result, 8.0)["seed"]["0"] == {
        "best return": 9.0,
        "last return": 8.0,
        "first solved in episode": 2,
    }
    assert report.summary(result, 9.5)["seed"]["0"]["first solved in episode"] is None


def test_the_list_names_every_method_and_task(capsys):
    assert main(["learn", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in (*LEARNING_METHODS, *TASKS))


@pytest.mark.parametrize(
    "options, said",
    [
        (["--method", "onlin", "--task", "cartpole_swingup"], "did you mean 'online'"),
        (["--method", "online", "--task", "cartpole"], "did you mean 'cartpole_swingup'"),
        (["--task", "cartpole_swingup"], "--method is missing"),
        (["--method", "online"], "--task is missing"),
        (["--method", "online", "--task", "cartpole_swingup", "--episodes", "0"], "at least 1"),
        (["--method", "online", "--task", "cartpole_swingup", "--seeds", "-1"], "at least 0"),
    ],
)
def test_a_wrong_option_is_one_line(options, said, capsys):
    assert main(["learn", *options]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
