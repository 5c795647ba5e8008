r"""What the tasks `demo_points` and `demo_poses` have in common: the demo's scenario, learned in episodes.

    x = [q (7,); y*; qd (7,); 0],    r = -|e(q, y*)|,    e: from the tool to the target y* of the moment

The plant, the period, the targets, when each of them comes, and the payload are those of `mbrl demo --seed 0` with
config/panda.yaml: torques of a simulated Panda at 200 Hz, without a model of gravity, friction or load. Sensor noise
and the delay of a tick are left out: with a delay x would not be the state, which methods take it for. The target
stands where passive joints would, as in `panda_reach`, and jumps; the demo's controller is led there by a smooth
reference, here nothing is. Before the first target y* is where the tool is in the home posture.
An episode is the whole scenario without its images. Where the tool is by the joints is known, as it is of an arm.

It counts as solved from the return on that a tool would have which is one tolerance (1 cm) from the reference of the
demo all the time. Episodes differ a little in where the arm starts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..codegen.symbolic import casadi
from ..config.configuration import Configuration, setting_keys
from ..config.resources import config_file
from ..config.sections.simulation import PlantSettings, fitting_timestep
from ..config.settings_file import read_settings
from ..costs import CostModel, CostSettings, StateCostSettings, TargetSettings, Term
from ..references.target_manager import TargetManager
from ..robots import Robot, load_robot
from ..scenarios.scenario import Scenario
from ..simulation.home import initial_position
from ..types import Array, CommandVector, StateVector
from .base import Step, TaskInfo

EXACT = {"position_noise": 0.0, "velocity_noise": 0.0, "command_delay": 0.0}
SCENARIO_SEED, SCENARIO_CONFIG = 0, "panda"
REFERENCE_STEP = 0.05  # [s] between the points of the reference at which the return of following it is taken
SCENARIO_WEIGHTS = {"tool": 1000.0, "speed": 1.0, "command": 1.0}  # [1/m^2], [s^2/rad^2], of a change by the limits


@dataclass(frozen=True, eq=False, slots=True)
class Kind:
    """What makes a scenario a task.

    build: robot, q_start (n,), seed -> its scenario; error: robot -> e (k,) [m] of q (n,) and y (m,) as an SX function;
    value: robot -> q (n,) -> the target (m,) that the tool is at; names: of the m numbers of a target.
    """

    build: Callable[[Robot, Array, int], Scenario]
    error: Callable[[Robot], casadi.Function]
    value: Callable[[Robot], Callable[[Array], Array]]
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False, slots=True)
class _Made:
    """What is the same for every task of a kind."""

    robot: Robot
    configuration: Configuration
    plant: PlantSettings
    scenario: Scenario
    start: Array
    error: casadi.Function


class ScenarioTask:
    """See the top of this module; a `Task`."""

    def __init__(self, kind: Kind):
        from ..simulation.plant import Plant

        made = self._made = _made(kind)
        robot, rate, m = made.robot, made.configuration.control.rate, len(kind.names)
        self._plant, self._m = Plant(made.plant, robot), m
        self._error, self._begin, self._loaded = made.error, 0.0, False
        still = np.zeros(m)
        self.info = TaskInfo(
            (*robot.joints, *kind.names),
            np.append(robot.command_lower, still),
            np.append(robot.command_upper, still),
            1.0 / rate,
            round(made.scenario.duration * rate),
            followed(kind),
            made.configuration.planner.horizon,
            _cost(robot, made.error, m),
        )

    def distance(self, x: StateVector) -> float:
        """Return |e| [m] at x (2n,)."""
        n = self._made.robot.n
        return _norm(self._error(x[:n], x[n : n + self._m]))

    def reset(self, seed: int) -> StateVector:
        """See `Task`."""
        measured = self._plant.reset(seed)
        self._begin, self._loaded = measured.stamp, False
        return self._state(measured.q, measured.qd)

    def step(self, u: CommandVector) -> Step:
        """See `Task`."""
        scenario = self._made.scenario
        if not self._loaded and scenario.payload_time is not None and self._now >= scenario.payload_time - 1e-9:
            self._plant.set_payload(scenario.payload_kg)
            self._loaded = True
        u = np.clip(u, self.info.u_lower, self.info.u_upper)
        measured = self._plant.step(u[: self._made.robot.n])
        x = self._state(measured.q, measured.qd)
        return Step(x, self.reward(x, u, x), False)

    def reward(self, x: StateVector, u: CommandVector, x_next: StateVector) -> float:
        """See `Task`."""
        return -self.distance(x_next)

    def failed(self, x: StateVector) -> bool:
        """See `Task`: no state ends an episode."""
        return False

    @property
    def _now(self) -> float:
        """Seconds since the start of the episode."""
        return self._plant.time - self._begin

    def _state(self, q: Array, qd: Array) -> StateVector:
        return np.concatenate([q, _target(self._made, self._now), qd, np.zeros(self._m)])


@functools.cache
def _made(kind: Kind) -> _Made:
    """Read the settings of the demo, and draw its scenario."""
    path, known = config_file(SCENARIO_CONFIG), setting_keys()
    values = {key: value for key, value in read_settings(path).items() if key in known}
    configuration = Configuration.from_flat(values, source=str(path))
    robot, rate = load_robot(configuration.robot), configuration.control.rate
    prefix, simulated = "plant.", {"plant.timestep": fitting_timestep(rate), **read_settings(path, "sim_node")}
    own = {key.removeprefix(prefix): value for key, value in simulated.items() if key.startswith(prefix)}
    plant = PlantSettings.from_mapping({**own, "rate": rate, **EXACT}, prefix=prefix)
    q_start = initial_position(plant, robot)
    scenario = kind.build(robot, q_start, SCENARIO_SEED)
    return _Made(robot, configuration, plant, scenario, kind.value(robot)(q_start), kind.error(robot))


def _target(made: _Made, now: float) -> Array:
    """Return the target (m,) that is valid `now` [s]."""
    begun = [slot.value for slot in made.scenario.slots if now >= slot.start - 1e-9]
    return begun[-1] if begun else made.start


@functools.cache
def followed(kind: Kind) -> float:
    """Return the return of a tool that is one tolerance from the reference of the demo all the time."""
    made = _made(kind)
    robot, scenario, total = made.robot, made.scenario, 0.0
    manager = TargetManager(robot, made.configuration.reference, REFERENCE_STEP)
    q = initial_position(made.plant, robot)
    manager.reset(q, 0.0)
    for slot in scenario.slots:
        (manager.set_pose_target if slot.kind == "pose" else manager.set_point_target)(slot.value, slot.start)
    for time in np.arange(0.0, scenario.duration, REFERENCE_STEP).tolist():
        manager.advance(time, np.concatenate([q, np.zeros(robot.n)]))
        total += _norm(made.error(manager.joint_reference(time), _target(made, time))) + scenario.tolerance
    return -total * REFERENCE_STEP * made.configuration.control.rate


def _cost(robot: Robot, error: casadi.Function, m: int) -> CostModel:
    """Return the squared distance, with weights on the joints' speeds and on how fast commands change."""
    n = robot.n + m
    x, u, v = casadi.SX.sym("x", 2 * n), casadi.SX.sym("u", n), casadi.SX.sym("v", n)
    change = (u - v)[: robot.n] / casadi.DM(robot.command_upper)
    return CostModel(
        x,
        u,
        v,
        [
            (
                "tool",
                Term(
                    error(x[: robot.n], x[robot.n : n]), TargetSettings(weight=SCENARIO_WEIGHTS["tool"], terminal=5.0)
                ),
            ),
            ("speed", Term(x[n : n + robot.n], StateCostSettings(weight=SCENARIO_WEIGHTS["speed"], terminal=5.0))),
            ("command", Term(change, CostSettings(weight=SCENARIO_WEIGHTS["command"]))),
        ],
    )


def _norm(e: casadi.DM) -> float:
    return float(np.linalg.norm(np.array(e)))
