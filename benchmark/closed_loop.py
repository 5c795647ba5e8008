"""The Panda in lockstep, in one process, ten seeds: how well it moves, from nothing and under disturbances.

    python benchmark/closed_loop.py [--seeds 10] [--only NAME ...] [--json FILE]

`standard` is the demo's scenario without cameras. Every other row changes one thing in it.
"""

import argparse
import json

import numpy as np
from tqdm import tqdm

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.resources import config_file
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.demo.episode import run_episode
from mbrl_ros.demo.metrics import rest_error, settled, summarise
from mbrl_ros.robots import load_robot
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.scenarios.scenario import Scenario, Slot, build_scenario
from mbrl_ros.simulation.plant import Plant

NOMINAL = {"dynamics.prior": "rigid_body", "prior.rigid_body.mass_scale": 0.8}
ROWS = {  # name: (settings of the controller, settings of the plant)
    "standard": ({}, {}),
    "nominal -20 % mass, refit": (NOMINAL, {}),
    "armature 0.02": ({}, {"armature": (0.02,)}),
    "armature 0": ({}, {"armature": (0.0,)}),
    "velocity noise 0.05 rad/s": ({}, {"velocity_noise": 0.05}),
    "hold 60 s, then move": ({}, {}),
    "one motor loses 40 %": ({}, {}),
}
HOLD = 60.0
MOTOR, LEFT = "panda_joint2", 0.6


class WeakenedPlant(Plant):
    """At `loss_time` [s] one motor keeps only LEFT of its torque."""

    loss_time = np.inf

    def step(self, command):
        """Weaken the motor once its time has come, then advance one period."""
        if self.time >= self.loss_time:
            self.scale_motor(MOTOR, LEFT)
        return super().step(command)


def run(name: str, seed: int) -> dict:
    """Return the numbers of one run of the row `name`."""
    changes, plant_changes = ROWS[name]
    configuration = Configuration.from_flat({**read_settings(config_file("panda")), "control.seed": seed, **changes})
    robot = load_robot(configuration.robot)
    simulated = {
        key[6:]: value
        for key, value in read_settings(config_file("panda"), "sim_node").items()
        if key.startswith("plant.")
    }
    plant = WeakenedPlant(PlantSettings.from_mapping({**simulated, "seed": seed, **plant_changes}), robot)
    start = np.array(plant.settings.initial_position)
    loaded = name not in ("hold 60 s, then move", "one motor loses 40 %")
    scenario = build_scenario(
        robot, start, seed, payload_kg=1.5 if loaded else 0.0, duration=22.0, reference=configuration.reference
    )
    if name.startswith("hold"):
        goals = start + np.random.default_rng(seed).uniform(-0.4, 0.4, (2, robot.n))
        scenario = Scenario(
            seed,
            HOLD + 4.5,
            (Slot("joints", 1.0, 1.0 + HOLD, goals[0]), Slot("joints", 1.0 + HOLD, HOLD + 4.5, goals[1])),
            0.0,
            None,
        )
    elif not loaded:
        scenario = Scenario(seed, 8.0, (Slot("point", 1.0, 8.0, scenario.slots[0].value),), 0.0, None)
        plant.loss_time = 5.0
    controller = build_controller(robot, configuration)
    supervisor = Supervisor(robot, configuration.supervisor, controller.dt)
    truth, control = run_episode(plant, controller, supervisor, scenario)
    result = row(
        summarise(
            scenario,
            robot,
            truth,
            control,
            rate_hz=controller.configuration.control.rate,
            horizon=configuration.planner.horizon,
            estimator=configuration.dynamics.estimator,
        )
    )
    if name.startswith("hold"):
        moving = truth["stamp"] >= 0.5 * HOLD
        off = np.abs(truth["q"] - control["reference_q"])[moving].max(axis=1)
        result["burst_rad"] = float(off.max())
    elif not loaded:
        error = np.linalg.norm(truth["tip"] - scenario.slots[0].value, axis=1)
        after = truth["stamp"] >= plant.loss_time
        back = settled(truth["stamp"][after], error[after])
        result.update(
            bump_mm=1e3 * error[after].max(),
            recover_s=np.inf if back is None else back - plant.loss_time,
            loaded_mm=rest_error(truth["stamp"], error),
        )
    return result


def row(summary: dict) -> dict:
    """Return the worst of each number over the run's targets."""
    load = summary["payload"] or {}
    reached = [t["time_to_1cm_s"] for t in summary["targets"]]
    before = max(1, len(reached) - 2) if load else max(1, len(reached))
    rest = [t["rest_error_mm"] for t in summary["targets"]] or [0.0]
    recover = load.get("recover_to_1cm_s", 0.0)
    return {
        "late_s": max([np.inf if t is None else t for t in reached] or [0.0]),
        "rest_mm": max(rest[:before]),
        "bump_mm": load.get("bump_mm", 0.0),
        "recover_s": np.inf if recover is None else recover,
        "loaded_mm": max([*rest[before:], load.get("rest_error_mm", 0.0)]),
        "speed": summary["max_joint_speed_fraction"],
        "violations": summary["limit_violations"],
        "coverage": summary["prediction"]["nis_coverage_95"],
        "burst_rad": 0.0,
    }


def main() -> None:
    """Run the benchmark of the command line and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", nargs="*", choices=list(ROWS))
    parser.add_argument("--json")
    parser.add_argument("--set", nargs="*", default=[], help="key=number, for the controller")
    args = parser.parse_args()
    for pair in args.set:
        key, value = pair.split("=")
        ROWS.update({name: ({**changes, key: float(value)}, plant) for name, (changes, plant) in ROWS.items()})
    results = {}
    for name in args.only or ROWS:
        results[name] = [run(name, seed) for seed in tqdm(range(args.seeds), desc=name, leave=False)]
    print(f"worst of {args.seeds} seeds; late: first within 1 cm for good, after the end of the reference")
    print(
        f"{'':28s}{'late [s]':>9s}{'rest [mm]':>10s}{'peak [mm]':>10s}{'back [s]':>9s}{'loaded [mm]':>12s}"
        f"{'speed':>7s}{'outside':>8s}{'NIS in bound':>14s}{'burst [rad]':>12s}"
    )
    for name, rows in results.items():
        worst = {key: max(r[key] for r in rows) for key in rows[0]}
        least = min(r["coverage"] for r in rows)
        print(
            f"{name:28s}{worst['late_s']:9.2f}{worst['rest_mm']:10.2f}{worst['bump_mm']:10.1f}{worst['recover_s']:9.2f}"
            f"{worst['loaded_mm']:12.2f}{worst['speed']:7.2f}{worst['violations']:8d}"
            f"{100 * least:8.1f}-{100 * worst['coverage']:.1f}{worst['burst_rad']:12.3f}"
        )
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=2)


if __name__ == "__main__":
    main()
