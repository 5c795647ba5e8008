r"""How near the policy of `mbrl learn --method gps --task panda_reach` comes to targets from starts it was not taught.

    python benchmark/guided_reach.py --seeds 10 11 12
    python benchmark/guided_reach.py --seeds 10 --set form=cost

For each seed the method has `--episodes` trials, and the policy that it then has runs `--tests` episodes from starts
whose seeds no trial had; none of them is learned from. Printed: the share of these that end within 2 cm, the median,
the 0.9 quantile and the maximum of the distance [m] at the end.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import yaml

from mbrl_ros.learning.base import episode_seed, roll_out
from mbrl_ros.learning.gps import GuidedLearner, Settings
from mbrl_ros.tasks.panda_reach import REACH_WITHIN, build
from mbrl_ros.types import Array

TEST_SEED = 900  # its episodes' starts are those of no seed below it


def distances(seed: int, episodes: int, tests: int, settings: Settings) -> tuple[Array, float]:
    """Return the distances (tests,) [m] at the end, and the return of the last trial."""
    task = build()
    learner = GuidedLearner(task, seed, settings)
    last = [episode.reward for episode in learner.episodes(episodes)][-1]
    ends = [roll_out(task, episode_seed(TEST_SEED, i), learner.search.act_policy) for i in range(tests)]
    return np.array([task.distance(rollout.transitions[-1].x_next) for rollout in ends]), last


def main() -> None:
    """Print a line for each seed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12])
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--tests", type=int, default=100)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of gps")
    options = parser.parse_args()
    given = dict(item.split("=", 1) for item in options.set)
    settings = Settings.from_mapping({key: yaml.safe_load(value) for key, value in given.items()})
    for seed in options.seeds:
        begin = time.process_time()
        found, last = distances(seed, options.episodes, options.tests, settings)
        print(
            f"seed {seed}: {(found <= REACH_WITHIN).mean():.0%} within {REACH_WITHIN} m; "
            f"median {np.median(found):.4f}, "
            f"0.9 quantile {np.quantile(found, 0.9):.4f}, maximum {found.max():.4f} m; last trial {last:.2f}; "
            f"{time.process_time() - begin:.0f} s of processor time",
            flush=True,
        )


if __name__ == "__main__":
    main()
