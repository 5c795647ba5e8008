"""`mbrl distill`: fit a policy to recorded supervision samples, without ROS."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..exceptions import DataError
from ._numbers import SEED_NUMBER, whole
from ._settings import add_node_argument

if TYPE_CHECKING:
    from ..distillation.dataset import Supervision

HELP = "distil a policy from the supervision samples recorded in bags"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "bags",
        nargs="+",
        type=Path,
        metavar="BAG",
        help="bags with a supervision topic (of mpc_node with control.controller: teach)",
    )
    parser.add_argument("--robot", default="panda", help="a name from config/ or a YAML file (default: panda)")
    add_node_argument(parser)
    parser.add_argument(
        "--topic", default="", help="supervision topic (default: every topic whose name ends in /supervision)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("distilled.policy"),
        metavar="FILE",
        help="file to write (default: distilled.policy)",
    )
    parser.add_argument(
        "--restarts",
        type=whole(0),
        default=2,
        metavar="N",
        help="further fits, each starting from the last policy (default: 2)",
    )
    parser.add_argument("--seed", type=SEED_NUMBER, help="seed of the networks (default: distillation.seed)")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..distillation.trainer import Trainer
    from ..robots import load_robot
    from ._policies import configuration_of

    configuration = configuration_of(args.robot, args.node)
    settings = configuration.distillation
    if args.seed is not None:
        settings = settings.replace(seed=args.seed)
    malformed: Counter[str] = Counter()
    trainer = Trainer(load_robot(configuration.robot), settings)
    for bag in args.bags:
        for sample in _samples(bag, args.topic, malformed):
            trainer.offer(sample)
    memory = trainer.memory
    if memory is None or not memory.count:
        raise DataError(
            f"no usable supervision in {', '.join(map(str, args.bags))}"
            + (f"; refused: {dict(malformed)}" if malformed else "")
        )
    print(
        f"{memory.count} samples stored of {memory.offered} new ones from {memory.taught:.1f} s; "
        f"left out: {dict(memory.rejected + malformed)}"
    )
    for _ in range(1 + args.restarts):
        report = trainer.learn(fresh=0)
        if report is None:
            raise DataError(f"{memory.count} samples are too few to learn from")
        print(
            f"loss {report.training:.4f}, held out {report.held_out:.4f}: {report.iterations} iterations, "
            f"{report.seconds:.1f} s"
        )
    assert trainer.policy is not None  # learn() has returned a report
    trainer.policy.save(args.output)
    print(f"wrote {args.output}")
    return 0


def _samples(bag: Path, wanted: str, malformed: Counter[str]) -> Iterator[Supervision]:
    """Yield the samples of a bag in the order of their stamps; what cannot be read is counted in `malformed`."""
    from ..data.stream import BagStream, Decoder
    from ..messages.supervision import read

    stream = BagStream(bag)
    topics = [name for name in stream.topics if name == wanted or not wanted and name.endswith("/supervision")]
    if not topics:
        raise DataError(
            f"{bag} has no supervision topic{f' {wanted!r}' if wanted else ''}; it has {sorted(stream.topics)}"
        )
    decoder = Decoder(stream)
    for topic, kind, _, data in stream.messages(topics):
        message = decoder.decode(topic, kind, data)
        if message is None:
            malformed["undecodable"] += 1
            continue
        try:
            yield read(message)[0]
        except (DataError, AttributeError) as error:
            malformed[str(error)[:60]] += 1
    for note in stream.notes:
        print(f"{bag}: {note}")
