"""The mass that model_health_node's model finds on a Panda that another controller moves: doc/model_health.md.

python benchmark/model_health.py --seeds 1 2 3 --mass 1.0
"""

from __future__ import annotations

import argparse

import numpy as np

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.resources import config_file
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.config.settings_file import load_configuration
from mbrl_ros.replay.health import ModelHealth
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.gravity import GravityEffort
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.simulation.plant import Plant
from mbrl_ros.types import Array, Observation

POSE = np.array((0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8))  # [rad]
STIFFNESS = np.array([600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0])  # [N m/rad]
TARED, LOADED, END = 4.0, 6.0, 14.0  # [s]


def run(seed: int, mass: float) -> Array:
    """Return rows (time [s], mass [kg]) of one run."""
    configuration = Configuration.from_flat({**load_configuration(config_file("panda")).flat(), "control.delay": 0.0})
    robot, rate = load_robot(configuration.robot), configuration.control.rate
    health = ModelHealth(robot, configuration, memory=1.0, with_gravity=True)
    plant = Plant(PlantSettings(initial_position=tuple(POSE), rate=rate, seed=seed), robot)
    gravity, state, carried, rows = GravityEffort(robot), plant.reset(seed), np.zeros(robot.n), []
    frequency = np.random.default_rng(seed).uniform(0.8, 2.0, robot.n)  # [rad/s]
    damping = 1.12 * np.sqrt(STIFFNESS)
    for k in range(int(END * rate)):
        t = k / rate
        if t == LOADED:
            plant.set_payload(mass)
        size = 0.1 * min(1.0, t)
        error = POSE + size * np.sin(frequency * t) - state.q
        carried = np.clip(carried + 300.0 * error / rate, -40.0, 40.0)
        u = gravity(state.q) + STIFFNESS * error + carried
        u += damping * (size * frequency * np.cos(frequency * t) - state.qd)
        u = np.clip(u, robot.command_lower, robot.command_upper)
        report = health.state(Arrival(Observation(state.stamp, state.q, state.qd), t, effort=u))
        if t == TARED:
            health.tare()
        if report is not None and report.load is not None:
            rows.append((t, report.load.mass))
        state = plant.step(u)
    return np.array(rows)


def main() -> None:
    """Print a line per seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--mass", type=float, default=1.0, help="[kg]")
    args = parser.parse_args()
    for seed in args.seeds:
        t, mass = run(seed, args.mass).T
        before, loaded, after = mass[(t >= 4.5) & (t < LOADED)], mass[t >= 9.0], t[t > LOADED]
        near = after[np.abs(mass[t > LOADED] - args.mass) < 0.1 * args.mass]
        first = f"{near[0] - LOADED:.1f} s" if near.size else "never"
        told = f"{np.median(loaded):.2f}, {loaded.min():.2f}, {loaded.max():.2f} kg"
        print(f"seed {seed}: before {np.median(before):.2f} kg; loaded {told}; within 10 % after {first}")


if __name__ == "__main__":
    main()
