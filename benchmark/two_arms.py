"""Both arms of a robot at once from nothing, each by a controller of its own: python benchmark/two_arms.py [SEED ...].

In lockstep and in one process. Of config/baxter.yaml, with and without the collision rule: how near the tips come to
their targets, drawn with the seed; the least distance of the arms from each other and from the body; and the largest
difference between the efforts that the left controller asks for while the right arm moves and while it rests.
"""

from __future__ import annotations

import sys

import numpy as np

from mbrl_ros.collision.build import build_scene
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.resources import config_file
from mbrl_ros.config.section import Section
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.runtime.conditions import SteppedConditions
from mbrl_ros.runtime.control_cycle import ControlCycle
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.safety.factory import make_supervisor
from mbrl_ros.simulation.plant import Plant
from mbrl_ros.types import Observation

SIDES, FILE = ("left", "right"), str(config_file("baxter.yaml"))
TARGETS, EACH = 3, 3.0  # targets of each arm, and the time for each [s]
SPREAD = 0.35  # [rad] about the first posture, of the postures that the targets are drawn from


class Arm:
    """The controller of one arm; `u` is what it commands."""

    def __init__(self, side: str, changes: dict[str, object]):
        settings = read_settings(FILE, "mpc_node", f"/{side}/mpc_node")
        configuration = Configuration.from_flat({**settings, **changes})
        self.robot = load_robot(configuration.robot)
        self.controller = build_controller(self.robot, configuration)
        self.supervisor, dt = make_supervisor(self.robot, configuration), 1.0 / configuration.control.rate
        self.cycle = ControlCycle(self.controller, self.supervisor, self, SteppedConditions(), dt=dt, timeout=0.05)
        self.tip, self.u, self.commands = Kinematics(self.robot).position, np.zeros(self.robot.n), []
        self.stops = 0

    def command(self, stamp: float, u: np.ndarray) -> None:
        """Take the command."""
        self.u = np.array(u)

    def tick(self, tick: object) -> None:
        """Keep nothing."""

    def event(self, event: object) -> None:
        """Keep nothing."""

    def log(self, level: str, text: str) -> None:
        """Show errors."""
        if level == "error":
            print(text)

    def answer(self, stamp: float, q: np.ndarray, qd: np.ndarray, others: np.ndarray) -> None:
        """Answer a state."""
        self.cycle.tick(Arrival(Observation(stamp, q, qd, uncontrolled=others), stamp, None, False))
        rule = self.supervisor.collisions
        self.stops += rule is not None and rule.acting
        self.commands.append(self.u)


def section(kind: type[Section], prefix: str) -> Section:
    """Return a section of the simulated robot's settings."""
    values = read_settings(FILE, "sim_node", "/sim_node")
    return kind.from_mapping({k[len(prefix) :]: v for k, v in values.items() if k.startswith(prefix)})


def run(seed: int, rule: str, moving: tuple[str, ...] = SIDES) -> dict[str, object]:
    """Simulate one run; arms that are not in `moving` get no target."""
    whole = load_robot(section(RobotSettings, "robot."))
    plant = Plant(section(PlantSettings, "plant.").replace(seed=seed), whole)
    arms = {side: Arm(side, {"collision.rule": rule}) for side in SIDES}
    part = {side: [whole.joints.index(joint) for joint in arm.robot.joints] for side, arm in arms.items()}
    other = {side: [whole.joints.index(joint) for joint in arm.robot.uncontrolled] for side, arm in arms.items()}
    scenes = {side: build_scene(arm.robot, Configuration.from_flat({}).collision).scene for side, arm in arms.items()}
    measured, start = plant.reset(), plant.truth.q
    rng, goals, missed, least, tick = np.random.default_rng(seed), {}, {side: [] for side in SIDES}, np.inf, 0
    for _ in range(TARGETS):
        for side, arm in arms.items():
            goals[side] = arm.tip(start[part[side]] + rng.uniform(-SPREAD, SPREAD, arm.robot.n))
            if side in moving and tick:
                arm.controller.set_point_target(goals[side])
        for _ in range(round(EACH / plant.period)):
            for side, arm in arms.items():
                arm.answer(measured.stamp, measured.q[part[side]], measured.qd[part[side]], measured.q[other[side]])
                if side in moving and not tick:
                    arm.controller.set_point_target(goals[side])
            u = np.zeros(whole.n)
            for side, arm in arms.items():
                u[part[side]] = arm.u
            measured, tick = plant.step(u), tick + 1
            if tick % 10 == 0:
                q = plant.truth.q
                for side, scene in scenes.items():
                    scene.place(q[other[side]])
                    least = min(least, scene.values(q[part[side]]).min())
        for side, arm in arms.items():
            missed[side].append(1e3 * np.linalg.norm(arm.tip(plant.truth.q[part[side]]) - goals[side]))
    stops = {side: arm.stops for side, arm in arms.items()}
    return {"missed": missed, "least": least, "stops": stops, "left": np.array(arms["left"].commands)}


def main() -> None:
    """Print a line for each run."""
    for seed in map(int, sys.argv[1:] or ("1", "2")):
        both = run(seed, "none")
        alone = run(seed, "none", ("left",))
        kept = run(seed, "stop")
        for name, one in (("no rule", both), ("rule", kept)):
            off = {side: " ".join(f"{d:.2f}" for d in one["missed"][side]) for side in SIDES}
            print(
                f"seed {seed}, {name}: rest [mm] left {off['left']}, right {off['right']}; nearest "
                f"{1e3 * one['least']:.0f} mm; periods in which the rule acted: {one['stops']}"
            )
        difference = np.abs(both["left"] - alone["left"]).max()
        print(f"seed {seed}: left efforts, right arm moving against resting: {difference:.2g} N m at most", flush=True)


if __name__ == "__main__":
    main()
