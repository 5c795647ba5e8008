"""Whether a process that is killed delays the publishers of others: Fast DDS's default transports, and UDP alone.

    python benchmark/dds_kills.py [--kills 250] [--domain 85]

One process publishes every 2 ms and times each call of publish(); two others exchange messages with it and are killed
with SIGKILL at random moments, again and again. Reported: calls that took longer than 0.2 s. The machine's default
discovery range is used, on the domain given, because the transports of ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST cannot
be chosen.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time

PUBLISHER = """
import sys, threading, time, rclpy
from std_msgs.msg import Float64MultiArray
rclpy.init()
node = rclpy.create_node("steady")
node.create_subscription(Float64MultiArray, "noise", lambda message: None, 10)
publisher = node.create_publisher(Float64MultiArray, "steady", 10)
threading.Thread(target=rclpy.spin, args=(node,), daemon=True).start()
while True:
    begin = time.perf_counter()
    publisher.publish(Float64MultiArray(data=[0.0] * 7))
    if time.perf_counter() - begin > 0.2:
        print(f"{time.perf_counter() - begin:.2f}", flush=True)
    time.sleep(0.002)
"""
VICTIM = """
import rclpy
from std_msgs.msg import Float64MultiArray
rclpy.init()
node = rclpy.create_node("victim")
node.create_subscription(Float64MultiArray, "steady", lambda message: None, 10)
publisher, message = node.create_publisher(Float64MultiArray, "noise", 10), Float64MultiArray(data=[0.0] * 40)
while True:
    publisher.publish(message)
    rclpy.spin_once(node, timeout_sec=0.0005)
"""
YOUNGEST = 1.2  # [s] that a process lives at least


def main() -> None:
    """Run the benchmark of the command line and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=250)
    parser.add_argument("--domain", type=int, default=85)
    args = parser.parse_args()
    print("| transports | kills | publish() held up [s] |\n|---|---|---|")
    for name, environment in (("default", {}), ("UDP", {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"})):
        held_up = run(args.kills, {**os.environ, "ROS_DOMAIN_ID": str(args.domain), **environment})
        print(f"| {name} | {args.kills} | {', '.join(held_up) or 'never'} |", flush=True)


def run(kills: int, environment: dict[str, str]) -> list[str]:
    """Return the durations [s] of the calls that took too long."""

    def start(code: str, **options) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL, text=True, **options
        )

    publisher = start(PUBLISHER, stdout=subprocess.PIPE)
    rng, victims, killed = random.Random(0), [], 0
    while killed < kills:
        while len(victims) < 2:
            victims.append((time.monotonic(), start(VICTIM)))
        time.sleep(0.25 + 0.1 * rng.random())
        old = [victim for victim in victims if time.monotonic() - victim[0] > YOUNGEST]
        if old:
            victim = rng.choice(old)
            victims.remove(victim)
            victim[1].kill()
            victim[1].wait()
            killed += 1
    publisher.kill()
    for _, victim in victims:
        victim.kill()
    return publisher.communicate()[0].split()


if __name__ == "__main__":
    main()
