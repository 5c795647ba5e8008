"""What the launch files share: arguments, checks before anything starts, and what the end of a process means.

Only launch files import this module; nodes do not need the launch system.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import ExecuteProcess, LogInfo, Shutdown
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.some_entities_type import SomeEntitiesType
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from ..config.parameter_file import ParameterFile
from ..config.required import missing_for_robot
from ..config.section import Section
from ..config.settings_file import read_settings
from ..exceptions import ConfigurationError, similar
from .launched import LAUNCH

SWITCH = ["", "true", "false"]  # choices of an argument that overrides the parameter file only where it is given
S = TypeVar("S", bound=Section)
GUARD = "guard_node"
BROKEN_OFF = 1  # exit code of a process of Python that ended by an error of its own; 2: it could not start
SIMULATORS = ("gazebo", "gz", "ign", "ruby")  # names of the process that ros_gz_sim's launch file starts
LOG_LEVELS = ["debug", "info", "warn", "error", "fatal"]


class LaunchError(RuntimeError):
    """What is asked for cannot be launched; the launch ends with exit code 1 and this message."""


def given(context: LaunchContext, name: str) -> str:
    """Return the value of a launch argument; empty where there is none."""
    return str(LaunchConfiguration(name, default="").perform(context))


def whole(name: str, text: str) -> int:
    """Return the value of a launch argument that is a number of things; LaunchError where it is none."""
    if not text.isdecimal():
        raise LaunchError(f"{name}: write a whole number, got '{text}'")
    return int(text)


def namespaces(context: LaunchContext, name: str) -> list[str]:
    """Return the namespaces in a launch argument; LaunchError where there is none, or one is given twice."""
    found = [part.strip().strip("/") for part in given(context, name).split(",")]
    if not all(found) or len(set(found)) < len(found):
        raise LaunchError(f"{name}: write different namespaces, separated by commas, got '{given(context, name)}'")
    return found


def full_name(context: LaunchContext, node: str = "mpc_node") -> str:
    """Return the full name of a node in the namespace that the launch file was given."""
    namespace = given(context, "namespace").strip("/")
    return f"/{namespace}/{node}" if namespace else f"/{node}"


def params_file(context: LaunchContext, node: str = "mpc_node") -> str:
    """Return the parameter file that was given, once it was read for a node of this name and found to be right.

    Raises
    ------
    LaunchError
        There is none, it cannot be read, or it holds something wrong for the node.
    """
    path = given(context, "params_file")
    if not path:
        raise LaunchError("which robot? Give its parameter file: params_file:=FILE")
    if not Path(path).is_file():
        raise LaunchError(f"params_file: there is no file '{path}'{_nearest(Path(path))}")
    settings(context, path, node)
    return path


def settings(context: LaunchContext, path: str, node: str = "mpc_node") -> dict[str, Any]:
    """Return {key: value} of what a parameter file gives a node of this name in the launch file's namespace.

    Raises
    ------
    LaunchError
        It cannot be read, or it holds something wrong for the node, or nothing for mpc_node.
    """
    try:
        if ParameterFile.read(path).sections is not None:
            raise LaunchError(
                f"params_file: {path} names no node, so that ROS reads nothing of it; "
                f"write '/**:' and below it '  ros__parameters:' above its sections"
            )
        return read_settings(path, node, full_name(context))
    except ConfigurationError as error:
        raise LaunchError(f"params_file: {error}") from None


def section(values: Mapping[str, Any], prefix: str, kind: type[S], source: str) -> S:
    """Return one section of the settings {key: value} of a parameter file."""
    own = {key[len(prefix) + 1 :]: value for key, value in values.items() if key.startswith(f"{prefix}.")}
    return kind.from_mapping(own, prefix=f"{prefix}.", source=source)


def require_robot(context: LaunchContext, *, shadow: bool = False) -> str:
    """Return the parameter file, which must say what mpc_node needs before commands may go to a robot.

    Raises
    ------
    LaunchError
        As params_file(), or it does not hold what has no default.
    """
    path = params_file(context)
    values, commanded = settings(context, path), not switched(context, "lockstep", path)
    shadow = shadow or bool(values.get("shadow", False))
    if missing := missing_for_robot(values, commanded=commanded, shadow=shadow):
        raise LaunchError(f"params_file: {path} gives {full_name(context)} too little: {missing}")
    return path


def require_packages(*packages: str) -> None:
    """Raise LaunchError, before anything starts, if one of these ROS packages is not installed."""
    missing = []
    for package in packages:
        try:
            get_package_prefix(package)
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        names = " ".join(f"ros-$ROS_DISTRO-{package.replace('_', '-')}" for package in missing)
        raise LaunchError(f"these packages are not installed: {', '.join(missing)}. sudo apt install {names}")


def switches(context: LaunchContext, names: Iterable[str]) -> dict[str, bool]:
    """Return {parameter: value} of the on-off arguments that were given; the others are the parameter file's."""
    return {name: value == "true" for name in names if (value := given(context, name))}


def switched(context: LaunchContext, name: str, path: str) -> bool:
    """Return whether mpc_node's parameter `name` is on: by its launch argument, or by the parameter file at `path`."""
    if value := given(context, name):
        return value == "true"
    entry = ParameterFile.read(path).entries(full_name(context)).get(name)
    return entry is not None and entry.value is True


def guard_name(context: LaunchContext, path: str) -> str:
    """Return the name of the guard that is to be started, empty for none.

    The launch argument `guard` decides where it is given, else mpc_node's parameter `guard` in the parameter file at
    `path`. Where neither says anything there is a guard.
    """
    entry = ParameterFile.read(path).entries(full_name(context)).get("guard")
    of_file, argument = GUARD if entry is None else str(entry.value), given(context, "guard")
    if argument:
        return (of_file or GUARD) if argument == "true" else ""
    return of_file


def node(name: str, *, on_exit: Callable[..., Any], called: str = "", **options: Any) -> Node:
    """Return one of this package's nodes, which ends with the launch system, in the launch file's namespace."""
    own = {"namespace": LaunchConfiguration("namespace", default=""), **options}
    return Node(
        package="mbrl_ros",
        executable=name,
        name=called or name,
        output="screen",
        additional_env={LAUNCH: str(os.getpid())},
        on_exit=on_exit,
        **own,
    )


def activation(context: LaunchContext, *controllers: str) -> ExecuteProcess:
    """Return a process that activates configured controllers of ros2_control once mpc_node can command them."""
    names = [full_name(context), full_name(context, "controller_manager"), *controllers]
    return ExecuteProcess(
        cmd=[sys.executable, "-m", "mbrl_ros.nodes.activate_controllers", *names],
        name="activate_controllers",
        output="screen",
        additional_env={LAUNCH: str(os.getpid())},
        on_exit=must_succeed,
    )


def simulator_ends_launch(event: ProcessExited, context: LaunchContext) -> SomeEntitiesType | None:
    """End the launch with a simulator that an included launch file started, as ends_launch().

    Raises
    ------
    LaunchError
        It ended with an exit code other than 0.
    """
    return ends_launch(event, context) if event.process_name.startswith(SIMULATORS) else None


def ends_launch(event: ProcessExited, context: LaunchContext) -> SomeEntitiesType | None:
    """End the launch with a process that it needs; with exit code 1 where that process failed.

    Raises
    ------
    LaunchError
        The process ended with an exit code other than 0. The launch system ends everything and returns 1.
    """
    if context.is_shutdown:
        return None
    name = _program(event)
    if event.returncode != 0:
        raise LaunchError(f"{name} has ended with exit code {event.returncode}; it was asked for")
    return [Shutdown(reason=f"{name} has ended")]


def left_to_guard(event: ProcessExited, context: LaunchContext) -> SomeEntitiesType | None:
    """End the launch with mpc_node, but not where it was killed or broke off: guard_node holds the arm and must go on.

    Raises
    ------
    LaunchError
        It could not start.
    """
    return _left(event, context, "guard_node goes on and holds the arm") or ends_launch(event, context)


def left_to_controller(event: ProcessExited, context: LaunchContext) -> SomeEntitiesType | None:
    """End the launch with guard_node, but not where it was killed or broke off: mpc_node stops and holds the arm.

    Raises
    ------
    LaunchError
        It could not start, or ended without being asked to.
    """
    return _left(event, context, "mpc_node stops the arm and holds it") or must_not_end(event, context)


def _left(event: ProcessExited, context: LaunchContext, other: str) -> SomeEntitiesType | None:
    """Say what the `other` of mpc_node and guard_node does; None where it does not, or nobody was killed or broke off.

    The first that ends in a namespace is noted: after it there is no other one.
    """
    code, name = event.returncode, _program(event)
    if context.is_shutdown or code >= 0 and code != BROKEN_OFF:
        return None
    namespace = next((part for part in event.cmd if part.startswith("__ns:=")), "")
    if context.launch_configurations.setdefault(f"ended first {namespace}", name) != name:
        return None
    what = "broke off with an error" if code > 0 else f"was killed by signal {-code}"
    return [LogInfo(msg=f"{name} {what}; {other}. Start {name} again, or end this launch once the arm is safe")]


def must_not_end(event: ProcessExited, context: LaunchContext) -> SomeEntitiesType | None:
    """End the launch with exit code 1 when a process ends that should have run as long as the others.

    Raises
    ------
    LaunchError
        It has ended, whatever its exit code.
    """
    if context.is_shutdown:
        return None
    name = _program(event)
    raise LaunchError(f"{name} has ended with exit code {event.returncode} before the others; it was asked for")


def must_succeed(event: ProcessExited, context: LaunchContext) -> SomeEntitiesType | None:
    """End the launch with exit code 1 when a process that does one thing could not do it.

    Raises
    ------
    LaunchError
        Its exit code is not 0.
    """
    if context.is_shutdown or event.returncode == 0:
        return None
    name = _program(event)
    raise LaunchError(f"{name} has failed with exit code {event.returncode}")


def _program(event: ProcessExited) -> str:
    """Return the name of a process without the number that the launch system appends."""
    return event.process_name.rpartition("-")[0] or event.process_name


def _nearest(path: Path) -> str:
    """Return a question about a file with a similar name beside the one that is not there."""
    if not path.parent.is_dir():
        return f" (nor a folder '{path.parent}')"
    names = [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")]
    close = similar(path.name, names)
    return f"; did you mean '{path.parent / close}'?" if close else ""
