"""Does distillation_node slow mpc_node down? The same run, with the distiller running and stopped by turns.

    python benchmark/distiller_load.py [--rounds 4] [--seconds 8] [--priority 50] [--json FILE]

mpc_node teaches at 200 Hz on a simulated Panda over real DDS, which visits a new target every two seconds; distillation_node
subscribes its samples and fits every second. SIGSTOP and SIGCONT switch it off and on, so that everything else stays
as it is. Reported: state to command [ms], over all turns of a kind.
"""

from __future__ import annotations

import argparse
import json
import signal
import time

import numpy as np
from std_msgs.msg import String

from mbrl_ros.demo.distill import HOME
from mbrl_ros.demo.lesson import draw_targets
from mbrl_ros.demo.run import free_domain
from mbrl_ros.node_settings import NodeSettings
from mbrl_ros.nodes import qos, realtime
from mbrl_ros.nodes.bench_robot import ROBOT, Child, RobotSide, StateMaker

RATE, WARM_UP, SLOT = 200.0, 6.0, 2.0  # [Hz], [s], [s]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each turn")
    parser.add_argument("--priority", type=int, default=0, help="SCHED_FIFO priority of the control thread")
    parser.add_argument("--json")
    args = parser.parse_args()
    domain = free_domain()
    robot = RobotSide(domain)
    if args.priority:
        realtime.settle_thread(NodeSettings(priority=args.priority), print)
    arm = {**ROBOT, "robot.tip_offset": [0.0, 0.0, 0.1034]}
    controller = Child("mpc_node", domain, {**arm, "control.rate": RATE, "control.controller": "teach",
                                            "priority": args.priority, "control.stamp_clock": "ros", "reference.posture": 1.0,
                                            "reference.home": HOME})
    distiller = Child("distillation_node", domain, {**arm, "topics": ["mpc_node/supervision"], "period": 1.0})
    reports: list[String] = []
    robot.node.create_subscription(String, "distillation_node/report", reports.append, qos.RELIABLE)
    try:
        robot.wait_for_reader(controller)
        while not robot.node.count_subscribers("/mpc_node/supervision"):
            if not distiller.running:
                raise SystemExit(f"distillation_node did not come up:\n{distiller.text()}")
            time.sleep(0.1)
        latencies = visit(robot, distiller, args.rounds, args.seconds)
    finally:
        distiller.process.send_signal(signal.SIGCONT)
        distiller.end(signal.SIGTERM)
        controller.end(signal.SIGTERM)
        robot.close()
    print("| distiller | ticks | p50 [ms] | p99 [ms] | max [ms] |\n|---|---|---|---|---|")
    results = {}
    for name, values in latencies.items():
        p50, p99 = np.percentile(values, (50, 99))
        results[name] = {"ticks": len(values), "p50_ms": p50, "p99_ms": p99, "max_ms": max(values)}
        print(f"| {name} | {len(values)} | {p50:.2f} | {p99:.2f} | {max(values):.2f} |")
    print(f"\n{len(reports)} policies were made meanwhile")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


def visit(robot: RobotSide, distiller: Child, rounds: int, seconds: float) -> dict[str, list[float]]:
    """{"on" or "off": latencies [ms]}."""
    states, period, latencies = StateMaker(RATE, robot.robot), 1.0 / RATE, {"on": [], "off": []}
    targets = draw_targets(robot.robot, 100, 0, np.array(HOME))
    aim, sent, begin, robot.keep = robot.aimer(), {}, time.perf_counter(), True
    turns = [("on", WARM_UP)] + [(name, seconds) for _ in range(rounds) for name in ("on", "off")]
    tick = 0
    for turn, (name, length) in enumerate(turns):
        distiller.process.send_signal(signal.SIGCONT if name == "on" else signal.SIGSTOP)
        for _ in range(round(length * RATE)):
            while (left := begin + tick * period - time.perf_counter()) > 0.0:
                time.sleep(left)
            if tick % round(SLOT * RATE) == 0:
                aim(targets[tick // round(SLOT * RATE) % len(targets)])
            stamp = time.time()
            message = states.message(stamp)
            if turn:
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
    return latencies


if __name__ == "__main__":
    main()
