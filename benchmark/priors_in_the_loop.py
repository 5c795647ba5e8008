"""Every prior with every estimator on the demo's scenario, in lockstep: a row each, the worst of the seeds.

    python benchmark/priors_in_the_loop.py [--seeds 3] [--first 0] [--runs 2] [--priors NAME...] [--estimators NAME...]
                                           [--planners NAME...]

The learned priors are fitted as a user would: the robot runs the scenario from nothing under other seeds, every
transition is recorded, and the prior is fitted to them (collect, fit, act). `frozen` stops learning after 4 s, before
the payload; `known` learns nothing. A tick: learning, 30 evaluations of the prior along the plan, and two iterations of
the planner.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
from closed_loop import row
from tqdm import tqdm

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.resources import config_file
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.controllers.mpc import MpcController
from mbrl_ros.data import store
from mbrl_ros.data.dataset import Dataset
from mbrl_ros.data.store import Owner
from mbrl_ros.data.transition_recorder import TransitionRecorder
from mbrl_ros.demo.episode import run_episode
from mbrl_ros.demo.metrics import summarise
from mbrl_ros.evaluation.prior_fit import fit_prior
from mbrl_ros.evaluation.scores import ESTIMATORS, LEARNED
from mbrl_ros.robots import load_robot
from mbrl_ros.safety.supervisor import Supervisor
from mbrl_ros.scenarios.scenario import build_scenario
from mbrl_ros.simulation.plant import Plant

SECONDS = 22.0
PLANNERS = {
    "ilqr": {},
    "ddp, first order": {"control.planner": "ddp", "planner.second_order": False},
    "ddp": {"control.planner": "ddp"},
    "random_shooting": {"control.planner": "random_shooting"},
    "cem": {"control.planner": "cem"},
    "mppi": {"control.planner": "mppi"},
}
RUN_SEED = 1000  # of the runs the learned priors are fitted to


def run(seed: int, changes: dict, keep: bool = False):
    """Return (row of numbers, Dataset or None, robot) of one episode."""
    configuration = Configuration.from_flat({**read_settings(config_file("panda")), "control.seed": seed, **changes})
    robot = load_robot(configuration.robot)
    simulated = {
        key[6:]: value
        for key, value in read_settings(config_file("panda"), "sim_node").items()
        if key.startswith("plant.")
    }
    plant = Plant(PlantSettings.from_mapping({**simulated, "seed": seed}), robot)
    scenario = build_scenario(
        robot, np.array(plant.settings.initial_position), seed, duration=SECONDS, reference=configuration.reference
    )
    controller = MpcController(robot, configuration)
    recorder = TransitionRecorder(Owner(robot.joints, robot.interface, controller.dt)) if keep else None
    controller.dynamics.show_transitions_to(recorder)
    truth, control = run_episode(
        plant, controller, Supervisor(robot, configuration.supervisor, controller.dt), scenario
    )
    summary = summarise(
        scenario,
        robot,
        truth,
        control,
        rate_hz=controller.configuration.control.rate,
        horizon=configuration.planner.horizon,
        estimator=configuration.dynamics.estimator,
    )
    tick = np.percentile(control["compute_ms"], (50.0, 99.0))
    numbers = {**row(summary), "nmse": summary["prediction"]["nmse_qd"], "tick_p50": tick[0], "tick_p99": tick[1]}
    return numbers, recorder.dataset(f"seed {seed}") if keep else None, robot


def learned(runs: int, folder: str) -> dict[str, dict]:
    """Return {prior: settings that use its file}."""
    data: Dataset | None = None
    for seed in range(RUN_SEED, RUN_SEED + runs):
        _, kept, robot = run(seed, {}, keep=True)
        data = kept if data is None else data.merged(kept)
    changes = {}
    for kind in LEARNED:
        fitted = fit_prior([], robot, kind, dataset=data)
        store.save(f"{folder}/{kind}.npz", kind, data.owner, fitted.arrays)
        changes[kind] = {"dynamics.prior": kind, f"prior.{kind}.file": f"{folder}/{kind}.npz"}
    return changes


def main() -> None:
    """Run the benchmark of the command line and print its table."""
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--runs", type=int, default=2, help="runs the learned priors are fitted to")
    parser.add_argument("--priors", nargs="*", help="only these")
    parser.add_argument("--estimators", nargs="*", choices=ESTIMATORS, default=ESTIMATORS, help="only these")
    parser.add_argument("--planners", nargs="*", choices=PLANNERS, default=["ilqr"], help="a row of each")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        priors = {
            "integrator": {},
            "rigid_body": {"dynamics.prior": "rigid_body"},
            "rigid_body, -20 % mass": {"dynamics.prior": "rigid_body", "prior.rigid_body.mass_scale": 0.8},
            **(learned(args.runs, folder) if not args.priors or set(args.priors) & set(LEARNED) else {}),
        }
        print(
            f"{'prior':32s}{'estimator':14s}{'late [s]':>9s}{'rest [mm]':>10s}{'peak [mm]':>10s}{'back [s]':>9s}"
            f"{'loaded [mm]':>12s}{'speed':>7s}{'nmse_qd':>9s}{'NIS in bound':>14s}{'tick p50/p99 [ms]':>19s}"
        )
        for name, changes in priors.items():
            if args.priors and name not in args.priors:
                continue
            for estimator, planner in itertools.product(args.estimators, args.planners):
                settings = {**changes, **PLANNERS[planner], "dynamics.estimator": estimator}
                what = name if planner == "ilqr" else f"{name}, {planner}"
                seeds = tqdm(range(args.first, args.first + args.seeds), desc=f"{what}, {estimator}", leave=False)
                rows = [run(seed, settings)[0] for seed in seeds]
                worst = {key: max(r[key] for r in rows) for key in rows[0]}
                print(
                    f"{what:32s}{estimator:14s}{worst['late_s']:9.2f}{worst['rest_mm']:10.2f}{worst['bump_mm']:10.1f}"
                    f"{worst['recover_s']:9.2f}{worst['loaded_mm']:12.2f}{worst['speed']:7.2f}{worst['nmse']:9.2f}"
                    f"{100 * min(r['coverage'] for r in rows):8.1f}-{100 * worst['coverage']:.1f}"
                    f"{worst['tick_p50']:10.2f}/{worst['tick_p99']:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
