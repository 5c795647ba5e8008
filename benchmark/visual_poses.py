"""The visual scenario under many camera poses, one a seed, in one process and in lockstep.

    python benchmark/visual_poses.py --seeds 0:20 --methods own calibrated broyden rls --output visual.jsonl

A row a seed and method: seconds from the target until the marker stays within 2 % of the image's width (converge), the
error at rest, seconds until it is back there after the bump, the largest error while the marker is hidden, the fastest
joint over its limit, and ticks outside of the joints' limits. `own` is this package's controller on the robot's own
interface; the servos command velocities (mbrl_ros/demo/visual/servos.py). Needs the extras sim and vision.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mbrl_ros.config.resources import settings_path
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.demo.episode import run_episode
from mbrl_ros.demo.run import Options, Run
from mbrl_ros.demo.visual.camera import SeeingCamera, marker_finder
from mbrl_ros.demo.visual.compare import opened, servo_logs
from mbrl_ros.demo.visual.metrics import missed, visual_numbers
from mbrl_ros.demo.visual.servos import SERVO_METHODS
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.simulation.plant import Plant

OWN = "own"


def own_log(demo: Run, pictures) -> dict[str, np.ndarray]:
    """Run this package's controller; return the log of the true state."""
    plant = Plant(demo.plant, demo.robot)
    camera = SeeingCamera(demo.camera, demo.scenario, plant, pictures, marker_finder(demo.image.marker))
    controller = build_controller(demo.robot, demo.configuration)
    supervisor = Supervisor(demo.robot, demo.configuration.supervisor, controller.dt)
    return run_episode(plant, controller, supervisor, demo.scenario, camera=camera)[0]


def row(demo: Run, name: str, log) -> dict[str, Any]:
    """Return the numbers of one run."""
    robot, numbers = demo.robot, visual_numbers(demo.scenario, log)
    outside = ((log["q"] < robot.position_lower) | (log["q"] > robot.position_upper)).any(axis=1)
    speed = float(np.abs(log["qd"] / robot.velocity_limit).max())
    return {
        "seed": demo.options.seed,
        "method": name,
        **numbers,
        "speed": speed,
        "ticks_outside": int(outside.sum()),
        "missed": missed(numbers),
    }


def spread(times: list[float]) -> str:
    """Return median and worst of times [s] in words."""
    return f"median {np.median(times):.2f} s, worst {max(times):.2f} s" if times else "never"


def table(rows: list[dict[str, Any]]) -> str:
    """Return what the rows come to."""
    times = {(r["seed"], r["method"]): r["converge_s"] for r in rows}
    lines = []
    for name in dict.fromkeys(r["method"] for r in rows):
        of = [r for r in rows if r["method"] == name]
        found = [r["converge_s"] for r in of if r["converge_s"] is not None]
        back = [r["bump_recover_s"] for r in of if r["bump_recover_s"] is not None]
        rest = sum(r["final_error_fraction"] is not None and r["final_error_fraction"] <= 0.005 for r in of)
        hidden = 100.0 * max(r["occlusion_max_error"] or 0.0 for r in of)
        lines.append(
            f"{name:11s} {len(of)} poses: within 2 % in 4 s {sum(t <= 4.0 for t in found)}, {spread(found)}; at rest "
            f"below 0.5 % {rest}; back in 2 s {sum(t <= 2.0 for t in back)}, {spread(back)}; hidden, worst "
            f"{hidden:.2f} %; ticks outside limits {sum(r['ticks_outside'] for r in of)}"
        )
        pairs = [(times.get((r["seed"], OWN)), r["converge_s"]) for r in of if (r["seed"], OWN) in times]
        if name != OWN and pairs:
            faster = sum(a is not None and (b is None or a < b) for a, b in pairs)
            ratios = [a / b for a, b in pairs if a is not None and b]
            lines.append(
                f"{'':11s} own is faster in {faster} of {len(pairs)}; its time over this one's: median "
                f"{np.median(ratios) if ratios else np.nan:.2f}, worst {max(ratios, default=np.nan):.2f}"
            )
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark; return 1 if this package's controller missed a number."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0:20", help="first:last+1 (default: 0:20)")
    parser.add_argument("--methods", nargs="+", choices=(OWN, *SERVO_METHODS), default=[OWN, *SERVO_METHODS])
    parser.add_argument("--robot", default="panda")
    parser.add_argument("--interface", default="effort", help="of own (default: effort)")
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), help="of the images [px]")
    parser.add_argument("--rate", type=float, default=30.0, help="of the images [Hz]")
    parser.add_argument("--to-bump", action="store_true", help="run the servos until the bump only")
    parser.add_argument("--output", type=Path, help="rows as JSON, one a line; what it has already is not run again")
    args = parser.parse_args()
    rows = (
        [json.loads(line) for line in args.output.read_text().splitlines()]
        if args.output and args.output.exists()
        else []
    )
    for seed in range(*map(int, args.seeds.split(":"))):
        wanted = [m for m in args.methods if (seed, m) not in {(r["seed"], r["method"]) for r in rows}]
        if not wanted:
            continue
        settings = {"robot.interface": args.interface}
        demo = Run(Options(settings_path(args.robot), seed=seed, lockstep=True, scenario="visual", settings=settings))
        demo.camera = demo.camera.replace(width=args.size[0], height=args.size[1], rate=args.rate)
        with opened(demo) as pictures:
            shown = replace(demo.scenario, duration=demo.scenario.bump) if args.to_bump else demo.scenario
            logs = servo_logs(demo, shown, pictures, methods=tuple(m for m in SERVO_METHODS if m in wanted))
            if OWN in wanted:
                logs[OWN] = own_log(demo, pictures)
        for name, log in logs.items():
            rows.append(row(demo, name, log))
            print(json.dumps(rows[-1]), flush=True)
            if args.output:
                with args.output.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    print(table(rows))
    return int(any(r["missed"] for r in rows if r["method"] == OWN))


if __name__ == "__main__":
    sys.exit(main())
