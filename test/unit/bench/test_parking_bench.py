"""`mbrl bench parking`: what it prints and writes, and a pose that is parked at."""

import json

import pytest

from mbrl_ros.cli.main import main
from support.reports import assert_reported, report_into


def test_it_prints_both_grids_and_writes_the_plan(tmp_path, capsys):
    file = tmp_path / "parking.json"
    assert (
        main(
            [
                "bench",
                "parking",
                "--end",
                "1",
                "1.5",
                "0",
                "--intervals",
                "30",
                "--json",
                str(file),
                *report_into(tmp_path),
            ]
        )
        == 0
    )
    found = json.loads(file.read_text())
    assert found["fine"]["intervals"] == 30 and found["coarse"]["intervals"] == 10
    assert found["fine"]["outcome"] == "solved" and found["fine"]["defect"] < 0.2 * found["coarse"]["defect"]
    assert found["X"][-1] == pytest.approx([1.0, 1.5, 0.0, 0.0, 0.0], abs=1e-6)
    assert found["t"][-1] == pytest.approx(found["fine"]["duration_s"])
    said = capsys.readouterr().out
    assert "| fine | 30 | solved" in said and said.endswith("PASS\n")
    assert_reported(tmp_path, "Parking by collocation", pictures=1, of='<td class="number short">30</td>')


def test_a_pose_that_cannot_be_reached_in_time_fails(capsys):
    """A minute at 1.5 m/s is 90 m."""
    assert main(["bench", "parking", "--end", "200", "0", "0", "--intervals", "6"]) == 1
    assert "FAIL: the solver ended with" in capsys.readouterr().out
