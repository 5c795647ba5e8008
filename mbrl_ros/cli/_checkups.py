"""Measure a bag or a live graph, for `mbrl doctor` and `mbrl init`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ..console.progress import Progress
from ..data.stream import BagStream, Decoder, joint_names
from ..exceptions import DataError
from ..replay.checkup import Checkup
from ..replay.partial_states import PartialStates
from ..replay.state_topic import names_in, with_state_topic
from ..replay.topics import ROLES, Mapped, roles_of

WANTED = ("states", "commands", "description")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="ROLE=TOPIC",
        help="use TOPIC in the role states, commands or description",
    )


def of_bag(args: argparse.Namespace, path: Path, wanted: Sequence[str] = ()) -> tuple[Checkup, list[str]]:
    """Measure a bag of a robot with the joints `wanted`; return the checkup and notes on what is damaged."""
    stream = BagStream(path)
    names = names_in(stream)
    mapped = with_state_topic(Mapped.of(args.topic), stream.topics, names, wanted)
    roles = _wanted(roles_of(stream.topics, mapped, str(path)))
    decoder, partial = Decoder(stream), PartialStates.wanted(wanted, _joints(roles, names))
    checkup = Checkup.of(stream.topics, roles, stream.messages(roles), decoder, partial)
    broken = [f"{count} messages on {topic} cannot be decoded" for topic, count in decoder.broken.items()]
    return checkup, [*stream.notes, *broken]


def _joints(roles: Mapping[str, str], names: Callable[[str], Iterable[str]]) -> list[str]:
    """Return the joints on the topics of joint states; `names` returns those on a topic."""
    return [joint for topic, role in roles.items() if role == "states" for joint in names(topic)]


def of_graph(args: argparse.Namespace, seconds: float, wanted: Sequence[str] = ()) -> tuple[Checkup, list[str]]:
    """Measure the live graph for `seconds`, of a robot with the joints `wanted`; return the checkup and no notes."""
    from ..nodes.graph_capture import capture

    kinds = tuple({ROLES[role][0] for role in WANTED})
    with Progress("doctor", seconds) as shown:
        topics, messages = capture(seconds, kinds, lambda done: shown.show("receiving", min(done, seconds)))
    decoder = Decoder(None)

    def names(topic: str) -> list[str]:
        return joint_names((message for message in messages if message[0] == topic), decoder)

    try:
        mapped = with_state_topic(Mapped.of(args.topic), topics, names, wanted)
        roles = _wanted(roles_of(topics, mapped, "the graph"))
    except DataError as error:
        raise DataError(f"{error} (domain {_domain()}; nodes of other domains are not visible)") from None
    of_roles = (message for message in messages if message[0] in roles)
    partial = PartialStates.wanted(wanted, _joints(roles, names))
    return Checkup.of(topics, roles, of_roles, decoder, partial), []


def _wanted(roles: dict[str, str]) -> dict[str, str]:
    return {topic: role for topic, role in roles.items() if role in WANTED}


def _domain() -> str:
    return os.environ.get("ROS_DOMAIN_ID", "0")
