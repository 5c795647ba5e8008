"""A thousand damaged bags through `mbrl replay` and `mbrl doctor`: truncated anywhere, or with up to 40 bytes changed.

    python benchmark/replay_fuzz.py [--count 1000] [--seed 0] [BAG ...]

Every one must be replayed or refused with a message; what raises anything else is listed with its seed and kept as
fuzz_SEED. A case that takes longer than a minute ends the run with the stack. Without bags, small ones are made
(test/support/replay_bags.py) in every storage and compression.
"""

import argparse
import contextlib
import faulthandler
import io
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1] / "test"))

from mbrl_ros.cli.main import main as mbrl
from mbrl_ros.exceptions import MbrlError
from mbrl_ros.replay import ReplayOptions, replay
from support.replay_bags import damaged

HANG = 60.0  # [s]
FORMS = [
    ("mcap", ""),
    ("mcap", "storage"),
    ("mcap", "message"),
    ("sqlite3", ""),
    ("sqlite3", "file"),
    ("sqlite3", "message"),
]


def small_bags(folder: Path) -> list[Path]:
    """Make small bags in every storage and compression, and one of a run in real time."""
    from mbrl_ros.safety.state_machine import Request
    from support.realtime_robot import Robot
    from support.replay_bags import closed_loop, write_bag

    robot = Robot(player=True)
    robot.point(0.7, -0.3)
    robot.publish_states(50)
    robot.loop.request(Request.HOLD)
    robot.publish_states(10)
    robot.loop.request(Request.RESUME)
    robot.publish_states(40)
    messages, _ = closed_loop(seconds=2.0)
    forms = [
        write_bag(folder / f"{storage}_{compression or 'plain'}", messages, storage, compression)
        for storage, compression in FORMS
    ]
    return [*forms, robot.bag(folder / "realtime")]


def copy_of(bag: Path, folder: Path, rng: np.random.Generator) -> Path:
    """Make a damaged copy: of the storage file, and in one case of ten of metadata.yaml instead."""
    if bag.is_file():
        copy = folder / bag.name
        copy.write_bytes(damaged(bag.read_bytes(), rng))
        return copy
    copy = folder / bag.name
    copy.mkdir()
    files = sorted(bag.iterdir())
    victim = files.index(bag / "metadata.yaml") if rng.random() < 0.1 else rng.integers(len(files) - 1)
    for index, file in enumerate(files):
        content = file.read_bytes()
        (copy / file.name).write_bytes(damaged(content, rng) if index == victim else content)
    return copy


def one(bag: Path, seed: int) -> str:
    """Return what became of a damaged copy: replayed, partly replayed or refused; anything else is raised."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_of(bag, Path(folder), rng)
        try:
            made = replay(ReplayOptions(copy, plan=seed % 10 == 0))
            outcome = "replayed in part" if made.setup.stream.notes or made.summary["rejected"] else "replayed"
            if made.summary["controller_errors"]:
                outcome = "controller errors"
        except MbrlError as error:
            assert str(error)
            outcome = "refused"
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert mbrl(["doctor", str(copy)]) in (0, 1, 2)
    return outcome


def main() -> int:
    """Try all bags and print what became of them; 1 where one raised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bags", nargs="*", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("error", RuntimeWarning)
    outcomes, failed, slowest = Counter(), [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        bags = args.bags or small_bags(Path(folder))
        for seed in tqdm(range(args.seed, args.seed + args.count), unit="bag", mininterval=5.0):
            bag = bags[seed % len(bags)]
            faulthandler.dump_traceback_later(HANG, exit=True)
            begin = time.perf_counter()
            try:
                outcomes[one(bag, seed)] += 1
            except Exception:
                failed.append(seed)
                outcomes["TRACEBACK"] += 1
                print(f"\nseed {seed}, {bag.name}:\n{traceback.format_exc()}", file=sys.stderr)
            slowest = max(slowest, time.perf_counter() - begin)
            faulthandler.cancel_dump_traceback_later()
    print(f"{args.count} damaged bags: " + ", ".join(f"{count} {what}" for what, count in outcomes.most_common()))
    print(f"slowest {slowest:.1f} s; failed seeds: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
