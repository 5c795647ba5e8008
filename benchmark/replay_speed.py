"""How fast bags are replayed and read, and in how much memory.

    python benchmark/replay_speed.py [--panda FILE] [--gigabytes 1] [--seconds 30]

1. the Panda recording (30 Hz) without planning, with and without knowing the robot;
2. a Panda at 200 Hz with planning over a horizon of 30, and without;
3. an mcap of joint states, commands and images: `mbrl doctor` reads and decodes it, `mbrl replay --no-plan` replays its
   first part. Each in a process of its own, whose peak resident memory is reported.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "test"))

from rosbags.rosbag2 import StoragePlugin, Writer

from support.replay_bags import STATE, VECTOR, Messages

ROOT = Path(__file__).parents[1]
RECORDING = ROOT.parent / "shared" / "data" / "panda_exciting_trajectory.db3"
NAMES = tuple(f"panda_joint{i}" for i in range(1, 8))
IMAGE = "sensor_msgs/msg/Image"


def panda_states(make: Messages, seconds: float, rate: float = 200.0):
    """Yield (stamp, state, command) of smooth motion."""
    phase, speed = np.linspace(0.0, 5.0, 7), np.linspace(0.5, 1.5, 7)
    middle = np.array([0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8])
    rng = np.random.default_rng(0)
    for k in range(round(seconds * rate)):
        t = 1000.0 + k / rate
        q, qd = middle + 0.3 * np.sin(speed * t + phase), 0.3 * speed * np.cos(speed * t + phase)
        u = 5.0 * np.cos(speed * t + phase) + 0.1 * rng.standard_normal(7)
        yield t, make.state(t, q + 1e-4 * rng.standard_normal(7), qd + 1e-3 * rng.standard_normal(7), u, NAMES), u


def big_bag(folder: Path, gigabytes: float) -> tuple[Path, int]:
    """Write an mcap with 30 images of 640 x 480, 1,000 joint states and 1,000 commands a second.

    Returns
    -------
    The bag, and how many messages it holds.
    """
    make = Messages()
    t = make.store.types
    pixels = np.random.default_rng(0).integers(0, 255, 640 * 480 * 3, dtype=np.uint8)
    image = t[IMAGE](
        header=make.header(0.0), height=480, width=640, encoding="rgb8", is_bigendian=0, step=1920, data=pixels
    )
    picture = bytes(make.store.serialize_cdr(image, IMAGE))
    seconds = gigabytes * 1e9 / (30 * len(picture) + 1000 * 850)
    count = 0
    with Writer(folder / "big", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {
            name: writer.add_connection(name, kind, typestore=make.store)
            for name, kind in (("/joint_states", STATE), ("/arm/commands", VECTOR), ("/camera/image_raw", IMAGE))
        }
        for k, (stamp, state, u) in enumerate(panda_states(make, seconds, 1000.0)):
            nanoseconds = round(1e9 * stamp)
            writer.write(topics["/joint_states"], nanoseconds, state)
            writer.write(topics["/arm/commands"], nanoseconds + 200_000, make.command(u))
            count += 2
            if k % 33 == 0:
                writer.write(topics["/camera/image_raw"], nanoseconds + 400_000, picture)
                count += 1
    return folder / "big", count


def mbrl(*arguments: object) -> tuple[float, float]:
    """Return (seconds, peak resident memory [MB]) of an mbrl command in a process of its own."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "mbrl_ros.cli.main", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"mbrl {' '.join(map(str, arguments))} failed")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024.0


def replayed(*arguments: object) -> dict:
    """Return the summary of a replay, with its peak memory [MB]."""
    with tempfile.TemporaryDirectory() as folder:
        _, memory = mbrl("replay", *arguments, "--quiet", "--output", folder, "--table", "none")
        return {**json.loads((Path(folder) / "summary.json").read_text()), "memory_mb": memory}


def main() -> None:
    """Run the benchmark of the command line and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--panda", type=Path, default=RECORDING)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=30.0, help="of the 200 Hz bag")
    args = parser.parse_args()
    print(f"{'':<52}{'x real time':>12}{'by CPU time':>12}{'ticks':>8}{'memory [MB]':>13}")

    def show(label: str, summary: dict) -> None:
        print(
            f"{label:<52}{summary['realtime_factor']:12.1f}{summary['duration_s'] / summary['cpu_s']:12.1f}"
            f"{summary['ticks']:8d}{summary['memory_mb']:13.0f}",
            flush=True,
        )

    if args.panda.is_file():
        joint = ("--joint", "fer_joint{}=panda_joint{}", "--config", "panda")
        show("Panda recording, 30 Hz, robot unknown, no planning", replayed(args.panda))
        show("Panda recording, 30 Hz, no planning", replayed(args.panda, *joint, "--no-plan"))
        show("Panda recording, 30 Hz, H 30", replayed(args.panda, *joint))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        from support.replay_bags import write_bag

        states = write_bag(
            folder / "states",
            (("/joint_states", STATE, t, data) for t, data, _ in panda_states(Messages(), args.seconds)),
        )
        show("Panda, 200 Hz, no planning", replayed(states, "--config", "panda", "--no-plan"))
        show("Panda, 200 Hz, H 30", replayed(states, "--config", "panda"))
        bag, count = big_bag(folder, args.gigabytes)
        size = sum(file.stat().st_size for file in bag.iterdir()) / 1e9
        start, _ = mbrl("doctor", states)
        seconds, memory = mbrl("doctor", bag)
        decoded = count - count // 67
        print(
            f"mcap of {size:.2f} GB, {count} messages: mbrl doctor in {seconds:.1f} s ({start:.1f} s for a small bag), "
            f"{decoded / (seconds - start):.0f} messages decoded per second ({decoded / seconds:.0f} with the start), "
            f"{memory:.0f} MB"
        )
        first = replayed(bag, "--config", "panda", "--no-plan", "--to", 20)
        print(f"  replay of its first 20 s: {first['memory_mb']:.0f} MB")


if __name__ == "__main__":
    main()
