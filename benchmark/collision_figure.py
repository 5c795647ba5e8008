"""The distance of an arm from a table over time: sent below it, without the rule, with it, and with the cost as well.

    python benchmark/collision_figure.py doc/collision.png

A simulated Panda learns from nothing at 200 Hz. At 1 s its target is 20 cm below the table, at 4 s above it again.
Printed are the least distances from the table and from itself, and how far the end effector is from the last target.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from mbrl_ros.bench.robots.loop import Loop
from mbrl_ros.collision.build import build_scene
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.robots import load_robot
from mbrl_ros.simulation.plant import Plant

RATE, TABLE, WEIGHT = 200.0, 0.25, 1e5
BELOW, ABOVE = np.array([0.5, 0.1, 0.05]), np.array([0.5, 0.1, 0.6])
CASES = (
    ("none", 0.0, "tab:red", "without"),
    ("stop", 0.0, "tab:blue", "rule"),
    ("stop", WEIGHT, "tab:green", "rule and cost"),
)
ARM = {
    "robot.description": "package-data:panda",
    "robot.joints": [f"panda_joint{i}" for i in range(1, 8)],
    "robot.tip": "panda_hand",
    "robot.tip_offset": [0.0, 0.0, 0.1034],
    "control.rate": RATE,
    "control.delay": 1.0,
    "planner.horizon": 30,
    "planner.iterations": 2,
    "collision.planes": [f"table 0 0 1 {TABLE}"],
}
PLANT = PlantSettings(
    initial_position=(0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8),
    armature=(0.1,),
    damping=(0.1,),
    frictionloss=(0.5, 0.5, 0.5, 0.5, 0.2, 0.2, 0.2),
    rate=RATE,
)


def run(interface: str, rule: str, weight: float) -> np.ndarray:
    """Return rows of time [s] and distance from the table [m]."""
    settings = {"robot.interface": interface, "collision.rule": rule, "cost.collision.weight": weight}
    configuration = Configuration.from_flat({**ARM, **settings})
    robot = load_robot(configuration.robot)
    plant, controller = Plant(PLANT, robot), build_controller(robot, configuration)
    loop, scene, rows = Loop(plant, controller, configuration), build_scene(robot, configuration.collision).scene, []
    pairs = len(scene.pairs)
    for target, seconds in ((None, 1.0), (BELOW, 3.0), (ABOVE, 2.0)):
        if target is not None:
            controller.set_point_target(target)
        for _ in range(round(seconds * RATE)):
            loop.tick()
            d = scene.values(np.array(plant.truth.q))
            rows.append((loop.t, d[pairs:].min(), d[:pairs].min()))
    found, rest = np.array(rows), np.linalg.norm(np.array(plant.truth.tip) - ABOVE)
    table, own = 1e3 * found[:, 1:].min(axis=0)
    print(
        f"{interface:9} {rule:5} {weight:7g}: table {table:7.1f} mm, itself {own:5.1f} mm, at rest {1e3 * rest:.2f} mm"
    )
    return found


def main() -> None:
    """Draw the figure of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", help="PNG file")
    output = parser.parse_args().output
    figure, axes = plt.subplots(1, 3, figsize=(11.0, 3.2), sharey=True, layout="constrained")
    for axis, interface in zip(axes, ("effort", "velocity", "position"), strict=True):
        for rule, weight, color, label in CASES:
            rows = run(interface, rule, weight)
            axis.plot(rows[:, 0], 1e3 * rows[:, 1], color=color, label=label, lw=1.3)
        axis.axhline(20.0, color="0.5", lw=0.8, ls="--")
        axis.axhline(0.0, color="k", lw=0.8)
        axis.set(title=interface, xlabel="time [s]")
    axes[0].set(ylabel="distance from the table [mm]", ylim=(-240.0, 320.0))
    axes[0].legend(fontsize=8, loc="upper center")
    figure.savefig(output, dpi=90)


if __name__ == "__main__":
    main()
