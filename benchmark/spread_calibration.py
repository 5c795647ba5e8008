r"""How far members disagree against how far they are off, on the next episode: the table of doc/learning.md.

    python benchmark/spread_calibration.py --random
    python benchmark/spread_calibration.py --seeds 0 1 2

Every model of `mbrl learn --method pets` and `--method bnn` learns `cartpole_swingup`; each episode under plans is
predicted, step by step, by the model that planned it and has not seen it. The table has the share of the changes of
velocity that lie in the interval of 95 %, mean +- 1.96 sqrt(aleatoric + c^2 epistemic), with c = 1 and with c from the
episode before, the c of the episode itself, and the mean logarithm of the predictive density. With `--random` every
model is fitted to one and to four random episodes and predicts three others.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from mbrl_ros.dynamics.gaussian_ensemble import features
from mbrl_ros.learning import bnn, pets
from mbrl_ros.learning.base import random_commands, roll_out
from mbrl_ros.learning.ensemble_model import BayesianModel, EnsembleModel, NetworkModel, rows_of
from mbrl_ros.learning.model_based import HELD_PERIODS, RANDOM_SHARE
from mbrl_ros.learning.pets import learn_under_plans
from mbrl_ros.tasks.catalog import make_task
from mbrl_ros.types import Array, Transition

TASK = "cartpole_swingup"
MODELS: dict[str, tuple[type[NetworkModel], Any]] = {
    "pets, members: same": (EnsembleModel, pets.Settings(members="same")),
    "pets, members: resampled": (EnsembleModel, pets.Settings(members="resampled")),
    "bnn, posterior: network": (BayesianModel, bnn.Settings(posterior="network")),
    "bnn, posterior: last_layer": (BayesianModel, bnn.Settings(posterior="last_layer")),
}


def judged(d: Array, mean: Array, variance: Array) -> list[float]:
    """Return the share of d (N, n) inside 95 %, and the mean log density."""
    inside = np.abs(d - mean) <= 1.96 * np.sqrt(variance)
    density = -0.5 * (np.log(2.0 * np.pi * variance) + (d - mean) ** 2 / variance)
    return [float(inside.mean()), float(density.mean())]


def watched(kind: type[NetworkModel], found: list[list[float]]) -> type[NetworkModel]:
    """Return the model, which writes a row to `found` for every episode that it is calibrated by."""

    class Watched(kind):  # type: ignore[misc,valid-type]  # a base that is an argument
        def calibrate(self, transitions: Sequence[Transition]) -> None:
            X, U, d = rows_of(transitions)
            mean, aleatoric, epistemic = self._judged().moments(features(X, U))
            row = [f for c in (np.ones(d.shape[1]), self.spread) for f in judged(d, mean, aleatoric + c**2 * epistemic)]
            calibrated_before = bool((self.spread != 1.0).any())
            super().calibrate(transitions)
            if calibrated_before:
                found.append([*row, float(np.exp(np.log(self.spread).mean()))])

    return Watched


def of_random_episodes() -> None:
    """Print the errors and the share inside 95 % of every model on random episodes it has not seen."""
    task = make_task(TASK)

    def episode(seed: int) -> list[Transition]:
        U = random_commands(task, np.random.default_rng(seed), HELD_PERIODS, RANDOM_SHARE)
        return roll_out(task, seed, lambda t, x: U[t]).transitions

    X, U, d = rows_of([t for seed in (100, 101, 102) for t in episode(seed)])
    print("| model | episodes | rms error [m/s], [rad/s] | inside 95 % |")
    print("|---|---:|---:|---:|")
    for name, (kind, settings) in MODELS.items():
        for episodes in (1, 4):
            model = kind(task.info, settings, 0)  # type: ignore[arg-type]  # of a subclass
            for seed in range(episodes):
                model.add(episode(seed))
            model.fit()
            mean, aleatoric, epistemic = model._judged().moments(features(X, U))
            errors = np.sqrt(((d - mean) ** 2).mean(axis=0))
            inside = judged(d, mean, aleatoric + epistemic)[0]
            print(f"| {name} | {episodes} | {errors[0]:.4f}, {errors[1]:.4f} | {100 * inside:.1f} |", flush=True)


def main() -> None:
    """Print the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--episodes", type=int, default=6)
    parser.add_argument("--random", action="store_true", help="on random episodes instead")
    args = parser.parse_args()
    if args.random:
        of_random_episodes()
        return
    task = make_task(TASK)
    print("| model | inside 95 %, c = 1 | calibrated | log density, c = 1 | calibrated | c of the episode |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, (kind, settings) in MODELS.items():
        found: list[list[float]] = []
        for seed in args.seeds:
            model = watched(kind, found)(task.info, settings, seed)  # type: ignore[call-arg]  # of a subclass
            for _ in learn_under_plans(task, seed, args.episodes, model, settings):
                pass
        inside, density, after, density_after, _ = np.mean(found, axis=0)
        c = np.array(found)[:, 4]
        print(
            f"| {name} | {100 * inside:.1f} | {100 * after:.1f} | {density:.2f} | {density_after:.2f} |"
            f" {np.median(c):.1f} ({c.min():.1f} to {c.max():.1f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
