"""`mbrl bench family`: what it writes, and how it judges."""

import json

import pytest

from mbrl_ros.bench.family import report
from mbrl_ros.bench.family.decisions import decisions
from mbrl_ros.cli.main import main
from support.needs import needs
from support.reports import assert_reported, report_into


def row(reached: int, p50: float, cause: str = "") -> dict:
    demo = {"reached": reached, "targets": 3, "rest_mm": 0.3 if reached else None, "cause": cause}
    return {"decision_ms": {"p50": p50, "p99": 2.0 * p50}, "iterations_equivalent": 10.0 * p50, "demo": demo}


def test_the_table_begins_with_what_reaches_most_and_then_with_the_fastest():
    found = {"slow": row(3, 5.0), "fast": row(3, 0.1), "lost": row(0, 0.01, "the arm was lost")}
    lines = report.table(found).splitlines()[2:]
    assert [line.split("`")[1] for line in lines] == ["fast", "slow", "lost"]
    assert lines[2].endswith("| 0 of 3 | - | the arm was lost |")


@pytest.mark.parametrize("reached, passed", [(3, True), (2, False)])
def test_the_verdict_is_that_of_the_default_planner(reached, passed):
    verdict = report.verdict({"ilqr": row(reached, 0.1, "" if passed else "target 2"), "lqr": row(0, 0.1, "lost")})
    assert verdict.passed is passed and (passed or "ilqr: target 2" in verdict.line())


@pytest.mark.slow
def test_a_decision_of_two_iterations_costs_more_than_one_iteration():
    found = decisions(("ilqr", "ddp"))
    for entry in found.values():
        assert 0.0 < entry["decision_ms"]["p50"] <= entry["decision_ms"]["p99"]
        assert entry["iterations_equivalent"] > 1.2


def test_an_unknown_planner_is_refused_and_the_nearest_one_named(capsys):
    assert main(["bench", "family", "--planners", "ilqg"]) == 2
    assert "did you mean 'ilqr'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("planner", ["ilqr"])
@needs("mujoco")
def test_the_command_writes_what_it_measured_and_ends_with_a_verdict(planner, tmp_path, capsys):
    file = tmp_path / "family.json"
    assert main(["bench", "family", "--planners", planner, "--json", str(file), "--quiet", *report_into(tmp_path)]) == 0
    found = json.loads(file.read_text())[planner]
    assert set(found) == {"decision_ms", "iterations_equivalent", "demo"}
    assert found["demo"]["reached"] == found["demo"]["targets"] == 3 and found["demo"]["rest_mm"] < 1.0
    assert capsys.readouterr().out.splitlines()[-1] == "PASS"
    assert_reported(tmp_path, "Bench of all planners", pictures=1, of="3 of 3")
