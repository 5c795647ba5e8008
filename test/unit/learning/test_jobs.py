"""Seeds side by side: what comes out is what comes out one after the other."""

import os
import sys

import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.exceptions import DataError
from mbrl_ros.learning.experiment import run_experiment
from mbrl_ros.learning.jobs import run_jobs
from support.needs import needs

QUICK = {"networks": 2, "hidden": 8, "updates": 50, "rollouts": 20, "iterations": 1, "horizon": 5}


def processes(number):
    return number, os.getpid()


def fail(number):
    raise DataError(f"number {number}")


def test_one_job_runs_here():
    assert list(run_jobs(processes, [(3,), (1,)], 1)) == [(3, os.getpid()), (1, os.getpid())]


@needs("joblib")
def test_results_come_in_the_order_of_the_calls_from_other_processes():
    found = list(run_jobs(processes, [(k,) for k in range(6)], 2))
    assert [number for number, _ in found] == list(range(6))
    assert os.getpid() not in {process for _, process in found}


@needs("joblib")
def test_an_error_of_a_job_is_raised_as_it_is():
    with pytest.raises(DataError, match="number 0"):
        list(run_jobs(fail, [(0,)], 2))


@needs("joblib", "matplotlib")
def test_seeds_side_by_side_give_the_same_to_the_last_byte_and_are_kept(tmp_path):
    command = ["learn", "--method", "pets", "--task", "cartpole_swingup", "--seeds", "4", "5", "6", "--episodes", "2"]
    command += ["--quiet", "--set", *(f"{key}={value}" for key, value in QUICK.items())]
    written = []
    for jobs in ("1", "2"):
        folder = tmp_path / jobs
        folder.mkdir()
        assert main([*command, "--jobs", jobs, "--output", str(folder), "--json", str(folder / "r.json")]) == 1
        names = ["r.json", "results.csv", *(f"pets_cartpole_swingup_2_episodes_seed_{seed}.json" for seed in (4, 5, 6))]
        written.append([(folder / name).read_bytes() for name in names])
    assert written[0] == written[1]
    shown = []
    first = run_experiment("pets", "cartpole_swingup", [4, 5, 6], 2, tmp_path / "2", shown.append, QUICK, 2)
    assert list(first["seeds"]) == ["4", "5", "6"] and shown[-1].startswith("3/3 seeds, seed 6")


def test_a_wrong_number_of_jobs_and_a_missing_joblib_are_one_line(monkeypatch, capsys):
    command = ["learn", "--method", "fit_once", "--task", "cartpole_swingup", "--episodes", "1", "--quiet"]
    assert main([*command, "--jobs", "0"]) != 0
    assert "--jobs: must be a whole number of at least 1" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "joblib", None)
    assert main([*command, "--jobs", "2"]) != 0
    assert "pip install 'mbrl_ros[jobs]'" in capsys.readouterr().err
