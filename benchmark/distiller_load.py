"""Whether distillation_node keeps up, and whether it slows mpc_node down: one run, at its end on and off by turns.

    python benchmark/distiller_load.py [--alone 30] [--rounds 4] [--seconds 8] [--priority 50] [--json FILE]

mpc_node teaches at 200 Hz on a simulated Panda over real DDS, which visits a new target every two seconds;
distillation_node subscribes to its samples on one processor and fits every `--period` seconds. Reported after `--alone`
seconds: samples received, repeated or lost, its processor time and memory. Then SIGSTOP and SIGCONT switch it off and
on, so that everything else stays as it is. Reported: state to command [ms], over all turns of a kind.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time

import numpy as np
from std_msgs.msg import String

from mbrl_ros.bench.node.child import Child
from mbrl_ros.bench.node.latency import processor_time, resident
from mbrl_ros.bench.node.robot import ROBOT, RobotSide, StateMaker
from mbrl_ros.config.sections.nodes import NodeSettings
from mbrl_ros.demo.dds_domain import free_domain
from mbrl_ros.demo.distill import HOME_POSE
from mbrl_ros.demo.environment import draw_targets
from mbrl_ros.nodes import qos, realtime

RATE, WARM_UP, SLOT = 200.0, 6.0, 2.0  # [Hz], [s], [s]


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--alone", type=float, default=30.0, help="seconds before the turns")
    parser.add_argument("--period", type=float, default=5.0, help="seconds between fits, as by default")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each turn")
    parser.add_argument("--priority", type=int, default=0, help="SCHED_FIFO priority of the control thread")
    parser.add_argument("--json")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark of the command line and print its table."""
    args = parsed()
    domain = free_domain()
    robot = RobotSide(domain)
    if args.priority:
        realtime.settle_thread(NodeSettings(priority=args.priority), print)
    arm = {**ROBOT, "robot.tip_offset": [0.0, 0.0, 0.1034]}
    controller = Child(
        "mpc_node",
        domain,
        {
            **arm,
            "control.rate": RATE,
            "control.controller": "teach",
            "priority": args.priority,
            "control.stamp_clock": "ros",
            "reference.posture": 1.0,
            "reference.home": HOME_POSE,
        },
    )
    distiller = Child(
        "distillation_node",
        domain,
        {**arm, "topics": ["mpc_node/supervision"], "period": args.period},
        preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}),
    )
    reports: list[String] = []
    robot.node.create_subscription(String, "distillation_node/report", reports.append, qos.RELIABLE)
    try:
        robot.wait_for_reader(controller)
        while not robot.node.count_subscribers("/mpc_node/supervision"):
            if not distiller.running:
                raise SystemExit(f"distillation_node did not come up:\n{distiller.text()}")
            time.sleep(0.1)
        latencies, kept_up = visit(robot, distiller, reports, args.alone, args.rounds, args.seconds)
    finally:
        distiller.process.send_signal(signal.SIGCONT)
        distiller.end(signal.SIGTERM)
        controller.end(signal.SIGTERM)
        robot.close()
    print(
        f"{kept_up['states']} states at {RATE:g} Hz in {WARM_UP + args.alone:g} s: "
        f"{kept_up['received']} samples received, {kept_up['lost']} lost; "
        f"{kept_up['policies']} policies, a fit at most {kept_up['longest_fit_s']:.2f} s; "
        f"{100 * kept_up['processor']:.0f} % of a processor; {kept_up['mb'][0]:.0f} to {kept_up['mb'][1]:.0f} MB\n"
    )
    print("| distiller | ticks | p50 [ms] | p99 [ms] | max [ms] |\n|---|---|---|---|---|")
    results = {"kept_up": kept_up}
    for name, values in latencies.items():
        p50, p99 = np.percentile(values, (50, 99))
        results[name] = {"ticks": len(values), "p50_ms": p50, "p99_ms": p99, "max_ms": max(values)}
        print(f"| {name} | {len(values)} | {p50:.2f} | {p99:.2f} | {max(values):.2f} |")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


def visit(
    robot: RobotSide, distiller: Child, reports: list[String], alone: float, rounds: int, seconds: float
) -> tuple[dict[str, list[float]], dict]:
    """Return {"on" or "off": latencies [ms]}, and how the node kept up before the turns."""
    states, period, latencies = StateMaker(RATE, robot.robot, 0.0), 1.0 / RATE, {"on": [], "off": []}
    targets = draw_targets(robot.robot, 100, 0, np.array(HOME_POSE))
    aim, sent, begin, robot.keep = robot.target_sender(), {}, time.perf_counter(), True
    turns = [("on", WARM_UP), ("on", alone)] + [(name, seconds) for _ in range(rounds) for name in ("on", "off")]
    tick, used = 0, []  # used: (processor time [s], memory [MB]) when a turn begins
    for turn, (name, length) in enumerate(turns):
        if turn == 2:
            kept_up = _kept_up(reports, alone)
        used.append((processor_time(distiller.process.pid), resident(distiller)))
        distiller.process.send_signal(signal.SIGCONT if name == "on" else signal.SIGSTOP)
        for _ in range(round(length * RATE)):
            while (left := begin + tick * period - time.perf_counter()) > 0.0:
                time.sleep(left)
            if tick % round(SLOT * RATE) == 0:
                aim(targets[tick // round(SLOT * RATE) % len(targets)])
            stamp = time.time()
            message = states.message(stamp)
            if turn > 1:
                sent[round(stamp * 1e6)] = name, time.time_ns()
            robot.states.publish(message)
            states.advance(robot.newest)
            tick += 1
    robot.wait_until(lambda: False, 0.2)
    answers: dict[int, int] = {}
    for answered, at in robot.sent_at:
        answers.setdefault(round(answered * 1e6), at)
    for key, (name, at) in sent.items():
        if key in answers:
            latencies[name].append(1e-6 * (answers[key] - at))
    (before, _), (after, _) = used[1:3]
    return latencies, {**kept_up, "processor": (after - before) / alone, "mb": [used[1][1], used[2][1]]}


def _kept_up(reports: list[String], seconds: float) -> dict:
    """Return how the node kept up, from its reports of the last `seconds`."""
    read = [json.loads(message.data) for message in reports]
    newest = read[-1]
    received = newest["offered"] + sum(newest["left_out"].values()) + newest["other_kinds"]
    return {
        "states": round((WARM_UP + seconds) * RATE),
        "received": received,
        "lost": sum(newest["lost"].values()),
        "policies": len(read),
        "longest_fit_s": max(report["seconds"] for report in read),
    }


if __name__ == "__main__":
    main()
