"""What guard_node costs: the time that a command needs longer, and its share of a core.

    python benchmark/guard_hop.py [--rate 200] [--seconds 20] [--joints 7] [--clock 0] [--domain 86]

This process plays mpc_node and the robot's controller. Every period it publishes a joint state and a command, in turn
on a topic that it reads itself and on the guard's, whose output it reads as well; both are timed from publish() to the
callback. The rate of either topic is that of the control loop. Printed: p50, p99 and the largest of both times, the
median of what the guard adds, the processor time of the guard while it forwards, and while it plays the safe command.
With --clock the guard has use_sim_time, and so many messages of /clock come per second, as fast as the wall clock. The
guard runs from the checkout that PYTHONPATH names.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time

os.environ.setdefault("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")  # as the nodes have it

import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, MultiArrayDimension

from mbrl_ros.bench.node.latency import processor_time
from mbrl_ros.cli.environment import prepare
from mbrl_ros.guard.messages import GuardParameters, GuardStatus, Time, read_status, write_parameters
from mbrl_ros.nodes.message_writers import to_time
from mbrl_ros.nodes.process import Spinner

PATIENCE = 30.0  # [s] until the guard forwards
BEGIN = 100.0  # [s] of simulated time
SAFE = 3.0  # [s] during which the safe command is measured


class Bench:
    """mpc_node and the controller in one."""

    def __init__(self, joints: int, rate: float, clock: float):
        self.time = Time.SIMULATED if clock else Time.WALL
        self.shift = time.time() - BEGIN if clock else 0.0
        self.joints, self.period = [f"joint{i}" for i in range(joints)], 1.0 / rate
        self.node = rclpy.create_node("bench")
        many = QoSProfile(depth=10)
        self.publishers = {
            "direct": self.node.create_publisher(Float64MultiArray, "direct", many),
            "guard": self.node.create_publisher(Float64MultiArray, "guard_node/commands_in", many),
        }
        self.parameters = self.node.create_publisher(Float64MultiArray, "guard_node/parameters_in", many)
        self.states = self.node.create_publisher(JointState, "joint_states", many)
        self.sent: dict[str, dict[str, float]] = {"direct": {}, "guard": {}}
        self.times: dict[str, list[float]] = {"direct": [], "guard": []}
        self.status: GuardStatus | None = None
        self.node.create_subscription(Float64MultiArray, "direct", lambda m: self._heard("direct", m), many)
        self.node.create_subscription(Float64MultiArray, "commands", lambda m: self._heard("guard", m), many)
        self.node.create_subscription(Float64MultiArray, "guard_node/guard_status", self._on_status, 1)
        self.k = 0
        self.spinner = Spinner(self.node)
        if clock:
            newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
            self.clock = self.node.create_publisher(Clock, "/clock", newest)
            threading.Thread(target=self._tick, args=(1.0 / clock,), daemon=True).start()

    def _tick(self, step: float) -> None:
        """Publish /clock."""
        begin, k = time.perf_counter(), 0
        while rclpy.ok():
            k += 1
            time.sleep(max(0.0, begin + k * step - time.perf_counter()))
            self.clock.publish(Clock(clock=to_time(time.time() - self.shift)))

    def run(self, seconds: float, *, commands: bool = True) -> None:
        """Publish for so long [s]."""
        begin, n = time.perf_counter(), len(self.joints)
        for step in range(round(seconds / self.period)):
            time.sleep(max(0.0, begin + step * self.period - time.perf_counter()))
            if self.k % max(1, round(0.05 / self.period)) == 0 and commands:
                self.parameters.publish(write_parameters(self._parameters(), Float64MultiArray(), MultiArrayDimension))
            state = JointState(name=self.joints, position=[0.0] * n, velocity=[0.0] * n, effort=[0.0] * n)
            state.header.stamp = to_time(time.time() - self.shift)
            self.states.publish(state)
            for way in ("direct", "guard") if commands else ():
                message = Float64MultiArray(data=[0.001 * (self.k % 7)] * n)
                message.layout.dim = [MultiArrayDimension(label=f"{self.k}.{way}", size=n, stride=n)]
                self.sent[way][message.layout.dim[0].label] = time.perf_counter()
                self.publishers[way].publish(message)
                time.sleep(0.3 * self.period)  # neither waits for the other
            self.k += 1

    def _heard(self, way: str, message: Float64MultiArray) -> None:
        now, sent = time.perf_counter(), self.sent[way].pop(message.layout.dim[0].label, None)
        if sent is not None:
            self.times[way].append(1e3 * (now - sent))

    def _on_status(self, message: Float64MultiArray) -> None:
        self.status = read_status(message)

    def _parameters(self) -> GuardParameters:
        n, one = len(self.joints), np.ones(len(self.joints))
        eye = np.eye(n)
        return GuardParameters(
            "/bench", "", "effort", "brake", tuple(self.joints), self.k, self.status.epoch if self.status else -1,
            self.time, self.period, 0.05, 1e6, 1, -one, one, one, one, one, -one, one, 0.0 * one, eye, eye, eye, eye,
        )  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--joints", type=int, default=7)
    parser.add_argument("--clock", type=float, default=0.0, help="messages of /clock per second; 0: real time")
    parser.add_argument("--domain", type=int, default=86)
    args = parser.parse_args()
    prepare()
    os.environ["ROS_DOMAIN_ID"] = str(args.domain)
    rclpy.init()
    simulated = ["--ros-args", "-p", f"use_sim_time:={str(args.clock > 0.0).lower()}"]
    guard = subprocess.Popen([sys.executable, "-m", "mbrl_ros.nodes.guard_node", *simulated])
    bench, deadline = Bench(args.joints, args.rate, args.clock), time.monotonic() + PATIENCE
    try:
        while bench.status is None or bench.status.mode != "FORWARDING":
            if time.monotonic() > deadline:
                raise SystemExit(f"the guard does not forward: {bench.status}")
            bench.run(0.1)
        bench.run(1.0)
        for times in bench.times.values():
            times.clear()
        used, begin = processor_time(guard.pid), time.perf_counter()
        bench.run(args.seconds)
        forwarding = (processor_time(guard.pid) - used) / (time.perf_counter() - begin)
        used, begin = processor_time(guard.pid), time.perf_counter()
        bench.run(SAFE, commands=False)
        acting = (processor_time(guard.pid) - used) / (time.perf_counter() - begin)
        print("| way | commands | p50 [ms] | p99 [ms] | max [ms] |\n|---|---:|---:|---:|---:|")
        for way, times in bench.times.items():
            p50, p99 = np.percentile(times, (50, 99))
            print(f"| {way} | {len(times)} | {p50:.3f} | {p99:.3f} | {max(times):.3f} |")
        added = np.median(bench.times["guard"]) - np.median(bench.times["direct"])
        print(f"the guard adds {added:.3f} ms (p50) at {args.rate:g} Hz with {args.joints} joints")
        print(f"it takes {100 * forwarding:.1f} % of a core while it forwards, {100 * acting:.1f} % while it acts")
    finally:
        guard.terminate()
        guard.wait()
        bench.spinner.stop()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
