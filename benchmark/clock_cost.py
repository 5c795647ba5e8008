"""What /clock costs an active mpc_node with use_sim_time: processor time over wall time, by the rate of /clock.

    python benchmark/clock_cost.py [--rates 0 100 1000] [--states 0] [--seconds 8] [--domain 79]

--states: joint states per second of wall time, stamped with /clock. Reported: the messages of /clock that were sent per
second, and the share of a core that the node used. The node runs from the checkout that PYTHONPATH names.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from mbrl_ros.bench.node.latency import processor_time

BEGIN = 100.0  # [s] of simulated time
NODE = [sys.executable, "-m", "mbrl_ros.nodes.mpc_node", "--ros-args", "-p", "use_sim_time:=true"]
SETTINGS = {"robot.description": "package-data:panda", "robot.tip": "panda_hand_tcp", "robot.interface": "velocity"}
JOINTS = [f"panda_joint{i}" for i in range(1, 8)]
ACTIVE = 3  # lifecycle_msgs/State
PATIENCE = 120.0  # [s] until the node is active, including the first compilation


def main() -> None:
    """Run the benchmark of the command line and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.0, 100.0, 1000.0], help="of /clock [Hz]")
    parser.add_argument("--states", type=float, default=0.0, help="joint states [Hz]")
    parser.add_argument("--seconds", type=float, default=8.0, help="of wall time for each rate")
    parser.add_argument("--domain", type=int, default=79)
    args = parser.parse_args()
    os.environ.update(
        ROS_DOMAIN_ID=str(args.domain),
        ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST",
        FASTDDS_BUILTIN_TRANSPORTS="UDPv4",
    )
    settings = {**SETTINGS, "robot.joints": f"[{', '.join(JOINTS)}]", "control.rate": "100.0"}
    command = [*NODE, *(part for key, value in settings.items() for part in ("-p", f"{key}:={value}"))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        print("| /clock [Hz] | sent [1/s] | share of a core |\n|---|---|---|")
        for rate, sent, share in measure(process.pid, args):
            print(f"| {rate:g} | {sent:.0f} | {100.0 * share:.1f} % |", flush=True)
    finally:
        process.terminate()
        process.wait()


def measure(process: int, args: argparse.Namespace) -> Iterator[tuple[float, float, float]]:
    """Yield (rate, messages per second, share of a core) for every rate of /clock, once the node is active."""
    import rclpy
    from builtin_interfaces.msg import Time
    from lifecycle_msgs.srv import GetState
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import JointState

    rclpy.init()
    node = rclpy.create_node("simulation")
    clock = node.create_publisher(Clock, "/clock", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    states = node.create_publisher(JointState, "/joint_states", 10)
    client = node.create_client(GetState, "/mpc_node/get_state")
    state, deadline = 0, time.monotonic() + PATIENCE
    while state != ACTIVE:
        if time.monotonic() > deadline:
            raise SystemExit("mpc_node does not become active")
        future = client.call_async(GetState.Request())
        rclpy.spin_until_future_complete(node, future, timeout_sec=2.0)
        state = future.result().current_state.id if future.done() else 0
    started = time.monotonic() - BEGIN
    for rate in args.rates:
        sent, told, begin, before = 0, 0, time.monotonic(), processor_time(process)
        while (since := time.monotonic() - begin) < args.seconds:
            now = time.monotonic() - started
            stamp = Time(sec=int(now), nanosec=int(1e9 * (now % 1.0)))
            if sent < since * rate:
                clock.publish(Clock(clock=stamp))
                sent += 1
            if told < since * args.states:
                message = JointState(name=JOINTS, position=[0.0, -0.5, 0.0, -2.0, 0.0, 1.6, 0.8], velocity=[0.0] * 7)
                message.header.stamp = stamp
                states.publish(message)
                told += 1
            time.sleep(0.0002)
        wall = time.monotonic() - begin
        yield rate, sent / wall, (processor_time(process) - before) / wall


if __name__ == "__main__":
    main()
