"""Jobs side by side: what comes out is what comes out one after the other, on every backend, also after an end."""

import json
import os
import sys

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.console.jobs import JOB_BACKENDS, finished_jobs, run_jobs, worker_count, workers
from mbrl_ros.data.dataset import Dataset
from mbrl_ros.data.store import Owner
from mbrl_ros.dynamics import gaussian_ensemble
from mbrl_ros.dynamics.priors import ensemble
from mbrl_ros.exceptions import DataError
from mbrl_ros.learning import experiment
from mbrl_ros.learning.experiment import run_experiment
from support.needs import needs

QUICK = {"networks": 2, "hidden": 8, "updates": 20, "rollouts": 10, "iterations": 1, "horizon": 3}
QUIET = ["learn", "--method", "pets", "--task", "cartpole_swingup", "--episodes", "2", "--quiet"]
COMMAND = [*QUIET, "--set", *(f"{key}={value}" for key, value in QUICK.items())]
KEPT = "pets_cartpole_swingup_2_episodes_seed_{}.json"


def every_backend():
    return [pytest.param(name, marks=needs(*modules)) for name, modules in JOB_BACKENDS.items()]


def processes(number):
    return number, os.getpid(), worker_count()


def fail(number):
    if number:
        raise DataError(f"number {number}")
    return number


def test_one_job_runs_here():
    with workers(1):
        assert run_jobs(processes, [(3,), (1,)]) == [(3, os.getpid(), 1), (1, os.getpid(), 1)]


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("backend", every_backend())
def test_two_workers_of_every_backend_give_the_same_in_the_order_of_the_calls(backend, tmp_path):
    with workers(2, backend):
        found = run_jobs(processes, [(k,) for k in range(6)])
        assert [number for number, *_ in found] == list(range(6))
        assert os.getpid() not in {process for _, process, _ in found}
        assert {inner for *_, inner in found} == {1}, "a job has no workers of its own"
        with pytest.raises(DataError, match="number 1"):
            run_jobs(fail, [(0,), (1,)])
        side_by_side = run_experiment("pets", "cartpole_swingup", [4, 5], 2, tmp_path, settings=QUICK)
    assert worker_count() == 1
    assert side_by_side == run_experiment("pets", "cartpole_swingup", [4, 5], 2, settings=QUICK)
    assert {path.name for path in tmp_path.iterdir()} == {KEPT.format(seed) for seed in (4, 5)}


@pytest.mark.slow
@needs("joblib")
def test_what_was_finished_before_an_error_is_not_lost():
    found = []
    with workers(2), pytest.raises(DataError, match="number 1"):
        found.extend(number for number, _ in finished_jobs(fail, [(0,), (0,), (1,)]))
    assert set(found) <= {0, 1}


@needs("joblib")
def test_members_trained_side_by_side_are_those_trained_together():
    rng = np.random.default_rng(0)
    z, d = rng.standard_normal((80, 3)), rng.standard_normal((80, 2))
    for members in ("same", "resampled"):
        settings = gaussian_ensemble.EnsembleSettings(networks=3, members=members, hidden=8, updates=60)
        together = gaussian_ensemble.fit(z, d, settings, 1).theta
        with workers(2):
            np.testing.assert_array_equal(gaussian_ensemble.fit(z, d, settings, 1).theta, together)
    rows = np.zeros(80, dtype=np.int64)
    data = Dataset(Owner(("a",), "effort", 0.01), z[:, :2], z[:, 2:], d[:, :1], rows, ("run",))
    together = ensemble.fit(data, np.ones(1), members=3, epochs=3)
    with workers(2):
        apart = ensemble.fit(data, np.ones(1), members=3, epochs=3)
    assert all((apart[name] == together[name]).all() for name in together)


@needs("joblib", "matplotlib")
def test_seeds_side_by_side_give_the_same_to_the_last_byte_and_are_kept(tmp_path):
    written = []
    for jobs in ("1", "2"):
        folder = tmp_path / jobs
        folder.mkdir()
        options = ["--seeds", "4", "5", "--jobs", jobs, "--output", str(folder), "--json", str(folder / "r.json")]
        assert main([*COMMAND, *options]) == 1
        names = ["r.json", "results.csv", *(KEPT.format(seed) for seed in (4, 5))]
        written.append([(folder / name).read_bytes() for name in names])
    assert written[0] == written[1]


@needs("joblib", "matplotlib")
def test_a_sweep_is_every_combination_and_goes_on_from_what_is_there(tmp_path, monkeypatch, capsys):
    sweep = [word for word in COMMAND if not word.startswith("horizon=")]
    sweep += ["--sweep", "risk=0.5,1.0", "horizon=4", "--seeds", "1"]
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    assert main([*sweep, "--output", str(one), "--json", str(one / "r.json")]) == 1
    assert main([*sweep, "--output", str(two), "--json", str(two / "r.json"), "--jobs", "2"]) == 1
    assert (one / "r.json").read_bytes() == (two / "r.json").read_bytes()
    assert (one / "sweep.csv").read_bytes() == (two / "sweep.csv").read_bytes()
    points = json.loads((one / "r.json").read_text())["sweep"]
    assert [point["settings"] for point in points] == [{"risk": risk, "horizon": 4} for risk in (0.5, 1.0)]
    assert points[0]["seeds"] != points[1]["seeds"]
    (two / "risk=1.0 horizon=4" / KEPT.format(1)).unlink()
    ran = []
    real = experiment._run_seed
    monkeypatch.setattr(experiment, "_run_seed", lambda head, seed, *rest: ran.append(seed) or real(head, seed, *rest))
    assert main([*sweep, "--output", str(two), "--json", str(two / "r.json")]) == 1
    assert ran == [1] and (one / "r.json").read_bytes() == (two / "r.json").read_bytes()
    assert "| risk | horizon | best return" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--jobs", "0"], "must be a whole number of at least 1"),
        (["--backend", "das"], "no backend 'das'; did you mean 'dask'"),
        (["--sweep", "risk"], "must be KEY=V1,V2"),
        (["--sweep", "hidden=4,8"], "is set and swept over"),
        (["--sweep", "risks=0.5"], "risk"),
        (["--sweep", "members=" + ",".join(f"m{k}" for k in range(1001))], "at most 1000 points"),
    ],
)
def test_wrong_jobs_backends_and_sweeps_are_one_line(options, said, capsys):
    assert main([*COMMAND, *options]) == 2
    assert said in capsys.readouterr().err


@needs("joblib")
@pytest.mark.parametrize(("backend", "module"), [("processes", "joblib"), ("dask", "distributed"), ("ray", "ray")])
def test_a_missing_package_of_a_backend_is_named_with_its_extra(monkeypatch, capsys, backend, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert main([*COMMAND, "--jobs", "2", "--backend", backend]) == 2
    extra = {"joblib": "jobs", "distributed": "dask", "ray": "ray"}[module]
    assert f"pip install 'mbrl_ros[{extra}]'" in capsys.readouterr().err
