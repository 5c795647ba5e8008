"""The demo in lockstep with the real nodes over DDS, ten seeds, one line each: the table in doc/benchmarks.md.

python benchmark/ten_seeds.py [--seeds 10] [--output DIR]
"""

import argparse
from pathlib import Path

from mbrl_ros.cli.environment import prepare
from mbrl_ros.config.resources import config_file
from mbrl_ros.demo import present
from mbrl_ros.demo.run import Options

COLUMNS = (
    "seed",
    "latest within 1 cm [s]",
    "rest [mm]",
    "peak deviation [mm]",
    "back [s]",
    "loaded rest [mm]",
    "image [% width]",
    "speed [% limit]",
    "outside limits",
    "NIS in bound [%]",
)


def row(summary: dict) -> list[str]:
    """Return the worst of each number over the run's targets."""
    if not summary["verdict"]["pass"]:
        return [str(summary["seed"]), summary["verdict"]["why"], *[""] * (len(COLUMNS) - 2)]
    targets, load = summary["targets"], summary["payload"]
    late = [t["time_to_1cm_s"] for t in targets]
    return [
        str(summary["seed"]),
        "never" if None in late else f"{max(late):+.2f}",
        f"{max(t['rest_error_mm'] for t in targets[:-2]):.2f}",
        f"{load['bump_mm']:.1f}",
        "never" if load["recover_to_1cm_s"] is None else f"{load['recover_to_1cm_s']:.2f}",
        f"{max(load['rest_error_mm'], *(t['rest_error_mm'] for t in targets[-2:])):.2f}",
        f"{100 * max(f['final_error_fraction'] for f in summary['feature_targets']):.2f}",
        f"{100 * summary['max_joint_speed_fraction']:.0f}",
        str(summary["limit_violations"]),
        f"{100 * summary['prediction']['nis_coverage_95']:.1f}",
    ]


def main() -> None:
    """Run the benchmark of the command line and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--output", type=Path, default=Path("output/ten_seeds"))
    args = parser.parse_args()
    prepare()
    rows = [
        row(
            present.run(
                Options(config_file("panda"), seed=seed, lockstep=True),
                args.output / f"seed{seed}",
                label=f"seed {seed}",
                picture=False,
            )
        )
        for seed in range(args.seeds)
    ]
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---:|" * len(COLUMNS))
    for cells in rows:
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
