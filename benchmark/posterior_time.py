"""How long one tick of learning takes.

    python benchmark/posterior_time.py

"Posterior" is one rank-one update and the conditioning that follows, dimensions counted as z = [x; u; x']: 35 for seven
joints, 59 with twelve visual states. "Dynamics" is OnlineDynamics.update and .fit with 30 stages of the prior
linearized. Microseconds.
"""

from __future__ import annotations

import time

import numpy as np

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.data.dataset import Dataset
from mbrl_ros.data.store import Owner
from mbrl_ros.dynamics import OnlineDynamics, RegressionPosterior
from mbrl_ros.dynamics.compiled_posterior import make_posterior
from mbrl_ros.dynamics.priors import ensemble, global_linear, gmm, integrator, rigid_body
from mbrl_ros.robots import load_robot
from mbrl_ros.types import Transition

HORIZON, DT, COUNT = 30, 0.005, 2000


def report(name: str, seconds: list[float]) -> None:
    """Print one row; the first tenth of the times is left out."""
    p5, median, p99 = np.percentile(seconds[len(seconds) // 10 :], [5, 50, 99]) * 1e6
    print(f"{name:<52}{p5:9.1f}{median:9.1f}{p99:9.1f}")


def posterior(inputs: int, outputs: int, make) -> None:
    """Time a posterior of `make`."""
    rng = np.random.default_rng(0)
    regression = make(np.ones(inputs + 1), np.ones(outputs))
    Phi, Y = rng.normal(size=(COUNT, inputs + 1)), rng.normal(size=(COUNT, outputs))
    Phi[:, -1] = 1.0
    seconds = []
    for phi, y in zip(Phi, Y, strict=True):
        begin = time.perf_counter()
        regression.add(phi, y, 0.985)
        regression.condition(phi[:-1])
        seconds.append(time.perf_counter() - begin)
    report(f"posterior, {inputs + outputs} dimensions, {type(regression).__name__}", seconds)


def dynamics(robot, name: str, prior) -> None:
    """Time the online dynamics with `prior`."""
    configuration = Configuration.from_flat({})
    online = OnlineDynamics(robot, DT, configuration.dynamics, prior)
    rng = np.random.default_rng(0)
    n, seconds = robot.n, []
    for k in range(COUNT // 4):
        X, U = rng.normal(0.0, 0.5, (HORIZON, 2 * n)), rng.normal(0.0, 5.0, (HORIZON, n))
        transition = Transition(k * DT, X[0], U[0], X[1])
        begin = time.perf_counter()
        online.update(transition)
        online.fit(X[1], U[1], X, U)
        seconds.append(time.perf_counter() - begin)
    report(f"dynamics, {name} prior, {HORIZON} stages", seconds)


def main() -> None:
    """Run the benchmark of the command line and print its table."""
    print(f"{'':<52}{'p5':>9}{'median':>9}{'p99':>9}")
    for make in (make_posterior, RegressionPosterior):
        posterior(21, 14, make)
        posterior(33, 26, make)
    robot = load_robot(
        Configuration.from_flat(
            {"robot.description": "package-data:panda", "robot.joints": [f"panda_joint{i}" for i in range(1, 8)]}
        ).robot
    )
    rng = np.random.default_rng(0)
    X, U = rng.normal(0.0, 0.5, (1000, 14)), rng.normal(0.0, 5.0, (1000, 7))
    data = Dataset(
        Owner(robot.joints, robot.interface, DT),
        X,
        U,
        0.01 * U + 0.01 * np.sin(X[:, :7]),
        np.zeros(1000, dtype=int),
        ("synthetic",),
    )
    dynamics(robot, "integrator", integrator.build(integrator.Settings(), robot, DT))
    dynamics(robot, "rigid_body", rigid_body.build(rigid_body.Settings(), robot, DT))
    for module in (global_linear, gmm, ensemble):
        options = {"epochs": 5} if module is ensemble else {}
        prior = module.from_arrays(module.fit(data, robot.command_upper, **options), robot, DT)
        dynamics(robot, module.__name__.rpartition(".")[2], prior)


if __name__ == "__main__":
    main()
