"""`mbrl evaluate` and `mbrl fit-prior`: the scores are what their definitions state, on made and real recordings."""

import dataclasses
import json

import numpy as np
import pytest

from mbrl_ros.cli import evaluate as evaluate_command
from mbrl_ros.cli import main
from mbrl_ros.data import load
from mbrl_ros.data.cleaning import cleaned
from mbrl_ros.evaluation.plots import coverage
from mbrl_ros.evaluation.scores import (
    ESTIMATORS,
    anonymous_robot,
    constant_velocity,
    cross_fitted,
    dynamics_for,
    evaluate,
    unknown_robot_prior,
)
from support import SHARED
from support.reports import assert_reported, report_into

PANDA, KINOVA = SHARED / "data" / "panda_exciting_trajectory.db3", SHARED / "data" / "kinova_gen3_quadratic.csv.gz"
NAMES = ("a", "b", "c")


def linear_recording(T=2000, n=3, noise=0.01, dt=0.01, seed=0, scale=1.0):
    """A linear arm under smooth and random commands; u in other units by `scale`. The velocity noise is known."""
    rng = np.random.default_rng(seed)
    B = 10.0 * (np.eye(n) + 0.2 * rng.normal(size=(n, n)))
    q, qd, rows = np.zeros(n), np.zeros(n), []
    for k in range(T):
        u = rng.standard_normal(n) + np.sin(np.arange(1, n + 1) * k * dt)
        rows.append((k * dt, q, qd, u * scale))
        change = dt * (B @ u - 4.0 * q - 1.0 * qd) + noise * rng.standard_normal(n)
        q, qd = q + dt * (qd + 0.5 * change), qd + change
    t, Q, QD, U = (np.array(column) for column in zip(*rows, strict=False))
    return cleaned("linear", NAMES[:n], t, Q, QD, U, u_source="made up")


def scores(recording, estimator="refit"):
    robot = anonymous_robot(recording)
    prior = unknown_robot_prior(robot, recording.period)
    return evaluate(recording, dynamics_for(recording, robot, estimator, prior)).scores()


@pytest.mark.slow(but=5)
@pytest.mark.parametrize("rate", [30.0, 200.0, 1000.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_prediction_comes_near_the_noise_at_any_rate_and_in_any_unit(rate, scale):
    dt = 1.0 / rate
    signal = 10.0 * np.sqrt(1.5) * dt  # of B u, roughly
    recording = linear_recording(dt=dt, T=max(1500, int(3 * rate)), noise=0.2 * signal, scale=scale)
    result = scores(recording)
    change = np.diff(recording.qd, axis=0)
    floor = 3 * (0.2 * signal) ** 2 / (change**2).sum(axis=1).mean()
    # ten coefficients per joint from an effective window of 67 ticks cost 10/67/2 = 8 % and more; a third is allowed
    assert 0.9 * floor < result.nmse_1_qd < 1.35 * floor
    assert 0.88 < result.coverage_95 < 0.99


def test_likelihood_and_coverage_are_those_of_the_noise():
    noise = 0.01
    result = scores(linear_recording(T=4000, noise=noise))
    # -log N at the true covariance: n/2 (log 2 pi e sigma^2)
    best = 1.5 * np.log(2 * np.pi * np.e * noise**2)
    assert best < result.nll < best + 0.5
    assert 0.92 < result.coverage_95 < 0.98


def test_without_u_the_prediction_is_worse():
    recording = linear_recording()
    assert scores(recording).nmse_1_qd < 0.3 * scores(recording.without_u()).nmse_1_qd
    assert scores(recording, "refit").nmse_10_q < 0.5 * constant_velocity(recording)


def test_learned_priors_are_scored_on_data_they_have_not_seen():
    recording = linear_recording(T=1500)
    robot = anonymous_robot(recording)
    trace = cross_fitted(recording, robot, "global_linear")("output_error")
    assert len(trace.stamps) == sum(1 for _ in recording.transitions())
    assert (np.diff(trace.stamps) > 0.0).all()
    assert trace.scores().nmse_1_qd < 0.2  # the plane is the truth here


def test_coverage_curve_is_the_diagonal_for_a_right_model():
    recording = linear_recording(T=4000)
    robot = anonymous_robot(recording)
    trace = evaluate(recording, dynamics_for(recording, robot, "refit", unknown_robot_prior(robot, recording.period)))
    levels = np.array([0.25, 0.5, 0.75, 0.95])
    np.testing.assert_allclose(coverage(trace.scored(), levels), levels, atol=0.06)


def write_csv(recording, path):
    n = len(recording.joints)
    header = ["time", *(f"q{i}" for i in range(n)), *(f"qd{i}" for i in range(n)), *(f"u{i}" for i in range(n))]
    table = np.column_stack([recording.stamps, recording.q, recording.qd, recording.u])
    np.savetxt(path, table, delimiter=",", header=",".join(header), comments="")
    return path


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_json_and_plots(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = write_csv(linear_recording(T=600), tmp_path / "run.csv")
    code = main.main(["evaluate", str(path), "--json", str(tmp_path / "out.json"), "--plots", str(tmp_path), "--quiet"])
    assert code == 0
    result = json.loads((tmp_path / "out.json").read_text())["run.csv"]
    assert set(result) == {*ESTIMATORS, *(f"{name}_without_u" for name in ESTIMATORS)}
    details = {"horizons", "input_gain", "changes", "kurtosis", "autocorrelation"}  # of the first of each
    for estimator in ESTIMATORS:
        assert set(result[estimator]) == {"integrator", "global_linear", "gmm", "ensemble", "distilled"}
        for prior, values in result[estimator].items():
            more = details if (estimator, prior) == ("refit", "integrator") else set()
            assert set(values) == {"nmse_1_qd", "nmse_10_q", "nll", "coverage_95"} | more
    assert list(result["refit"]["integrator"]["horizons"]) == ["1", "10", "30"]
    assert list(result["refit"]["integrator"]["input_gain"]) == ["joint0", "joint1", "joint2"]
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "PASS"
    assert "no change" in printed and "constant velocity" in printed and "delay of u" in printed
    assert "95 % interval holds" in printed and "sign certain" in printed and "no change in the one-step" in printed
    names = {"run_prediction.png", "run_calibration.png", "run_details.png"}
    assert {file.name for file in tmp_path.glob("*.png")} == names


def test_the_command_takes_the_time_of_a_change_and_refuses_one_outside(tmp_path, capsys):
    path = str(write_csv(linear_recording(T=600), tmp_path / "run.csv"))
    options = ["--priors", "integrator", "--estimators", "output_error", "--quiet"]
    assert main.main(["evaluate", path, *options, "--change-at", "3", *report_into(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert_reported(tmp_path, "Evaluation of recordings", pictures=3, of="output_error")
    assert "_prediction.png" not in printed and not list(tmp_path.glob("*.png"))  # the pictures are in the page alone
    assert "3.00 s (given)" in printed and "as good as before after" in printed and "input gain" not in printed
    assert main.main(["evaluate", path, *options, "--change-at", "300"]) == 2
    assert "the recording is predicted from 0.00 s to 5.98 s" in capsys.readouterr().err
    assert main.main(["evaluate", path, "--priors", "global_linear", "--quiet"]) == 0
    assert "95 % interval holds" not in capsys.readouterr().out  # a model of each half: no one estimator to show


@pytest.mark.parametrize(
    ("change", "complaint"),
    (
        ("prior.rigid_body.armatur=0.2", "did you mean 'prior.rigid_body.armature'"),
        ("prior.rigid_body.armature=0.2", "would change nothing without --robot"),
        ("robot.interface=effort", "would change nothing without --robot"),
        ("planner.horizon=20", "would change nothing; in use: robot"),
    ),
)
@pytest.mark.parametrize("command", ("evaluate", "fit-prior"))
def test_a_setting_that_changes_nothing_is_refused(command, change, complaint, tmp_path, capsys):
    path = str(write_csv(linear_recording(T=300), tmp_path / "run.csv"))
    output = ["-o", str(tmp_path / "prior.npz")] if command == "fit-prior" else []
    if command == "fit-prior" and change.startswith("prior.rigid_body.armature"):
        complaint = "would change nothing; in use: robot"
    assert main.main([command, path, *output, "--quiet", "--set", change]) == 2
    assert complaint in capsys.readouterr().err


def test_a_file_behind_the_settings_is_asked_to_stand_before_them(tmp_path, capsys):
    path = str(write_csv(linear_recording(T=300), tmp_path / "run.csv"))
    assert main.main(["replay", "bag", "--set", "control.seed=7", path]) == 2
    assert "write files before it" in capsys.readouterr().err
    assert main.main(["replay", "bag", "--config", ""]) == 2
    assert "--config is empty" in capsys.readouterr().err


def test_scores_of_an_arm_that_stands_still_are_said_to_be_invalid(tmp_path, capsys):
    moving = linear_recording(T=300)
    still = dataclasses.replace(moving, q=1e-4 * moving.q / np.ptp(moving.q), qd=1e-4 * moving.qd)
    assert (
        main.main(["evaluate", str(write_csv(still, tmp_path / "still.csv")), "--priors", "integrator", "--quiet"]) == 1
    )
    assert capsys.readouterr().out.splitlines()[-1].startswith("FAIL: still.csv is without motion")


def test_unreadable_files_do_not_keep_the_others_from_being_evaluated(tmp_path, capsys):
    good = write_csv(linear_recording(T=300), tmp_path / "good.csv")
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"")
    options = ["--priors", "integrator", "--json", str(tmp_path / "out.json")]
    assert main.main(["evaluate", str(bad), str(good), *options]) == 1
    printed = capsys.readouterr().out
    assert "bad.csv is empty" in printed and printed.splitlines()[-1].startswith(
        "FAIL: bad.csv could not be evaluated, try: "
    )
    assert list(json.loads((tmp_path / "out.json").read_text())) == ["good.csv"]
    assert main.main(["evaluate", str(bad)]) == 2
    assert main.main(["evaluate", str(good), "--priors", "rigid_boddy"]) == 2
    assert "did you mean 'rigid_body'" in capsys.readouterr().err


def test_a_recording_without_commands_is_evaluated_without(tmp_path):
    recording = linear_recording(T=300)
    assert {
        estimator
        for estimator, _ in evaluate_command.traces_of(_arguments(), recording.without_u(), anonymous_robot(recording))
    } == set(ESTIMATORS)


def _arguments():
    import argparse

    parser = argparse.ArgumentParser()
    evaluate_command.add_arguments(parser)
    return parser.parse_args(["x", "--priors", "integrator"])


def test_fit_prior_writes_a_prior_that_evaluate_reads_and_other_robots_refuse(tmp_path, capsys):
    path = write_csv(linear_recording(T=400), tmp_path / "run.csv")
    prior, data, report = tmp_path / "prior.npz", tmp_path / "data.npz", tmp_path / "report.json"
    base = [
        "fit-prior",
        "-o",
        str(prior),
        "--kind",
        "global_linear",
        "--dataset",
        str(data),
        "--report",
        str(report),
        "--quiet",
    ]
    assert main.main([*base, str(path)]) == 0
    assert main.main([*base, str(write_csv(linear_recording(T=250, seed=0), tmp_path / "second.csv"))]) == 0
    assert json.loads(report.read_text())["transitions"] == 399 + 249  # the second fit stands on both runs
    printed = capsys.readouterr().out
    assert "chosen" in printed and "run.csv: commands act 0 ticks later (told by it)" in printed
    assert main.main(base) == 0  # the data set alone
    again = json.loads(report.read_text())
    assert again["transitions"] == 399 + 249 and again["delays"] == {} and again["verdict"]["pass"]
    assert main.main(["fit-prior", "-o", str(prior), "--dataset", str(tmp_path / "nothing.npz")]) == 2
    assert "nothing to fit to" in capsys.readouterr().err
    assert main.main(["evaluate", str(path), "--priors", str(prior), "--quiet"]) == 0
    other = write_csv(linear_recording(T=400, n=2), tmp_path / "other.csv")
    assert main.main(["evaluate", str(other), "--priors", str(prior), "--quiet"]) == 2
    assert "belongs to another robot" in capsys.readouterr().err
    assert main.main(["fit-prior", str(path), "-o", str(tmp_path / "nowhere" / "p.npz")]) == 2


@pytest.mark.skipif(not PANDA.exists(), reason=f"the recording {PANDA.name} is not here")
def test_the_real_panda_is_predicted():
    pytest.importorskip("rosbags")
    recording = load(PANDA).resampled()
    assert recording.counts["repeated messages dropped"] == 14
    result = scores(recording)
    assert result.nmse_1_qd <= 0.40 and result.nmse_10_q < 0.5 * constant_velocity(recording)
    for estimator in ESTIMATORS:
        assert 0.85 <= scores(recording, estimator).coverage_95 <= 0.99


@pytest.mark.skipif(not KINOVA.exists(), reason=f"the recording {KINOVA.name} is not here")
def test_the_real_kinova_is_predicted_from_motor_currents():
    recording = load(KINOVA).resampled()
    assert recording.u_source == "columns Cur1 to Cur7" and recording.period == pytest.approx(0.005, rel=1e-3)
    result = scores(recording)
    assert result.nmse_1_qd <= 0.45 and result.nmse_1_qd < 0.7 * scores(recording.without_u()).nmse_1_qd
    for estimator in ESTIMATORS:
        assert 0.85 <= scores(recording, estimator).coverage_95 <= 0.99
