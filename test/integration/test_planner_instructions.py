"""`mbrl bench planner` counts real instructions, in a process of its own."""

import json

import pytest

from mbrl_ros.bench.counted_process import RESULT, run_counted
from mbrl_ros.bench.counters import available
from mbrl_ros.bench.planner.count import Job, save


@pytest.mark.slow
def test_instructions_of_an_iteration_and_of_a_solution_are_counted(tmp_path):
    tool, reason = available()
    if not tool:
        pytest.skip(reason)
    jobs = [Job("P2", 8, solver, True, "clamping: step", 4) for solver in ("ilqr", "ilqr_x86_64")]
    save(tmp_path, [*jobs, Job("P2", 8, "ilqr_vm", True, None, None)])
    said = []
    run_counted("mbrl_ros.bench.planner.count", tmp_path, tool, said.append)
    assert said[-1] == "P2 H=8 ilqr_vm"
    rows = json.loads((tmp_path / RESULT).read_text())["P2"]["8"]
    for solver in ("ilqr", "ilqr_x86_64"):
        assert 5e3 < rows[solver]["iteration"] < rows[solver]["solution"] < 1e6
    assert rows["ilqr"]["iteration"] < rows["ilqr_vm"]["iteration"] and "solution" not in rows["ilqr_vm"]
    assert rows["ilqr"]["binaries"] != rows["ilqr_x86_64"]["binaries"]
