"""`mbrl demo`: the package's main job, on real messages, while you watch."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from ..exceptions import ConfigurationError

HELP = "a torque-controlled Panda that knows nothing learns to move, on real nodes over real DDS"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scenario", choices=("learn", "distill"), default="learn",
                        help="learn: from nothing, on nodes; distill: three minutes of plans become a policy that acts alone "
                             "(in this process, in lockstep; only --seed, --duration and --output count)")
    parser.add_argument("--seed", type=int, default=0, help="of targets, noise and exploration (default: 0)")
    parser.add_argument("--duration", type=float, help="simulated seconds (default: the whole scenario, 57 s)")
    parser.add_argument("--rate", type=float, help="control rate [Hz] (default: the robot's configuration, 200)")
    parser.add_argument("--payload", type=float, default=1.5, metavar="KG", help="added to the hand mid-run (default: 1.5)")
    parser.add_argument("--lockstep", action="store_true",
                        help="every state waits for its command: the result depends on the seed, not on the machine")
    parser.add_argument("--headless", action="store_true", help="draw no picture of the robot")
    parser.add_argument("--robot", default="panda", help="a name from config/ or a YAML file (default: panda)")
    parser.add_argument("--compare", action="store_true",
                        help="run the same scenario in lockstep with other estimators, models and a PID; one table")
    parser.add_argument("--output", type=Path, default=Path("output/demo"), metavar="DIR",
                        help="for report.html, summary.json and the pictures (default: output/demo)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the controller")


def run(args: argparse.Namespace) -> int:
    if args.scenario == "distill":
        return _distill(args)
    from ..demo import present
    from ..demo.run import VARIANTS, Options
    options = Options(config=_config(args.robot), seed=args.seed, duration=args.duration, rate=args.rate,
                      payload_kg=args.payload, lockstep=args.lockstep or args.compare,
                      settings=dict(map(_assignment, args.set)))
    if not args.compare:
        summary = present.run(options, args.output, label="demo", picture=not args.headless)
        print(present.text(summary))
    else:
        summaries = {}
        for label, settings in VARIANTS.items():
            variant = replace(options, settings={**options.settings, **settings}, images=False)
            folder = args.output / label.replace(" ", "-").replace(",", "").replace("%", "percent")
            summaries[label] = present.run(variant, folder, label=label, picture=False)
        table = present.comparison(summaries)
        (args.output / "comparison.txt").write_text(table + "\n")
        (args.output / "comparison.json").write_text(json.dumps(summaries, indent=2) + "\n")
        print(table)
    print(f"\nreport: {args.output / ('comparison.txt' if args.compare else 'report.html')}")
    return 0


def _distill(args: argparse.Namespace) -> int:
    from ..demo import distill, distill_report
    summary, policy, traces = distill.run(args.seed, seconds=args.duration or distill.TEACHING)
    policy.save(args.output / "distilled.policy")
    page = distill_report.write(args.output, summary, traces)
    print(distill.text(summary))
    print(f"\npolicy: {args.output / 'distilled.policy'}, report: {page}, numbers: {args.output / 'summary.json'}")
    return 0


def _config(robot: str) -> Path:
    from ..share import config_file
    path = Path(robot)
    return path if path.suffix in (".yaml", ".yml") and path.exists() else config_file(robot)


def _assignment(text: str) -> tuple[str, object]:
    import yaml
    key, separator, value = text.partition("=")
    if not separator:
        raise ConfigurationError(f"--set takes KEY=VALUE, got '{text}'", key=key, value=text)
    return key, yaml.safe_load(value)
