"""Measure how fast mpc_node answers a state, over real DDS and between two processes.

    latency = (publishing of the first command computed from a state) - (publishing of that state)

both by the system clock of one machine: the publisher's own source timestamp of the command, and the time read right
before the state is handed to DDS. The command's stamp of the state it answers (layout.dim[0].label) joins the two.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...config.sections.nodes import NodeSettings
from ...demo.dds_domain import free_domain
from ...nodes import realtime
from .child import Child
from .robot import ROBOT, RobotSide, StateMaker

BENCH_WARM_UP = 2.0  # [s] that are not measured
TARGET_POINT = (0.45, 0.1, 0.5)  # [m], a target for a policy
ACT = 2.0  # controllers.policy_selection.Mode.ACT as it is published
EFFORT_ROBOT = {**ROBOT, "robot.interface": "effort"}
SPIN_PERIOD = 2e-4  # [s] before a deadline in which the robot does not sleep


def measure(
    rate: float,
    seconds: float,
    *,
    priority: int = 0,
    settings: dict[str, Any] | None = None,
    policy: Path | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> dict[str, Any]:
    """Measure one rate.

    Parameters
    ----------
    rate
        Control rate [Hz].
    seconds
        Duration.
    priority
        SCHED_FIFO priority of the control thread and of the robot's side; 0: ordinary scheduling.
    settings
        Further parameters of mpc_node.
    policy
        File of a policy that acts on a point target, with the planner beside it; None: the planner acts.
    progress
        Is called now and then with the seconds so far.

    Returns
    -------
    dict
        message_to_command_ms and period_us {p50, p99, max}, missed_fraction, cpu_fraction, rss_mb_start, rss_mb_end;
        with a policy acting_fraction, the share of the ticks in which it acted.
    """
    robot = RobotSide(domain := free_domain())
    sys.setswitchinterval(realtime.SWITCH_INTERVAL)
    if priority:  # if the robot's side is late itself, its lateness would count as the controller's
        realtime.settle_thread(NodeSettings(priority=priority), lambda text: None)
    child = Child(
        "mpc_node",
        domain,
        {
            **EFFORT_ROBOT,
            "control.rate": rate,
            "control.stamp_clock": "ros",
            "priority": priority,
            **(_acting(policy) if policy else {}),
            **(settings or {}),
        },
    )
    try:
        robot.wait_for_reader(child)
        if not policy:
            return _run(robot, child, rate, seconds, progress)
        send, modes = robot.target_sender(), robot.policy_modes()
        robot.node.create_timer(0.5, lambda: send(TARGET_POINT))
        result = _run(robot, child, rate, seconds, progress)
        during = modes[-round(seconds * rate) :]
        return {**result, "acting_fraction": during.count(ACT) / max(1, len(during))}
    finally:
        child.end(signal.SIGTERM)
        robot.close()


def _acting(policy: Path) -> dict[str, Any]:
    """Return parameters with which `policy` acts soon and keeps acting; the planner runs at 200 Hz."""
    return {
        "control.controller": "policy",
        "distillation.file": str(policy),
        "distillation.promote": "rule",
        "distillation.promote_after": 0.0,
        "distillation.promote_disagreement": 100.0,
        "distillation.fall_back_disagreement": 100.0,
        "distillation.teacher_rate": 200.0,
        "robot.tip_offset": [0.0, 0.0, 0.1034],
    }


def _run(
    robot: RobotSide, child: Child, rate: float, seconds: float, progress: Callable[[float], None]
) -> dict[str, Any]:
    states, period = StateMaker(rate, robot.robot, 0.0), 1.0 / rate
    sent: dict[int, int] = {}
    measuring_from = None  # time [s], processor time [s] and memory [MB] at the end of the warm-up
    begin = time.perf_counter()
    for k in range(round((BENCH_WARM_UP + seconds) * rate)):
        _sleep_until(begin + k * period)
        if measuring_from is None and k * period >= BENCH_WARM_UP:
            measuring_from = (time.perf_counter(), processor_time(child.process.pid), resident(child))
            robot.keep = True
        stamp = time.time()
        message = states.message(stamp)
        now = time.time_ns()
        robot.states.publish(message)
        if measuring_from is not None:
            sent[round(stamp * 1e6)] = now
        states.advance(robot.newest)
        if k % max(1, round(rate / 2)) == 0:
            progress(k * period)
    time.sleep(0.2)  # for the last commands
    start, used_before, memory_before = measuring_from or (begin, 0.0, 0.0)
    elapsed, used = time.perf_counter() - start, processor_time(child.process.pid) - used_before
    published: dict[int, int] = {}
    for answered, at in robot.sent_at:
        published.setdefault(round(answered * 1e6), at)  # the first command computed from a state
    latency = np.array([1e-6 * (published[key] - at) for key, at in sent.items() if key in published])
    gaps = 1e-3 * np.diff(sorted(published.values()))
    return {
        "message_to_command_ms": _quantiles(latency),
        "period_us": _quantiles(gaps),
        "missed_fraction": 1.0 - len(latency) / len(sent),
        "cpu_fraction": used / elapsed,
        "rss_mb_start": memory_before,
        "rss_mb_end": resident(child),
    }


LATENCY_MEANINGS = {
    "state to command": "from the publication of a joint state to the arrival of its command: median, 99th percentile, "
    "largest [ms]",
    "period": "between two commands, likewise [us]",
    "missed": "share of the states that no command answered",
    "CPU": "processor time of the node over real time; 100 %: one core",
    "memory": "resident memory of the node, before and after [MB]",
}


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Format {rate: result} as Markdown, one line per rate."""
    lines = [
        "| rate [Hz] | state to command p50 / p99 / max [ms] | period p50 / p99 / max [us] | missed | CPU | "
        "memory [MB] |",
        "|---|---|---|---|---|---|",
    ]
    for rate, result in results.items():
        latency, period = _joined(result["message_to_command_ms"], 2), _joined(result["period_us"], 0)
        lines.append(
            f"| {rate} | {latency} | {period} | {100 * result['missed_fraction']:.3f} % | "
            f"{100 * result['cpu_fraction']:.0f} % | {result['rss_mb_start']:.0f} to {result['rss_mb_end']:.0f} |"
        )
    lines += [
        f"the policy acted in {100 * result['acting_fraction']:.1f} % of the ticks at {rate} Hz"
        for rate, result in results.items()
        if "acting_fraction" in result
    ]
    return "\n".join(lines)


def _joined(quantiles: Mapping[str, float], digits: int) -> str:
    return " / ".join(f"{quantiles[name]:.{digits}f}" for name in ("p50", "p99", "max"))


def _quantiles(values: np.ndarray) -> dict[str, float]:
    if not values.size:
        return dict.fromkeys(("p50", "p99", "max"), float("nan"))
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": float(p50), "p99": float(p99), "max": float(values.max())}


def _sleep_until(deadline: float) -> None:
    left = deadline - time.perf_counter()
    if left > SPIN_PERIOD:
        time.sleep(left - SPIN_PERIOD)
    while time.perf_counter() < deadline:
        continue  # busy waiting is exact to some microseconds, sleeping is not


def processor_time(pid: int) -> float:
    """Return the processor time of a process [s], user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(child: Child) -> float:
    """Return the resident memory of a process [MB]."""
    pages = int(Path(f"/proc/{child.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
