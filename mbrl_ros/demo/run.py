"""Run a scenario with the real nodes: sim_node and mpc_node as processes on a DDS domain of their own.

The nodes are configured by one YAML each, written for the run; targets and events carry stamps, so that in lockstep
the result depends on the seed alone.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..config.configuration import Configuration, setting_keys
from ..config.scalars import quoted, written
from ..config.section import is_empty
from ..config.sections.simulation import CameraSettings, PlantSettings
from ..config.settings_file import read_settings
from ..console.signals import hurried
from ..data.tick_log import load_tick_log
from ..exceptions import MbrlError
from ..robots import Robot, load_robot
from ..types import Array
from .scenario import Scenario, build_scenario

START_STAMP = 1.0  # stamp of the first state [s]
GRACE = 20.0  # time for a node to end in order before it is killed [s]

# what `--compare` runs: label -> settings of the controller
VARIANTS: dict[str, dict[str, Any]] = {
    "refit": {},
    "output-error": {"dynamics.estimator": "output_error"},
    "frozen after 4 s": {"dynamics.estimator": "frozen", "dynamics.freeze_after": 4.0},
    "nominal -20 % mass, fixed": {
        "dynamics.prior": "rigid_body",
        "prior.rigid_body.mass_scale": 0.8,
        "dynamics.estimator": "frozen",
        "dynamics.freeze_after": 0.0,
    },
    "nominal -20 % mass, refit": {"dynamics.prior": "rigid_body", "prior.rigid_body.mass_scale": 0.8},
    "PID, nominal gravity": {"control.controller": "pid"},
}


@dataclass(frozen=True)
class Options:
    """One run. config: a YAML with a robot, its controller and its simulation (sections for both nodes). lockstep: every
    state waits for its command; pace: and simulated time for real time; neither: real time.
    """

    config: Path
    seed: int = 0
    duration: float | None = None
    rate: float | None = None
    payload_kg: float = 1.5
    lockstep: bool = False
    images: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    pace: bool = False
    domain: int | None = None
    node: str = ""

    @property
    def mode(self) -> str:
        return "real time" if not self.lockstep else "paced lockstep" if self.pace else "lockstep"

    @property
    def ends_when_lost(self) -> bool:
        """Nobody wants to watch a dead arm; as fast as possible, the whole run is simulated all the same."""
        return self.pace or not self.lockstep


class Run:
    """What one run needs: the robot, the scenario and the parameters of both nodes."""

    def __init__(self, options: Options):
        self.options = options
        values = {**read_settings(options.config, node=options.node), **options.settings}
        if options.rate is not None:
            values["control.rate"] = options.rate
        values["control.seed"] = options.seed
        images = options.images and values.get("control.controller", "mpc") == "mpc"
        values["features.points"] = 1 if images else 0
        known = setting_keys()
        self.node_values = {key: value for key, value in values.items() if key not in known}
        self.configuration = Configuration.from_flat(
            {k: v for k, v in values.items() if k in known}, source=str(options.config)
        )
        self.rate = self.configuration.control.rate
        self.robot: Robot = load_robot(self.configuration.robot, self.node_values.get("robot_description"))
        simulated = read_settings(options.config, "sim_node", options.node)
        self.plant = _section(PlantSettings, "plant.", simulated, rate=self.rate, seed=options.seed)
        self.camera = _section(CameraSettings, "camera.", simulated, seed=options.seed)
        start = np.array(self.plant.initial_position) if self.plant.initial_position else self._middle()
        self.scenario: Scenario = build_scenario(
            self.robot,
            start,
            options.seed,
            payload_kg=options.payload_kg,
            duration=options.duration,
            reference=self.configuration.reference,
            camera=self.camera if images else None,
        )

    def parameters(self, folder: Path) -> dict[str, Path]:
        """The YAML file of each node, written into `folder`."""
        scenario = self.scenario
        robot = {f"robot.{name}": value for name, value in self.configuration.robot.to_mapping().items()}
        images = scenario.slots_of("features")
        simulation = {
            **robot,
            **_prefixed("plant.", self.plant),
            **_prefixed("camera.", self.camera),
            "autostart": False,
            "lockstep": self.options.lockstep,
            "pace": self.options.pace,
            "duration": scenario.duration,
            "start_stamp": START_STAMP,
            "log_file": str(folder / "truth.npz"),
            "camera": bool(images),
            "camera_schedule": [slot.start for slot in images],
            "camera_poses": [
                x for slot in (images[:1] + images) for x in (*slot.camera.position, *slot.camera.rotation.ravel())
            ],
            "payload_schedule": [] if scenario.payload_time is None else [scenario.payload_time, scenario.payload_kg],
        }
        control = {
            **self.configuration.flat(),
            **self.node_values,
            "lockstep": self.options.lockstep,
            "log_file": str(folder / "control.npz"),
        }
        return {
            "sim_node": _write(folder / "sim_node.yaml", "sim_node", simulation),
            "mpc_node": _write(folder / "mpc_node.yaml", "mpc_node", control),
        }

    def _middle(self) -> Array:
        return 0.5 * (self.robot.position_lower + self.robot.position_upper)


class CouldNotStart(MbrlError):
    """A node has not begun: what it was given is wrong, and no run has failed."""

    CODE = 2  # nodes/process.py


class Processes:
    """The nodes as child processes on a domain of their own; leaving the context ends them in order, and so does the death of
    this process, however it dies (nodes/child_process.py).
    """

    def __init__(self, parameters: dict[str, Path], folder: Path, domain: int | None = None):
        self.environment = private_domain(domain)
        self._logs = {name: open(folder / f"{name}.log", "w", encoding="utf-8") for name in parameters}
        self._folder = folder
        self.running = {
            name: subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "mbrl_ros.nodes.child_process",
                    str(os.getpid()),
                    name,
                    "--ros-args",
                    "--params-file",
                    str(file),
                ],
                env=self.environment,
                stdout=self._logs[name],
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            for name, file in parameters.items()
        }

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for name in ("mpc_node", "sim_node"):
                self.end(name)
        finally:  # also where a signal comes while they end
            for process in self.running.values():
                _kill_group(process)
            for log in self._logs.values():
                log.close()

    @property
    def domain(self) -> int:
        return int(self.environment["ROS_DOMAIN_ID"])

    def check(self) -> None:
        """MbrlError with the end of its log if a node has died; CouldNotStart where it refused its settings."""
        for name, process in self.running.items():
            if process.poll() not in (None, 0):
                self._logs[name].flush()
                text = (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
                last = "\n".join(text.strip().splitlines()[-15:])
                kind = CouldNotStart if process.returncode == CouldNotStart.CODE else MbrlError
                raise kind(f"{name} ended with code {process.returncode}:\n{last}")

    def end(self, name: str) -> None:
        """SIGINT, time to end in order, and only then, or when the user is in a hurry, the hard way, with whatever it has
        started (a compiler).
        """
        process = self.running[name]
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            deadline = time.monotonic() + GRACE
            while process.poll() is None and time.monotonic() < deadline and not hurried():
                time.sleep(0.05)
        _kill_group(process)


def _kill_group(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def private_domain(domain: int | None = None) -> dict[str, str]:
    """This environment with a DDS domain that nobody else takes part in, or with `domain`, and on this machine only."""
    environment = dict(os.environ)
    environment["ROS_DOMAIN_ID"] = str(free_domain() if domain is None else domain)
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    environment.pop("ROS_STATIC_PEERS", None)
    environment.setdefault("RCUTILS_LOGGING_BUFFERED_STREAM", "0")
    # one thread per linear algebra call: the matrices are small and the cores are taken
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        environment.setdefault(name, "1")
    return environment


def free_domain() -> int:
    """A DDS domain in which nobody on this machine takes part yet, by the port of its first participant (RTPS 9.6.1.1)."""
    candidates = random.SystemRandom().sample(range(1, 102), 101)  # above 101 lie Linux's ephemeral ports
    for domain in candidates:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7410 + 250 * domain))
            except OSError:
                continue
        return domain
    raise MbrlError("all DDS domains of this machine are in use; choose one with --domain")


def logs(folder: Path) -> tuple[dict[str, Array], dict[str, Array], dict[str, Any]]:
    """(truth, control, the controller's facts) of a finished run, with stamps in seconds since its start."""
    (truth, _), (control, facts) = (load_tick_log(folder / f"{kind}.npz") for kind in ("truth", "control"))
    for name in ("stamp", "reference_end"):
        control[name] = control[name] - START_STAMP
    return truth, control, facts


def _section(kind, prefix: str, values: dict[str, Any], **overrides: Any):
    own = {key[len(prefix) :]: value for key, value in values.items() if key.startswith(prefix)}
    return kind.from_mapping({**own, **overrides}, prefix=prefix)


def _prefixed(prefix: str, section) -> dict[str, Any]:
    return {prefix + name: value for name, value in section.to_mapping().items()}


def _write(path: Path, node: str, values: dict[str, Any]) -> Path:
    """Write a parameter file. Empty lists are left out: ROS cannot tell their type."""
    lines = [f"  {quoted(key)}: {written(value)}\n" for key, value in values.items() if not is_empty(value)]
    path.write_text(f"{node}:\n ros__parameters:\n{''.join(lines)}", encoding="utf-8")
    return path
