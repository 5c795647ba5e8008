"""Build all functions of a robot and a configuration before they are needed, for this machine or for another one."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from ..codegen.compiler import Request, build_for, loading, noted_requests
from ..codegen.numeric import NUMERIC, sources_of_description
from ..codegen.units import RecordedUnits
from ..config.configuration import Configuration
from ..controllers.compiled_parts import LIBRARIES
from ..controllers.factory import build_controller
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..robots.pose_kinematics import PoseKinematics
from ..safety.factory import make_supervisor


def compile_here(robot: Robot, configuration: Configuration) -> None:
    """Compile what mpc_node needs into this user's cache, so that its start compiles nothing."""
    with loading(LIBRARIES):
        _build(robot, configuration)


def write_units(
    robot: Robot,
    configuration: Configuration,
    path: Path,
    instruction_set: str,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write the functions of mpc_node, model_health_node and guard_node to a file for machines without CasADi.

    Parameters
    ----------
    robot, configuration
        What they are of; the other machine must have the same.
    path
        The file, for the setting `robot.units`.
    instruction_set
        Of codegen/processor.py: what the compiled libraries may use; "" to write none, so that the other machine's
        compiler makes them.
    show
        Called with the number of libraries that are compiled, and how many there are.

    Returns
    -------
    The number of functions.

    Raises
    ------
    CompileError
        A library cannot be compiled.
    ConfigurationError
        The controller cannot be built.
    """
    units = RecordedUnits()
    with noted_requests() as requests, loading(LIBRARIES):
        _build(dataclasses.replace(robot, units=units), configuration)
    wanted = list(requests.values()) if instruction_set else []
    if instruction_set:
        functions = (entry["value"] for entry in units.entries.values() if isinstance(entry["value"], dict))
        numeric = (function for function in functions if function.get("kind") == NUMERIC)
        wanted += [Request(one["name"], sources_of_description(one), ()) for one in numeric]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        building = {pool.submit(build_for, request, Path(folder), instruction_set): request for request in wanted}
        libraries = {}
        try:
            for done in as_completed(building):
                libraries[building[done].key] = done.result()
                show(len(libraries), len(wanted))
        except BaseException:  # interrupted, or one was refused: none of the others is begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        units.write(path, libraries, instruction_set)
    return len(units.entries)


def _build(robot: Robot, configuration: Configuration) -> None:
    build_controller(robot, configuration)
    make_supervisor(robot, configuration)
    Kinematics(robot)
    PoseKinematics(robot)
