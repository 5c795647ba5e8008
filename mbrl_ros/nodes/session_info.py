"""The session topic of a recording: the parameters of the recorded node and the versions in use, as JSON in a String.

`mbrl replay` builds the same controller from it. Layout: {"format": 1, "node": full name, "parameters": {name: value},
"versions": {what: version}}.
"""

from __future__ import annotations

import array
import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from rclpy.utilities import get_rmw_implementation_identifier

from ..codegen.processor import processor_name
from ..data.stream import BagStream, Decoder
from .answers import when_answered

SESSION = "/mbrl_session"
PACKAGES = ("mbrl_ros", "numpy", "scipy", "casadi", "rosbags", "mujoco")


class SessionReader:
    """Ask running nodes for all their parameters, each node once.

    `write(node, number, text)` is given the full name of the node, the number of its parameters and the JSON text.
    """

    def __init__(self, node: Node, write: Callable[[str, int, str], None]):
        self._node, self._write = node, write
        self._clients: dict[str, AsyncParameterClient] = {}

    def ask(self, name: str) -> None:
        """Ask the node of the full name `name`, unless it has been asked or does not answer yet."""
        if name in self._clients:
            return
        client = AsyncParameterClient(self._node, name)
        if client.services_are_ready():
            self._clients[name] = client
            when_answered(self._node, client.list_parameters(), lambda answer: self._on_names(name, answer))

    def _on_names(self, node: str, answer: Any) -> None:
        names = answer.result.names
        values = self._clients[node].get_parameters(names)
        when_answered(self._node, values, lambda got: self._on_values(node, names, got))

    def _on_values(self, node: str, names: list[str], answer: Any) -> None:
        values = {
            name: _plain(parameter_value_to_python(value)) for name, value in zip(names, answer.values, strict=True)
        }
        session = {"format": 1, "node": node, "parameters": values, "versions": versions()}
        self._write(node, len(values), json.dumps(session))


def versions() -> dict[str, str]:
    """Return the versions of Python, ROS 2, the middleware and the packages that a result depends on; the machine."""
    found = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": processor_name(),
        "cores": str(os.cpu_count()),
        "ros": os.environ.get("ROS_DISTRO", ""),
        "rmw": get_rmw_implementation_identifier(),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def recorded_node(bag: BagStream) -> str:
    """Return the full name of the controller that was recorded; empty if the bag does not say."""
    decoder = Decoder(bag)
    for topic, kind, _, data in bag.messages([SESSION]):
        message = decoder.decode(topic, kind, data)
        try:
            return str(json.loads(message.data)["node"])
        except (AttributeError, ValueError, TypeError, KeyError):
            return ""
    return ""


def _plain(value: Any) -> Any:
    """Return a parameter's value in types that JSON knows."""
    return list(value) if isinstance(value, (list, tuple, array.array, bytes)) else value
