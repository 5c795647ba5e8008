"""Scenes of `mbrl demo --scenario pick` in one process, in lockstep: how many are reached, how near the arm comes.

    python benchmark/pick_scenes.py --seed 0 --scenes 25

One line of JSON for each scene, then the counts of all. The classes are those of the nodes, in the same order.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from mbrl_ros.config.resources import settings_path
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.demo.episode import run_episode
from mbrl_ros.demo.pick_metrics import counted, picked, scene_of
from mbrl_ros.demo.pose_metrics import pose_targets
from mbrl_ros.demo.run import Options, Run
from mbrl_ros.safety.factory import make_supervisor
from mbrl_ros.simulation.plant import Plant


def scene(robot: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Run the scene of a seed; return what became of it."""
    begun = time.monotonic()
    options = Options(config=settings_path(robot), seed=seed, scenario="pick", lockstep=True, settings=settings)
    demo, built = Run(options), time.monotonic()
    controller = build_controller(demo.robot, demo.configuration)
    supervisor = make_supervisor(demo.robot, demo.configuration)
    truth, control = run_episode(Plant(demo.plant, demo.robot), controller, supervisor, demo.scenario)
    poses = pose_targets(demo.scenario, demo.robot, truth, control)
    found = picked(
        demo.scenario,
        scene_of(demo.scenario, demo.robot, demo.configuration),
        truth,
        poses,
        1e3 * demo.scenario.tolerance,
    )
    return {
        "seed": seed,
        **found,
        "rest_mm": [pose["rest_mm"] for pose in poses],
        "rest_deg": [pose["rest_deg"] for pose in poses],
        "posture_rad": [pose["posture_rad"] for pose in poses],
        "states": np.unique(control["state"]).tolist(),
        "fastest": float((np.abs(truth["qd"]) / demo.robot.velocity_limit).max()),
        "simulated_s": demo.scenario.duration,
        "built_s": round(built - begun, 1),
        "run_s": round(time.monotonic() - built, 1),
    }


def main() -> None:
    """Run the scenes of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robot", default="panda")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=10)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, its value as JSON")
    args = parser.parse_args()
    settings = {key: json.loads(value) for key, _, value in (one.partition("=") for one in args.set)}
    rows = []
    for seed in range(args.seed, args.seed + args.scenes):
        rows.append(scene(args.robot, seed, settings))
        print(json.dumps(rows[-1]), flush=True)
    print(json.dumps(counted(rows)))


if __name__ == "__main__":
    main()
