"""Scenarios of `mbrl demo` in one process, in lockstep: poses, scenes of picking, or jogging, of several seeds.

    python benchmark/demo_scenarios.py --scenario pick --seed 0 --seeds 25

One line of JSON for each seed; for scenes then the counts of all. The classes are those of the nodes, in the same
order.
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
from mbrl_ros.demo.jog_metrics import jogged
from mbrl_ros.demo.pick_metrics import counted, picked, scene_of
from mbrl_ros.demo.pose_metrics import pose_targets
from mbrl_ros.demo.run import Options, Run
from mbrl_ros.safety.factory import make_supervisor
from mbrl_ros.simulation.plant import Plant


def run(robot: str, scenario: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Run the scenario of a seed; return what became of it."""
    begun = time.monotonic()
    options = Options(config=settings_path(robot), seed=seed, scenario=scenario, lockstep=True, settings=settings)
    demo, built = Run(options), time.monotonic()
    controller = build_controller(demo.robot, demo.configuration)
    supervisor = make_supervisor(demo.robot, demo.configuration)
    truth, control = run_episode(Plant(demo.plant, demo.robot), controller, supervisor, demo.scenario)
    found: dict[str, Any] = {"seed": seed, "poses": pose_targets(demo.scenario, demo.robot, truth, control)}
    if demo.scenario.obstacles:
        scene, tolerance = scene_of(demo.scenario, demo.robot, demo.configuration), 1e3 * demo.scenario.tolerance
        found.update(picked(demo.scenario, scene, truth, found["poses"], tolerance))
    if scenario == "jog":
        sent = [(slot.start, number) for number, slot in enumerate(demo.scenario.slots)]
        found.update(jogged(demo.scenario, demo.robot, truth, control, sent, demo.configuration.reference))
    return {
        **found,
        "states": np.unique(control["state"]).tolist(),
        "fastest": float((np.abs(truth["qd"]) / demo.robot.velocity_limit).max()),
        "simulated_s": demo.scenario.duration,
        "built_s": round(built - begun, 1),
        "run_s": round(time.monotonic() - built, 1),
    }


def main() -> None:
    """Run the seeds of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", choices=("poses", "pick", "jog"), default="pick")
    parser.add_argument("--robot", default="panda")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, its value as JSON")
    args = parser.parse_args()
    settings = {key: json.loads(value) for key, _, value in (one.partition("=") for one in args.set)}
    rows = []
    for seed in range(args.seed, args.seed + args.seeds):
        rows.append(run(args.robot, args.scenario, seed, settings))
        print(json.dumps(rows[-1]), flush=True)
    if args.scenario == "pick":
        print(json.dumps(counted(rows)))


if __name__ == "__main__":
    main()
