"""Instructions of the planner with the cost of collisions over those without it: one iteration, Panda, H = 30.

    python benchmark/collision_instructions.py

Counted by callgrind in processes of their own: the defaults' costs with a point target, and the same with 20 pairs, two
planes and a box.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from mbrl_ros.bench.counters import CallgrindCounter, under_valgrind
from mbrl_ros.bench.planner.count import count
from mbrl_ros.bench.planner.peer import Runner
from mbrl_ros.collision.build import build_scene
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.costs import CostContext, build_cost
from mbrl_ros.planners.ilqr.ilqr import IlqrPlanner
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.kinematics import tip_position
from mbrl_ros.types import LinearGaussianDynamics

HORIZON, DT, PAIRS = 30, 0.005, 20
POSTURE = (0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8)
ARM = {
    "robot.description": "package-data:panda",
    "robot.joints": [f"panda_joint{i}" for i in range(1, 8)],
    "robot.tip": "panda_hand",
    "robot.tip_offset": [0.0, 0.0, 0.1034],
}
ROOM = {
    "collision.planes": ["table 0 0 1 0", "wall 0 -1 0 -0.6"],
    "collision.boxes": ["box 0.5 0.2 0.15  0 0 0.3  0.2 0.2 0.3"],
}


def with_room() -> dict:
    """Return the settings with PAIRS pairs of links; of the two fingers one."""
    configuration = Configuration.from_flat({**ARM, **ROOM})
    scene = build_scene(load_robot(configuration.robot), configuration.collision).scene
    links = [[scene.capsules[i].link for i in pair] for pair in scene.pairs.tolist()]
    pairs = sorted(" ".join(pair) for pair in links if "right" not in "".join(pair))[:PAIRS]
    capsules = [capsule.text for capsule in scene.capsules if "right" not in capsule.link]
    return {**ARM, **ROOM, "cost.collision.weight": 1e4, "collision.capsules": capsules, "collision.pairs": pairs}


def runner(settings: dict) -> Runner:
    """Return how the planner is prepared and run."""
    c = Configuration.from_flat(settings)
    robot, n = load_robot(c.robot), 7
    limits = robot.command_lower, robot.command_upper
    cost = build_cost(c.costs, CostContext(robot, n, 0, n, DT, HORIZON, *limits, collision=c.collision))
    gain = np.diag([2.0, 1.5, 2.0, 2.0, 8.0, 8.0, 20.0])
    F = np.hstack((np.eye(2 * n), np.vstack((0.5 * DT**2 * gain, DT * gain))))
    F[:n, n : 2 * n] = DT * np.eye(n)
    shape = (HORIZON, 1, 1)
    dynamics = LinearGaussianDynamics(np.tile(F, shape), np.zeros((HORIZON, 2 * n)), np.tile(1e-6 * np.eye(14), shape))
    settings_of_planner = PlannerSettings(horizon=HORIZON, iterations=1, backend="compiled", tolerance=0.0)
    planner = IlqrPlanner(cost, settings_of_planner, 2 * n, n, *limits)
    x, u, p = np.concatenate((POSTURE, np.zeros(n))), np.zeros(n), cost.parameters(HORIZON)
    goal = np.array(tip_position(robot)(x[:n])).ravel() + [0.05, 0.05, -0.05]
    p[:, cost.layout["point_target.reference"]] = goal
    p[:, cost.layout["joint_target.weight"]] *= c.reference.posture
    p[:, cost.layout["joint_target.reference"]] = x[:n]
    U = 0.01 * np.random.default_rng(0).standard_normal((HORIZON, n))

    def prepare() -> None:
        planner.reset(x, u)
        planner.U[:] = U

    return prepare, lambda: planner.plan(x, dynamics, p, u)


def counted(which: str) -> int:
    """Return the instructions of one plan, counted in another process."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "valgrind.txt")
        words, environment = under_valgrind(log)
        environment = {**os.environ, **environment, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, __file__, which]
        subprocess.run(command, env=environment, check=True, capture_output=True)  # compiles
        done = subprocess.run([*words, *command, str(log)], env=environment, check=True, capture_output=True, text=True)
        return int(done.stdout.split()[-1])


def main(arguments: list[str]) -> None:
    """Count both, or be the process that is counted."""
    if arguments:
        prepared = runner(ARM if arguments[0] == "point" else with_room())
        if len(arguments) > 1:
            print(count(prepared, CallgrindCounter(Path(arguments[1]))))
        return
    point, room = counted("point"), counted("room")
    print(f"point target {point}, with {PAIRS} pairs, two planes and a box {room}: {room / point:.2f} times as many")


if __name__ == "__main__":
    main(sys.argv[1:])
