"""Verdicts from numbers made up for them, progress on made-up streams, and folders of runs."""

import copy
import io
import itertools
import threading

import numpy as np
import pytest

from mbrl_ros.console import verdict
from mbrl_ros.console.progress import Progress
from mbrl_ros.console.verdict import PASS, Verdict
from mbrl_ros.demo import folder, metrics
from mbrl_ros.demo import verdict as demo_verdict
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.safety.state_machine import Reason, State
from mbrl_ros.scenarios.scenario import Scenario, Slot
from support.robots import planar_robot

DT, DURATION = 0.01, 4.0
RUN = {
    "targets": [
        {"time_to_1cm_s": -0.05, "rest_error_mm": 0.3, "start_s": 1.0},
        {"time_to_1cm_s": 0.1, "rest_error_mm": 0.2, "start_s": 4.5},
    ],
    "feature_targets": [{"final_error_fraction": 0.001, "start_s": 10.0}],
    "payload": {"mass_kg": 1.5, "bump_mm": 4.0, "recover_to_1cm_s": 0.0, "rest_error_mm": 0.2, "start_s": 3.0},
    "max_joint_speed_fraction": 0.95,
    "limit_violations": 0,
    "ticks": {"count": 800, "missed": 0, "late_fraction": 0.0},
    "supervisor": {"state": "ACTIVE", "cause": "none", "since_s": 0.0, "lost_s": None},
    "moments": {"fastest_s": 2.0, "outside_s": None},
}
LOST = {"state": "FAULT", "cause": "OVERSPEED", "since_s": 0.42, "lost_s": 0.42}


def run(**changes) -> dict:
    return {**copy.deepcopy(RUN), **changes}


def test_a_verdict_is_one_line_a_code_and_json():
    assert (PASS.line(), PASS.code) == ("PASS", 0)
    failed = Verdict(False, "the arm was lost", 0.42, "another arm")
    assert (failed.line(), failed.code) == ("FAIL: the arm was lost, since 0.42 s, try: another arm", 1)
    assert failed.to_json() == {"pass": False, "why": "the arm was lost", "since_s": 0.42, "try": "another arm"}
    assert Verdict.of(failed.to_json()) == failed
    assert verdict.first([PASS, failed, failed]).why == "the arm was lost (and 1 more)"
    assert verdict.first([PASS, PASS]) is PASS


@pytest.mark.parametrize(
    "changes, why, since",
    [
        ({"supervisor": LOST}, "the arm was lost (FAULT, OVERSPEED)", 0.42),
        (
            {"supervisor": {**LOST, "state": "E_STOP", "cause": "REQUESTED"}},
            "the arm was lost (E_STOP, REQUESTED)",
            0.42,
        ),
        (
            {"supervisor": LOST, "ticks": {"late_fraction": 0.4}},
            "this machine answers late (40 % of the ticks); the arm was lost",
            0.42,
        ),
        (
            {"limit_violations": 2, "moments": {"outside_s": 1.5, "fastest_s": 0.0}},
            "2 commands outside their limits",
            1.5,
        ),
        ({"max_joint_speed_fraction": 0.951}, "a joint reached 95.1 % of its velocity limit", 2.0),
        (
            {"targets": [RUN["targets"][0], {**RUN["targets"][1], "time_to_1cm_s": None}]},
            "target 2 of 2 not within 1 cm",
            4.5,
        ),
        ({"payload": {**RUN["payload"], "recover_to_1cm_s": None}}, "not back within 1 cm after 1.5 kg", 3.0),
        (
            {"feature_targets": [{"final_error_fraction": 0.021, "start_s": 10.0}]},
            "image target 1 of 1 not within 2 %",
            10.0,
        ),
        ({"feature_targets": [{"final_error_fraction": None, "start_s": 10.0}]}, "image target 1 of 1", 10.0),
    ],
)
def test_the_demo_fails_for_the_gravest_reason_with_its_moment(changes, why, since):
    assert demo_verdict.of_run(run()) is PASS
    found = demo_verdict.of_run(run(**changes))
    assert not found.passed and found.why.startswith(why) and found.since_s == since and found.remedy


def test_a_late_machine_alone_does_not_fail_a_run_that_did_its_job():
    assert demo_verdict.of_run(run(ticks={"late_fraction": 0.4})).passed


def test_a_comparison_is_judged_by_the_own_row():
    lost = run(supervisor=LOST)
    assert demo_verdict.of_comparison({"refit": run(), "frozen": lost}).passed
    found = demo_verdict.of_comparison({"refit": lost, "frozen": run()})
    assert found.why.startswith("refit: the arm was lost") and found.since_s == 0.42
    assert not demo_verdict.of_comparison({"frozen": run()}).passed


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"success_1cm": 0.94}, "only 94 % of the unseen targets"),
        ({"payload_success_2cm": 0.5}, "only 50 % of the targets with 1.5 kg"),
        ({"fallback_rate": float("nan")}, "only nan % of the events"),
        ({"loaded": {"outside_limits": 3}}, "3 ticks outside limits with 1.5"),
        ({"unloaded": {"max_speed_fraction": 1.2}}, "a joint reached 120 %"),
        ({"unloaded": {"stops": {"OVERSPEED": 1}}}, "the supervisor"),
    ],
)
def test_a_policy_is_judged_by_shares_and_limits(changes, why):
    exam = {"payload_kg": 1.5, "outside_limits": 0, "max_speed_fraction": 0.5, "stops": {}}
    good = {"success_1cm": 0.97, "payload_success_2cm": 0.98, "fallback_rate": 1.0, "unloaded": exam, "loaded": exam}
    assert demo_verdict.of_distillation({"distill": good}) is PASS
    bad = {**good, **{key: {**exam, **value} if isinstance(value, dict) else value for key, value in changes.items()}}
    assert demo_verdict.of_distillation({"distill": bad}).why.startswith(why)


def test_replays_recordings_and_benches_say_whether_they_are_valid():
    summary = {"controller_errors": 0, "difference": {"compared": 10, "identical": 9, "rms": 0.01, "max": 0.02}}
    assert verdict.of_replay(summary, None, repeats=False, tolerance=1e-3).passed
    assert verdict.of_replay(summary, None, repeats=True, tolerance=0.1).passed
    assert "1 of 10 differ, by up to 2 %" in verdict.of_replay(summary, None, repeats=True, tolerance=1e-3).why
    assert verdict.of_replay(summary, (1.5, "OVERSPEED"), repeats=False, tolerance=1e-3).since_s == 1.5
    assert verdict.of_differences([], "a.npz").passed and not verdict.of_differences(["command"], "a.npz").passed
    assert verdict.of_recording("run", 0.5, True, 0.0).passed
    assert "without motion" in verdict.of_recording("run", 1e-4, True, 0.0).why
    assert "gaps" in verdict.of_recording("run", 0.5, True, 0.6).why
    assert "not finite" in verdict.of_recording("run", 0.5, False, 0.0).why
    missing = verdict.of_solvers({"osqp": "No module named 'osqp'"})
    assert missing.why == "did not run: osqp (No module named 'osqp')" and "mbrl_ros[bench]" in missing.remedy
    assert "g++" in verdict.of_solvers({"ilqr": "no compiler"}).remedy and verdict.of_solvers({}).passed
    assert verdict.of_node_bench({"200": {"missed_fraction": 0.05}}).passed
    assert "answers late (6 % of the ticks at 200 Hz)" in verdict.of_node_bench({"200": {"missed_fraction": 0.06}}).why
    assert "no state was answered" in verdict.of_node_bench({"200": {"missed_fraction": 1.0}}).why
    assert "acted in only 10 %" in verdict.of_node_bench({"200": {"missed_fraction": 0.0, "acting_fraction": 0.1}}).why
    tick = {"instructions": 1e6, "reason": None, "late_fraction": 0.05}
    assert verdict.of_tick_bench(tick).passed
    assert "answers late (6 % of the ticks)" in verdict.of_tick_bench({**tick, "late_fraction": 0.06}).why
    uncounted = verdict.of_tick_bench({**tick, "instructions": None, "reason": "no perf"})
    assert uncounted.why == "no instructions were counted: no perf" and uncounted.code == 1
    counts = {"bad_messages": 8, "kills": 2, "unrecovered": 0}
    assert verdict.of_fault_bench(counts, ("unrecovered",), (8, 2)).passed
    assert verdict.of_fault_bench({**counts, "unrecovered": 1}, ("unrecovered",), (8, 2)).why == "1 unrecovered"
    assert "ended early" in verdict.of_fault_bench(counts, ("unrecovered",), (8, 4)).why
    disturbed = verdict.of_fault_bench(counts, ("unrecovered",), (8, 2), ["0 of 3 mpc-kills with effort"])
    assert disturbed.line().startswith("FAIL: only 0 of 3 mpc-kills with effort could be judged")


# --- numbers of a run that ended early --------------------------------------------------------------------------------


def recorded(seconds: float, states) -> tuple:
    """(scenario, robot, truth, control) of a run of that many seconds; states: (T,) of the supervisor."""
    robot, T = planar_robot(2), round(seconds / DT)
    target = np.array([1.0, 0.0, 0.0])
    scenario = Scenario(0, DURATION, (Slot("point", 0.5, 2.0, target), Slot("point", 2.0, DURATION, target)), 1.0, 3.0)
    stamp, tip = DT * np.arange(T), np.tile(target, (T, 1))
    tip[states == State.FAULT, 2] = -0.1
    zero, two = np.zeros(T), np.zeros((T, 2))
    truth = {"stamp": stamp, "tip": tip, "qd": two, "features": np.zeros((T, 0)), "held": np.arange(T) // 4}
    control = {
        "stamp": stamp,
        "u": two,
        "qd": two,
        "innovation": two,
        "reference_end": zero,
        "missed": zero,
        "nis": zero,
        "nis_bound": zero + 1,
        "compute_ms": zero,
        "period_us": zero,
        "latency_ms": zero,
        "state": states.astype(float),
        "late": (np.arange(T) % 10 == 0) * 2.0,
        "cause": np.where(states == State.FAULT, Reason.OVERSPEED, 0).astype(float),
    }
    return scenario, robot, truth, control


def summary_of(*run) -> dict:
    return metrics.summarise(*run, rate_hz=1.0 / DT, horizon=10, estimator="refit")


def test_what_a_lost_run_did_not_come_to_is_none_and_the_loss_has_its_moment():
    T = round(2.5 / DT)
    states = np.where(np.arange(T) < 220, State.ACTIVE, State.FAULT)
    summary = summary_of(*recorded(2.5, states))
    assert [t["time_to_1cm_s"] is None for t in summary["targets"]] == [False, True]
    assert summary["targets"][1]["rest_error_mm"] is None and summary["payload"]["recover_to_1cm_s"] is None
    found = summary["supervisor"]
    assert (found["state"], found["cause"]) == ("FAULT", "OVERSPEED")
    assert found["lost_s"] == pytest.approx(2.2) and found["since_s"] == pytest.approx(2.2)
    assert found["tip_moved_mm"] == pytest.approx(0.0)  # it stays where it was when it was lost
    assert summary["ticks"]["late"] == 25 and summary["ticks"]["late_fraction"] == pytest.approx(62 / 250)
    assert (
        demo_verdict.of_run(summary)
        .line()
        .startswith("FAIL: this machine answers late (25 % of the ticks); the arm was lost")
    )


def test_a_whole_run_is_judged_as_a_whole():
    states = np.full(round(DURATION / DT), State.ACTIVE)
    states[:30] = State.RAMP_IN
    summary = summary_of(*recorded(DURATION, states))
    assert summary["supervisor"] == {
        "state": "ACTIVE",
        "cause": "none",
        "since_s": pytest.approx(0.3),
        "lost_s": None,
        "tip_moved_mm": None,
    }
    assert demo_verdict.of_run(summary) is PASS


def test_a_log_ends_with_the_answer_to_the_last_state():
    _, _, truth, control = recorded(1.0, np.full(100, State.ACTIVE))
    repeated = {name: np.concatenate([array, array[-1:], array[-1:]]) for name, array in control.items()}
    assert len(metrics.answered(truth, repeated)["stamp"]) == 100
    assert len(metrics.until(0.5, truth)["tip"]) == 51


# --- progress and folders -------------------------------------------------------------------------------------------


def test_progress_that_is_not_on_a_terminal_is_a_line_now_and_then():
    clock, stream = itertools.count(), io.StringIO()  # a second passes with every look
    with Progress("demo", 100.0, stream=stream, every=50.0, clock=lambda: next(clock)) as shown:
        for k in range(100):
            shown.show("moving", float(k))
        shown.note("a line of its own")
    lines = stream.getvalue().splitlines()
    assert 2 <= len(lines) < 12 and "a line of its own" in lines and not any("\r" in line for line in lines)
    assert any(line.startswith("demo: moving, ") and "/100 s" in line for line in lines)


def test_progress_repeats_itself_while_nothing_new_is_said():
    class Stream(io.StringIO):
        def write(self, text):
            super().write(text)
            return written.release()

    written, stream = threading.Semaphore(0), Stream()
    with Progress("demo", stream=stream, every=0.01) as shown:
        shown.show("compiling the planner")
        assert all(written.acquire(timeout=60.0) for _ in range(4))
    assert stream.getvalue().count("demo: compiling the planner, ") >= 2


def test_nobody_who_reads_does_not_end_the_work():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    with Progress("demo", stream=Closed()) as shown:
        shown.show("moving", 1.0)
        shown.note("more")


def test_every_run_has_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = folder.made(None, 3), folder.made(None, 3)
    assert first != second and first.is_dir() and first.name.split("-")[2] == "seed3"
    assert (folder.RUNS_FOLDER / folder.LATEST_LINK).resolve() == second.resolve()
    (first / "report.html").write_text("old")
    with pytest.raises(ConfigurationError, match="is not empty"):
        folder.made(first, 3)
    with pytest.raises(ConfigurationError, match="is a file"):
        folder.checked(first / "report.html")
    assert folder.made(second, 3) == second and folder.made(tmp_path / "a" / "new", 3).is_dir()


# --- policies, priors, check-ups --------------------------------------------------------------------------------------


def policy_evaluation(**changes):
    good = {"payload_kg": 0.0, "success_1cm": 1.0, "success_2cm": 1.0, "outside_limits": 0, "max_speed_fraction": 0.6}
    return {**good, "stops": {}, **changes}


@pytest.mark.parametrize(
    "changes, why",
    (
        ({}, ""),
        ({"success_1cm": 0.9}, "only 90 % of the targets within 1 cm"),
        ({"success_1cm": 0.5, "payload_kg": 1.5}, ""),
        ({"success_2cm": float("nan"), "payload_kg": 1.5}, "within 2 cm"),
        ({"outside_limits": 3}, "3 ticks outside limits"),
        ({"max_speed_fraction": 0.97}, "97 % of its velocity limit"),
        ({"stops": {"OVERSPEED": 1}}, "stopped the arm: 1 OVERSPEED"),
    ),
)
def test_a_policy_is_judged_as_in_the_distill_scenario(changes, why):
    found = demo_verdict.of_policy(policy_evaluation(**changes))
    assert found.passed is (not why) and why in found.line() and found.code == int(bool(why))


@pytest.mark.parametrize("nmse, passed", ((0.3, True), (1.0, False), (float("nan"), False)))
def test_a_prior_that_predicts_no_better_than_no_change_fails(nmse, passed):
    assert verdict.of_prior(nmse, [], 0.1, 0.2, []).passed is passed


def test_a_check_up_fails_with_its_first_error_and_the_number_of_others():
    assert verdict.of_checkup([]) is verdict.PASS
    assert verdict.of_checkup(["no stamps", "no names"]).line().startswith("FAIL: no stamps (and 1 more), try: ")
