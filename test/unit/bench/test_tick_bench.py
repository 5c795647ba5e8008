"""`mbrl bench tick`: that the parts of a tick are told apart, and what the command says and writes."""

import json
import sys

import numpy as np
import pytest

from mbrl_ros.bench import counters
from mbrl_ros.bench.tick import measure
from mbrl_ros.bench.tick.count import Job, count
from mbrl_ros.bench.tick.parts import Marks, Overhead, shares, summed_to
from mbrl_ros.bench.tick.repeated import Recording, RepeatedTicks, record
from mbrl_ros.cli.main import main
from mbrl_ros.config.resources import config_file
from mbrl_ros.config.settings_file import load_configuration
from support.reports import assert_reported, report_into

TICKS = 12
PARTS = {
    "cycle",
    "supervisor",
    "record",
    "dynamics",
    "posterior",
    "prior",
    "reference",
    "planner",
    "rest",
}


class Calls:
    """A counter of the Python functions that are called, a number that does not depend on the machine."""

    def __init__(self):
        self.now, self.taken = 0, []

    def start(self):
        sys.setprofile(self._count)

    def stop(self):
        sys.setprofile(None)

    def mark(self):
        self.taken.append(self.now)

    def counts(self):
        return list(self.taken)

    def _count(self, frame, what, argument):
        self.now += what == "call"


def configuration(**changes):
    return load_configuration(
        config_file("panda"), {"planner.horizon": 5, **{key.replace("__", "."): v for key, v in changes.items()}}
    )


@pytest.fixture(scope="module")
def job():
    settings = configuration()
    return Job(settings, record(settings, {}, 2 * TICKS), TICKS, TICKS)


@pytest.mark.slow
@pytest.mark.parametrize("interface", ["effort", "velocity", "position"])
def test_the_recorded_states_are_answered_with_the_recorded_commands(interface):
    settings = configuration(robot__interface=interface, features__points=1)
    recording = record(settings, {}, TICKS)
    ticks = RepeatedTicks(settings, recording)
    for k in range(TICKS):
        ticks.run(1)
        np.testing.assert_array_equal(ticks.outputs.u, recording.rows["u"][k])
    assert ticks.cycle.statistics.ticks == TICKS and not ticks.outputs.errors
    assert np.isfinite(recording.rows["frame"]).any()


def test_a_job_is_the_same_after_it_was_saved(job, tmp_path):
    job.save(tmp_path)
    again = Job.load(tmp_path)
    assert again.configuration.flat() == job.configuration.flat()
    assert (again.warm_up, again.ticks) == (TICKS, TICKS)
    np.testing.assert_array_equal(again.recording.rows["u"], job.recording.rows["u"])
    np.testing.assert_array_equal(again.recording.targets, job.recording.targets)
    assert isinstance(again.recording, Recording)


def test_the_parts_of_a_tick_sum_to_the_whole(job):
    counts = count(job, Calls())
    assert set(counts.by_part) == PARTS
    assert sum(counts.by_part.values()) == pytest.approx(counts.instructions, rel=1e-9)
    assert all(value > 0.0 for value in counts.by_part.values())
    assert abs(counts.correction) < 1e-3  # this counter's overhead is known exactly


def test_what_lies_within_a_part_is_not_counted_twice():
    entered = ["cycle", "step", "planner", None, "planner", None, None, None]
    counts = [0, 10, 30, 130, 140, 340, 360, 365]
    found = shares(entered, counts, Overhead(0.0, 0.0))
    assert found == {"cycle": 15, "step": 20 + 10 + 20, "planner": 300}
    corrected = shares(entered, counts, Overhead(inside=2.0, outside=3.0))
    assert corrected == {"cycle": 15 - 2 - 3, "step": 50 - 2 - 2 * 3, "planner": 300 - 2 * 2}
    assert summed_to(400.0, found) == {"cycle": 15, "planner": 300, "rest": 85}
    with pytest.raises(ValueError, match="8 marks were taken, 7 counted"):
        shares(entered, counts[:-1], Overhead(0.0, 0.0))


def test_a_marked_method_does_what_it_did_and_is_left_by_an_error():
    counter = Calls()
    marks = Marks(counter)
    assert marks.around("sum", lambda a, *, b: a + b)(1, b=2) == 3

    def fail():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        marks.around("fail", fail)()
    assert marks.entered == ["sum", None, "fail", None] and len(counter.counts()) == 4


def test_the_event_of_the_kernel_is_read():
    task_clock = (1, 1)  # software: any machine has it, where processes may measure themselves
    try:
        counter = counters.PerfCounter(task_clock)
    except counters.NoCounterError as error:
        pytest.skip(str(error))
    counter.mark()
    sum(range(100_000))
    counter.mark()
    first, second = counter.counts()
    counter.close()
    assert 0 <= first < second


def test_without_a_counter_there_is_a_reason(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure, "available", lambda: ("", "there is no counter"))
    file = tmp_path / "tick.json"
    assert main(["bench", "tick", "--quick", "--quiet", "--json", str(file)]) == 1
    result = json.loads(file.read_text())
    assert result["instructions"] is None and result["by_part"] == {} and result["reason"] == "there is no counter"
    assert 0.0 < result["p50_us"] <= result["p99_us"] <= result["max_us"]
    printed = capsys.readouterr().out
    assert "not counted (there is no counter)" in printed
    assert printed.splitlines()[-1].startswith("FAIL: no instructions were counted: there is no counter")


@pytest.mark.slow
def test_what_is_counted_is_printed_and_judged(tmp_path, monkeypatch, capsys):
    counted = {"instructions": 1000.0, "by_part": {"planner": 600.0, "rest": 400.0}, "correction": 0.01}
    monkeypatch.setattr(measure, "available", lambda: ("perf", ""))
    monkeypatch.setattr(measure, "counted_in_a_process", lambda job, tool: counted)
    monkeypatch.setattr(measure, "durations", lambda job: [1e-3] * job.ticks)
    file = tmp_path / "tick.json"
    arguments = [
        "--quick",
        "--quiet",
        "--interface",
        "velocity",
        "--rate",
        "100",
        "--json",
        str(file),
        *report_into(tmp_path),
    ]
    assert main(["bench", "tick", *arguments]) == 0
    result = json.loads(file.read_text())
    assert {key: result[key] for key in counted} == counted
    assert (result["interface"], result["rate"], result["counted_by"]) == ("velocity", 100.0, "perf")
    assert result["p50_us"] == pytest.approx(1000.0) and result["late_fraction"] == 0.0
    printed = capsys.readouterr().out
    assert "| planner | 0.6 | 60.0 % |" in printed and printed.splitlines()[-1] == "PASS"
    assert_reported(tmp_path, "Bench of a tick", pictures=2, of="60.0 %")
    monkeypatch.setattr(measure, "durations", lambda job: [1e-2] * job.ticks)
    assert main(["bench", "tick", "--quick", "--quiet"]) == 1
    assert "answers late (100 % of the ticks)" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("points", (2, 3))
def test_as_many_marks_are_seen_as_were_asked_for(points):
    settings = configuration(features__points=points)
    rows = record(settings, {}, 60).rows
    frames = rows["frame"][np.isfinite(rows["frame"]).all(axis=1)]
    assert len(frames) and frames.shape[1] == 1 + 3 * points
    image = frames[-1, 1 : 1 + 2 * points].reshape(points, 2)
    assert len(np.unique(image.round(3), axis=0)) == points
    repeated = RepeatedTicks(settings, record(settings, {}, 20))
    repeated.run(20)
    assert not repeated.outputs.errors


@pytest.mark.parametrize("option", [["--rate", "0.5"], ["--ticks", "0"], ["--points", "-1"], ["--config", "pandas"]])
def test_wrong_options_are_refused_before_anything_runs(option, capsys):
    assert main(["bench", "tick", *option]) == 2
    assert option[0] in capsys.readouterr().err or option[0] == "--config"
