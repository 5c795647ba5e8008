"""`mbrl demo` as a user runs it: real nodes, real DDS, short scenarios."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mbrl_ros.cli.main import main
from support.domains import new_domain
from support.needs import needs, present
from support.ros import PATIENCE, Peer

if present("rclpy"):
    from std_msgs.msg import Float64

pytestmark = needs("rclpy", "mujoco", "matplotlib")


SUMMARY = {
    "seed",
    "rate_hz",
    "horizon",
    "estimator",
    "tolerance_mm",
    "targets",
    "feature_targets",
    "payload",
    "max_joint_speed_fraction",
    "limit_violations",
    "ticks",
    "message_to_command_ms",
    "prediction",
    "verdict",
    "supervisor",
    "moments",
    "versions",
}
MOST = 0.3  # [s] by which simulated time may seem ahead: how late the messages heard first may have come


def command(folder, *options) -> list[str]:
    return [sys.executable, "-m", "mbrl_ros.cli.main", "demo", "--headless", "--output", str(folder), *options]


def demo(folder, *options) -> subprocess.CompletedProcess:
    return subprocess.run(command(folder, *options), capture_output=True, text=True, timeout=600)


def last_line(text: str) -> str:
    return text.rstrip().splitlines()[-1]


def title(page: str) -> str:
    return re.search(r"<title>(.*?)</title>", page)[1]


@needs("example-robot-data")
def test_the_panda_learns_to_move_and_says_how_well(tmp_path):
    done = demo(tmp_path, "--lockstep", "--seed", "3", "--duration", "8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert last_line(done.stdout) == "PASS"
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary) == SUMMARY
    assert summary["verdict"] == {"pass": True, "why": "", "since_s": None, "try": ""}
    assert summary["supervisor"]["state"] == "ACTIVE" and summary["ticks"]["late_fraction"] == 0.0
    assert summary["versions"]["processor"] and summary["versions"]["mbrl_ros"]  # times mean nothing without them
    assert summary["seed"] == 3 and len(summary["targets"]) == 2 and summary["ticks"]["count"] == 1600
    for target in summary["targets"]:
        assert target["time_to_1cm_s"] <= 0.3
        assert target["rest_error_mm"] <= 1.5
    assert summary["payload"]["mass_kg"] == 1.5 and summary["payload"]["recover_to_1cm_s"] <= 0.5
    assert summary["limit_violations"] == 0 and summary["max_joint_speed_fraction"] <= 0.95
    assert 0.85 <= summary["prediction"]["nis_coverage_95"] <= 0.99
    assert (tmp_path / "report.html").stat().st_size > 100_000  # with its pictures inside
    for picture in ("tracking", "commands", "prediction", "ticks"):
        assert (tmp_path / f"{picture}.png").exists()
    page = (tmp_path / "report.html").read_text()
    assert "PASS" in title(page) and page.partition("<p")[2].partition("</p>")[0].endswith(">PASS")
    assert "rest error" in done.stdout and "supervisor: ACTIVE" in done.stdout and "0 missed" in done.stdout


@pytest.mark.slow
@needs("example-robot-data")
def test_equal_seeds_give_equal_runs_whether_they_are_paced_or_not(tmp_path):
    runs, settings = [], ("--duration", "8", "--set", "planner.horizon=15")
    for name, options in (("first", ("--lockstep",)), ("second", ())):
        done = demo(tmp_path / name, *options, *settings)
        assert done.returncode == 0, done.stdout + done.stderr
        runs.append(np.load(tmp_path / name / "truth.npz"))
    for column in ("q", "qd", "u"):
        np.testing.assert_array_equal(runs[0][column], runs[1][column])


@pytest.mark.slow
@pytest.mark.realtime
@needs("example-robot-data")
def test_simulated_time_never_runs_ahead_and_a_lost_arm_ends_the_run_with_its_cause(tmp_path):
    """Watched from outside, in the requested domain; an emergency stop is a loss that no controller can avoid."""
    domain = new_domain()
    with subprocess.Popen(
        command(tmp_path, "--domain", str(domain)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        peer, heard = Peer(domain), []
        try:
            peer.node.create_subscription(
                Float64, "/sim_node/progress", lambda m: heard.append((time.monotonic(), m.data)), 100
            )
            peer.until(lambda: heard and heard[-1][1] > 2.0, "two seconds of the run")
            peer.call("/mpc_node/e_stop")
            said, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            peer.close()
    wall, simulated = np.array(heard).T
    lag = wall - simulated  # may only grow
    early = lag[simulated < 1.0].min()
    assert lag[-1] >= early - MOST
    assert process.returncode == 1
    assert last_line(said).startswith("FAIL: the arm was lost (E_STOP, REQUESTED), since ") and ", try: " in last_line(
        said
    )
    assert f"DDS domain {domain}," in said and "Traceback" not in said
    summary = json.loads((tmp_path / "summary.json").read_text())
    verdict = summary["verdict"]
    assert not verdict["pass"] and 2.0 < verdict["since_s"] < 30.0 and verdict["try"]
    assert summary["ticks"]["count"] < 40.0 * 200.0  # it did not go on to the end, 57 s
    assert len(said.splitlines()) < 60
    page = (tmp_path / "report.html").read_text()
    assert "FAIL: the arm was lost" in title(page) and "<h1>The arm was lost</h1>" in page and "PASS" not in page


@pytest.mark.slow(but=2)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--duration", "3"), "needs at least 8 s"),
        (("--robot", "pandda"), "did you mean 'panda'"),
        (("--set", "planner.horizn=3"), "did you mean 'planner.horizon'"),
        (("--set", "planner.horizon"), "KEY=VALUE"),
        (("--lockstep", "--realtime"), "not allowed with"),
        (("--compare", "--realtime"), "leave out --realtime"),
        (("--domain", "233"), "0 to 232"),
    ],
)
def test_wrong_options_are_one_clear_line(tmp_path, capfd, options, message):
    try:
        code = main(["demo", "--headless", "--output", str(tmp_path), *options])
    except SystemExit as refused:  # by argparse
        code = refused.code
    assert code == 2
    said = capfd.readouterr().err
    assert message in said and "Traceback" not in said
    assert not (tmp_path / "report.html").exists()  # nothing was begun


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "report.html").write_text("of another run")
    done = demo(tmp_path)
    assert done.returncode == 2 and "is not empty" in done.stderr and done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def in_domain(domain: int, but: int) -> list[int]:
    """The processes, without the demo itself, whose environment names the domain."""
    wanted, found = f"ROS_DOMAIN_ID={domain}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(folder.name) != but and wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def default_signals() -> None:
    """For a new process: those who started the tests may ignore signals (nohup, background jobs of a shell)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.slow
@needs("example-robot-data")
@needs("/proc")
@pytest.mark.parametrize(
    ("numbers", "code", "young"),
    [
        ((signal.SIGTERM,), 143, False),
        ((signal.SIGHUP,), 129, True),
        ((signal.SIGINT,) * 4, 130, False),
        ((signal.SIGKILL,), -9, False),
        ((signal.SIGKILL,), -9, True),
    ],
    ids=["SIGTERM", "SIGHUP", "Ctrl-C four times", "SIGKILL", "SIGKILL while the nodes load"],
)
def test_no_signal_leaves_a_process_behind(tmp_path, numbers, code, young):
    domain = new_domain()
    assert str(domain) != os.environ["ROS_DOMAIN_ID"]
    process = subprocess.Popen(
        command(tmp_path, "--domain", str(domain)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=default_signals,
    )
    try:
        until(lambda: len(in_domain(domain, process.pid)) >= 2, "the nodes")
        log = tmp_path / "mpc_node.log"
        until(lambda: young or log.exists() and "building the controller" in log.read_text(), "the controller")
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.05)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == code and "Traceback" not in said
        until(lambda: not in_domain(domain, process.pid), "the end of the nodes")
    finally:
        process.kill()
        for pid in in_domain(domain, process.pid):
            os.kill(pid, signal.SIGKILL)


def until(condition, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what} never came"
        time.sleep(0.1)
