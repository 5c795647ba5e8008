"""`mbrl bench planner`: what it writes, and that what it compares is the same problem."""

import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from mbrl_ros.bench.counted_process import run_counted
from mbrl_ros.bench.planner import compare, instruction_set, numpy_cost, ours, peers, problems, tick
from mbrl_ros.bench.planner import count as program
from mbrl_ros.bench.planner.count import Job, count, runners
from mbrl_ros.bench.planner.peer import Peer, Variant
from mbrl_ros.cli import bench_planner
from mbrl_ros.cli.main import main
from mbrl_ros.codegen.compiler import find_compiler
from mbrl_ros.exceptions import CompileError, MbrlError
from support.reports import assert_reported, report_into


@pytest.mark.slow
def test_it_prints_a_table_and_writes_json_and_plot(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(compare, "available", lambda: ("", "there is no counter"))
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
        *report_into(tmp_path),
    ]
    assert main(arguments) == 0
    results = json.loads((tmp_path / "bench.json").read_text())
    for problem in ("P2", "P7"):
        for horizon in ("4", "6"):
            for solver in ("ilqr_vm", "numpy"):
                row = results[problem][horizon][solver]
                for mode in ("hot", "paced"):
                    times = row[mode]
                    assert 0.0 < times["p50_us"] <= times["p99_us"] <= times["max_us"]
                assert row["instructions"] is None and row["instructions_reason"] == "there is no counter"
                assert row["instruction_set"] or row["instruction_set_reason"]
            exact = results[problem][horizon]["ilqr_vm"]["to_1e6"]
            assert exact["p50_us"] > 0.0 and exact["iterations"] >= 1 and exact["residual"] <= 1e-6
            assert results[problem][horizon]["numpy"]["to_1e6"] is None
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "| P7 | 6 | ilqr_vm |" in printed and printed.splitlines()[-1] == "PASS"
    assert_reported(tmp_path, "Bench of solvers", pictures=1, of="ilqr_vm")


@pytest.mark.slow
def test_a_peer_that_is_not_there_is_no_success(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")

    monkeypatch.setattr(compare, "available", lambda: ("", "there is no counter"))

    def absent(problem, quadratic):
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


def test_the_tick_learns_and_plans():
    prepare, run = tick.refit_and_plan(problems.make("P7", 5), "numpy")
    for _ in range(3):
        prepare()
        run()


def row(hot, instructions, exact=None, exact_instructions=None, *, whole=False):
    solution = None if exact is None else {"p50_us": exact, "iterations": 3, "instructions": exact_instructions}
    return {"hot": {"p50_us": hot}, "instructions": instructions, "to_1e6": solution, "whole_solution": whole}


def test_the_claim_is_the_worse_of_time_and_instructions():
    found = compare.ratios(row(10.0, 100.0, 50.0, 600.0), row(40.0, 200.0, 100.0, 2000.0))
    assert found["iteration"] == {"time": 0.25, "instructions": 0.5, "claim": 0.5}
    assert found["to_1e6"] == {"time": 0.5, "instructions": 0.3, "claim": 0.5}


def test_without_instructions_there_is_no_claim():
    found = compare.ratios(row(10.0, None), row(40.0, 200.0))
    assert found == {"iteration": {"time": 0.25, "instructions": None, "claim": None}}


def test_a_whole_solution_is_not_compared_with_an_iteration():
    found = compare.ratios(row(10.0, 100.0, 50.0, 600.0), row(100.0, 2000.0, 100.0, 2000.0, whole=True))
    assert list(found) == ["to_1e6"]


@pytest.mark.slow
def test_an_extra_peer_that_is_not_installed_is_skipped_with_the_command_that_installs_it(
    tmp_path, monkeypatch, capsys
):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(compare, "available", lambda: ("", "there is no counter"))
    monkeypatch.setattr(bench_planner, "configure_times", lambda: (1.0, 0.1))
    monkeypatch.setenv("ACADOS_SOURCE_DIR", str(tmp_path))
    for name in set(peers.SOLVERS) - {"numpy", "hpipm"}:
        monkeypatch.delitem(peers.SOLVERS, name)
    arguments = [
        "bench",
        "planner",
        "--quick",
        "--problems",
        "P2",
        "--horizons",
        "4",
        "--plot",
        str(tmp_path / "a.png"),
    ]
    assert main([*arguments, "--peers", "all"]) == 0
    printed = capsys.readouterr().out
    assert "left out: hpipm (no HPIPM in" in printed and "comma-deps-acados" in printed
    assert main([*arguments, "--solvers", "numpy", "hpipm"]) == 1
    capsys.readouterr()
    assert main(arguments) == 0 and "hpipm" not in capsys.readouterr().out


class Calls:
    """Counts what the solvers below say that they do."""

    def __init__(self):
        self.now, self.taken = 0, []

    def start(self):
        pass

    def stop(self):
        pass

    def mark(self):
        self.now += 7  # what a mark costs
        self.taken.append(self.now)

    def counts(self):
        return list(self.taken)

    def spend(self, instructions):
        self.now += instructions


def test_an_iteration_is_counted_without_its_preparation():
    counter = Calls()
    assert count((lambda: counter.spend(50), lambda: counter.spend(1000)), counter) == 1000


def test_the_variant_and_effort_that_were_timed_are_counted():
    counter = Calls()
    named = [
        Variant(
            name, (1, 2, 3), lambda: None, lambda effort, factor=factor: counter.spend(factor * effort), lambda: None
        )
        for name, factor in (("slow", 100), ("fast", 10))
    ]
    both = Peer((lambda: None, lambda: counter.spend(5)), tuple(named))
    found = runners(Job("P2", 4, "it", True, "fast", 3), both)
    assert {what: count(runner, counter) for what, runner in found.items()} == {"iteration": 5, "solution": 30}
    assert list(runners(Job("P2", 4, "it", False, "slow", 1), both)) == ["solution"]


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not find_compiler() or not shutil.which("objdump"),
    reason="needs an x86-64 processor, a C++ compiler and objdump",
)
@pytest.mark.parametrize(
    "march, expected", [("x86-64", "SSE2"), ("sandybridge", "AVX"), ("x86-64-v3", "AVX2"), ("x86-64-v4", "AVX-512")]
)
def test_the_instruction_set_of_a_library_is_found_out(tmp_path, march, expected):
    source = 'extern "C" void f(double* a, double* b) { for (int i = 0; i < 4096; i++) a[i] = a[i] * b[i] + b[i]; }'
    (tmp_path / "f.cpp").write_text(source)
    wide = ["-mprefer-vector-width=512"] if march == "x86-64-v4" else []
    command = [find_compiler(), "-O3", "-shared", "-fPIC", f"-march={march}", *wide, "f.cpp", "-o", "f.so"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert instruction_set.widest([str(tmp_path / "f.so")]) == (expected, "")


@pytest.mark.skipif(not find_compiler() or platform.machine() != "x86_64", reason="needs x86-64 and a C++ compiler")
def test_a_compiler_for_another_instruction_set_can_be_named_within_another():
    with ours.compiled_for("x86-64-v3"):
        outer = Path(os.environ["CXX"])
        with ours.compiled_for("x86-64"):
            text = Path(os.environ["CXX"]).read_text()
        assert Path(os.environ["CXX"]) == outer
    assert "-march=x86-64;;" in text and str(outer) not in text


def test_a_counted_process_ends_in_time_and_its_errors_are_told(tmp_path):
    begin = time.monotonic()
    (tmp_path / "sleeper.py").write_text("import time\nprint('asleep', flush=True)\ntime.sleep(600)\n")
    (tmp_path / "failing.py").write_text("raise SystemExit('no such thing')\n")
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        run_counted("sleeper", tmp_path, "perf", said.append, time_limit=5.0)
        assert said in (["asleep"], []) and time.monotonic() - begin < 300.0
        with pytest.raises(MbrlError, match="no such thing"):
            run_counted("failing", tmp_path, "perf")


def compared(monkeypatch, *solvers):
    monkeypatch.setattr(compare, "available", lambda: ("perf", ""))
    found = compare.Comparison()
    found.add("P2", 4, solvers, 20, 1e-3, lambda what: None)
    return found


def test_times_are_kept_where_counting_fails(monkeypatch):
    def fail(*given, **named):
        raise MbrlError("counting the instructions with perf failed:\nno such counter")

    monkeypatch.setattr(compare, "run_counted", fail)
    found = compared(monkeypatch, "numpy")
    found.count(lambda what: None)
    row = found.results["P2"]["4"]["numpy"]
    assert row["hot"]["p50_us"] > 0.0
    assert (row["instructions"], row["instructions_reason"]) == (None, "no such counter")


def test_what_was_counted_is_kept_with_the_reason_of_what_was_not(monkeypatch):
    def some(module, folder, tool, show, **named):
        show("P2 H=4 numpy")
        rows = {"numpy": {"iteration": 5000, "binaries": []}, "ilqr_vm": {"reason": "no compiler"}}
        (folder / "result.json").write_text(json.dumps({"P2": {"4": rows}}))

    monkeypatch.setattr(compare, "run_counted", some)
    found, shown = compared(monkeypatch, "numpy", "ilqr_vm"), []
    found.count(shown.append)
    rows = found.results["P2"]["4"]
    assert (rows["numpy"]["instructions"], rows["numpy"]["instructions_reason"]) == (5000, None)
    assert (rows["ilqr_vm"]["instructions"], rows["ilqr_vm"]["instructions_reason"]) == (None, "no compiler")
    assert shown == ["counting P2 H=4 numpy"]


def test_a_solver_that_cannot_be_built_for_counting_does_not_keep_the_others_from_it(tmp_path, monkeypatch):
    def broken(problem, quadratic):
        raise CompileError("out of time")

    monkeypatch.setitem(peers.SOLVERS, "ilqr", broken)
    monkeypatch.setattr(program, "PerfCounter", Calls)
    program.save(tmp_path, [Job("P2", 4, "ilqr", True, None, None), Job("P2", 4, "numpy", True, None, None)])
    program.main(tmp_path, "perf")
    rows = json.loads((tmp_path / "result.json").read_text())["P2"]["4"]
    assert rows["ilqr"] == {"reason": "out of time"} and "iteration" in rows["numpy"]
