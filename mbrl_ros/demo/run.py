"""What one run of the demo with the real nodes consists of: robot, scenario, and the parameters of both nodes.

Each node gets a parameter file that is written for the run; targets and events carry stamps, so that in lockstep the
result depends on the seed alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..config.configuration import Configuration, setting_keys
from ..config.scalars import quoted, written
from ..config.section import Section, is_empty
from ..config.sections.images import ImageSettings
from ..config.sections.simulation import CameraSettings, PlantSettings, fitting_timestep
from ..config.settings_file import read_settings
from ..data.tick_log import load_tick_log
from ..references.workspace import starting_posture
from ..robots import Robot, load_robot, sources
from ..scenarios.pose_scenario import build_pose_scenario
from ..scenarios.scenario import Scenario, build_scenario
from ..simulation.home import initial_position
from ..types import Array
from .jog_scenario import build_jog_scenario
from .pick_scenario import PICK_SETTINGS, build_pick_scenario
from .visual.scenario import VisualScenario, build_visual_scenario
from .visual.setup import VISUAL_SETTINGS, feature_parameters, image_settings, simulation_parameters, with_mark

S = TypeVar("S", bound=Section)
START_STAMP = 1.0  # stamp of the first state [s]

# What `--compare` runs: label -> settings of the controller.
COMPARED_VARIANTS: dict[str, dict[str, Any]] = {
    "refit": {},
    "output-error": {"dynamics.estimator": "output_error"},
    "frozen after 4 s": {"dynamics.estimator": "frozen", "dynamics.freeze_after": 4.0},
    "nominal -20 % mass, fixed": {
        "dynamics.prior": "rigid_body",
        "prior.rigid_body.mass_scale": 0.8,
        "dynamics.estimator": "frozen",
        "dynamics.freeze_after": 0.0,
    },
    "nominal mass, known": {"dynamics.prior": "rigid_body", "dynamics.estimator": "known"},
    "nominal -20 % mass, refit": {"dynamics.prior": "rigid_body", "prior.rigid_body.mass_scale": 0.8},
    "PID, nominal gravity": {"control.controller": "pid"},
}


@dataclass(frozen=True)
class Options:
    """The options of one run.

    config: parameter file with a robot, its controller and its simulation, `node`: the controller's name in it, empty
    where there is only one; lockstep: every state waits for its command; pace: simulated time also waits for real
    time; neither: real time; rate [Hz], duration [s], payload_kg, domain: None for the defaults; settings: further
    ones of the controller; scenario: "learn" (scenario.py), "poses", "pick", "jog" or "visual" (visual/scenario.py).
    """

    config: Path
    seed: int = 0
    duration: float | None = None
    rate: float | None = None
    payload_kg: float | None = None
    lockstep: bool = False
    images: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    pace: bool = False
    domain: int | None = None
    node: str = ""
    scenario: str = "learn"

    @property
    def mode(self) -> str:
        """Return the mode of time in words."""
        return "real time" if not self.lockstep else "paced lockstep" if self.pace else "lockstep"

    @property
    def ends_when_lost(self) -> bool:
        """Return whether the run ends when the arm is lost: yes where somebody watches, no at full speed."""
        return self.pace or not self.lockstep


class Run:
    """The robot, the scenario and the parameters of both nodes."""

    def __init__(self, options: Options):
        self.options = options
        values = {**read_settings(options.config, node=options.node), **options.settings}
        if options.rate is not None:
            values["control.rate"] = options.rate
        values["control.seed"] = options.seed
        if options.scenario == "pick":
            values = {**PICK_SETTINGS, **values}
        visual = options.scenario == "visual"
        if visual:
            values = {**values, **VISUAL_SETTINGS, **options.settings}
        images = options.images and (visual or options.scenario == "learn")
        images = images and values.get("control.controller", "mpc") == "mpc"
        values["features.points"] = 1 if images else 0
        known = setting_keys()
        self.node_values = {key: value for key, value in values.items() if key not in known}
        self.configuration = Configuration.from_flat(
            {k: v for k, v in values.items() if k in known}, source=str(options.config)
        )
        self.rate = self.configuration.control.rate
        text = self.node_values.get("robot_description")
        self.description: str = text or self.configuration.robot.description  # text, file or name of the URDF
        with sources.naming(str(options.config)), sources.naming(self.description):
            self.robot: Robot = load_robot(self.configuration.robot, text)
        simulated = read_settings(options.config, "sim_node", options.node)
        self.plant = self._plant(simulated)
        self.camera = _section(CameraSettings, "camera.", simulated, seed=options.seed)
        self.image = _section(ImageSettings, "image.", simulated, seed=options.seed)
        self.scenario = self._scenario(self.camera if images else None)
        if isinstance(self.scenario, VisualScenario):
            self.plant = with_mark(self.plant, self.scenario)
            self.image = image_settings(self.scenario, self.image, options.seed)

    def _scenario(self, camera: CameraSettings | None) -> Scenario:
        """Return the targets of the run; `camera` as of `build_scenario`."""
        options, robot, seed = self.options, self.robot, self.options.seed
        start = initial_position(self.plant, robot)
        if options.scenario == "pick":
            return build_pick_scenario(robot, start, seed, self.configuration, payload_kg=options.payload_kg)
        if options.scenario == "jog":
            return build_jog_scenario(robot, seed)
        kinds: dict[str, Callable[..., Scenario]] = {
            "poses": build_pose_scenario,
            "visual": functools.partial(build_visual_scenario, camera=camera),
        }
        build = kinds.get(options.scenario, functools.partial(build_scenario, camera=camera))
        return build(
            robot,
            start,
            seed,
            payload_kg=options.payload_kg,
            duration=options.duration,
            reference=self.configuration.reference,
        )

    def _plant(self, simulated: dict[str, Any]) -> PlantSettings:
        """Return the plant's settings at the control rate, with a posture to start from."""
        values = {"plant.timestep": fitting_timestep(self.rate), **simulated}
        plant = _section(PlantSettings, "plant.", values, rate=self.rate, seed=self.options.seed)
        return plant if plant.initial_position else plant.replace(initial_position=tuple(starting_posture(self.robot)))

    def parameters(self, folder: Path) -> dict[str, Path]:
        """Write the parameter file of each node into `folder`; return {node: file}."""
        scenario = self.scenario
        robot = {f"robot.{name}": value for name, value in self.configuration.robot.to_mapping().items()}
        images = scenario.slots_of("features")
        poses = [slot.camera for slot in images if slot.camera is not None]
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
            "camera_poses": [x for pose in poses[:1] + poses for x in (*pose.position, *pose.rotation.ravel())],
            "payload_schedule": [] if scenario.payload_time is None else [scenario.payload_time, scenario.payload_kg],
        }
        further = {}
        if isinstance(scenario, VisualScenario):
            simulation |= simulation_parameters(scenario, self.image)
            further["feature_node"] = _write(folder / "feature_node.yaml", "feature_node", feature_parameters(self))
        control = {
            **self.configuration.flat(),
            **self.node_values,
            "lockstep": self.options.lockstep,
            "log_file": str(folder / "control.npz"),
        }
        return {
            "sim_node": _write(folder / "sim_node.yaml", "sim_node", simulation),
            "mpc_node": _write(folder / "mpc_node.yaml", "mpc_node", control),
            **further,
        }


def logs(folder: Path) -> tuple[dict[str, Array], dict[str, Array], dict[str, Any]]:
    """Read the tables of a finished run, with stamps in seconds since its start.

    Returns
    -------
    truth, control
        Columns (T, ...) of the plant and of the controller.
    facts
        What the controller wrote beside them.
    """
    (truth, _), (control, facts) = (load_tick_log(folder / f"{kind}.npz") for kind in ("truth", "control"))
    for name in ("stamp", "reference_end"):
        control[name] = control[name] - START_STAMP
    return truth, control, facts


def _section(kind: type[S], prefix: str, values: dict[str, Any], **overrides: Any) -> S:
    own = {key[len(prefix) :]: value for key, value in values.items() if key.startswith(prefix)}
    return kind.from_mapping({**own, **overrides}, prefix=prefix)


def _prefixed(prefix: str, section: Section) -> dict[str, Any]:
    return {prefix + name: value for name, value in section.to_mapping().items()}


def _write(path: Path, node: str, values: dict[str, Any]) -> Path:
    """Write a parameter file. Empty lists are left out: ROS cannot tell their type."""
    lines = [f"  {quoted(key)}: {written(value)}\n" for key, value in values.items() if not is_empty(value)]
    path.write_text(f"{node}:\n ros__parameters:\n{''.join(lines)}", encoding="utf-8")
    return path
