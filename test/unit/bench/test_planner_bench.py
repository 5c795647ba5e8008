"""`mbrl bench planner`: what it writes, and that what it compares is the same problem."""

import json

import numpy as np
import pytest

from mbrl_ros.bench.planner import numpy_cost, peers, problems, tick
from mbrl_ros.cli.main import main


def test_it_prints_a_table_and_writes_json_and_plot(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    arguments = [
        "bench",
        "planner",
        "--quick",
        "--problems",
        "P2",
        "P7",
        "--horizons",
        "4",
        "6",
        "--solvers",
        "ilqr_vm",
        "numpy",
        "--json",
        str(tmp_path / "bench.json"),
        "--plot",
        str(tmp_path / "bench.png"),
    ]
    assert main(arguments) == 0
    results = json.loads((tmp_path / "bench.json").read_text())
    for problem in ("P2", "P7"):
        for horizon in ("4", "6"):
            for solver in ("ilqr_vm", "numpy"):
                for mode in ("hot", "paced"):
                    times = results[problem][horizon][solver][mode]
                    assert 0.0 < times["p50_us"] <= times["p99_us"] <= times["max_us"]
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "| P7 | 6 | ilqr_vm |" in printed and printed.splitlines()[-1] == "PASS"


def test_a_peer_that_is_not_there_is_no_success(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")

    def absent(problem):
        raise ModuleNotFoundError("No module named 'osqp'", name="osqp")

    monkeypatch.setitem(peers.SOLVERS, "osqp", absent)
    assert (
        main(
            [
                "bench",
                "planner",
                "--quick",
                "--problems",
                "P2",
                "--horizons",
                "4",
                "--solvers",
                "numpy",
                "osqp",
                "--plot",
                str(tmp_path / "bench.png"),
            ]
        )
        == 1
    )
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("FAIL: did not run: osqp (No module named 'osqp'), try: pip install")


def test_wrong_options_are_named(capsys):
    assert main(["bench", "planner", "--solvers", "ilqrr"]) == 2
    assert "no solver ['ilqrr']" in capsys.readouterr().err
    assert main(["bench", "planner", "--horizons", "1"]) == 2


@pytest.mark.parametrize("name", problems.PROBLEM_NAMES)
def test_the_numpy_cost_is_the_casadi_cost(name):
    problem = problems.make(name, 5)
    planner = problem.planner("numpy")
    rng = np.random.default_rng(0)
    X = problem.x0 + 0.3 * rng.standard_normal((6, problem.nx))
    U, p = rng.standard_normal((6, problem.nu)), problem.parameters
    by_hand, by_casadi = numpy_cost.NumpyEvaluator(problem), planner.solver.evaluate
    for a, b in zip(by_hand.expand(X, U, p), by_casadi.expand(X, U, p), strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-12)
    Xs, Us = (np.repeat(a[:, None], 8, axis=1) for a in (X, U))
    assert np.allclose(by_hand.costs(Xs, Us, p), by_casadi.costs(Xs, Us, p), rtol=1e-12)


@pytest.mark.parametrize("solver", ["crocoddyl_box", "osqp", "piqp"])
def test_peers_solve_the_same_quadratic_problem(solver):
    pytest.importorskip(solver.partition("_")[0])
    problem = problems.make("P2", 10)
    prepare, run = peers.SOLVERS[solver](problem)
    prepare()
    run()
    if solver != "crocoddyl_box":
        P, q, A, low, high = peers.sparse_qp(problem)
        assert low.size == A.shape[0] and np.all(low <= high)


def test_the_tick_learns_and_plans():
    prepare, run = tick.refit_and_plan(problems.make("P7", 5), "numpy")
    for _ in range(3):
        prepare()
        run()
