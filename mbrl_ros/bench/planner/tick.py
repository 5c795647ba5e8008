"""A whole tick of P7: learn from the last period, fit the local model, plan with two iterations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...config.sections.dynamics import DynamicsSettings
from ...config.sections.robot import RobotSettings
from ...dynamics import build_dynamics
from ...dynamics.priors.integrator import Settings
from ...robots import load_robot
from ...types import Transition
from .problems import CHAIN, BenchProblem

TICK_PERIOD = 0.002  # [s]
TICKS_RECORDED = 256  # transitions, used repeatedly


def refit_and_plan(problem: BenchProblem, backend: str = "auto") -> tuple[Callable[[], None], Callable[[], None]]:
    """Return (prepare, run) as in peers.py, on a random motion: what is learned does not matter for the time."""
    robot = load_robot(RobotSettings(), urdf())
    dynamics = build_dynamics(robot, TICK_PERIOD, DynamicsSettings(), {"integrator": Settings(strength=(600.0,))})
    planner = problem.planner(backend, iterations=2)
    parameters, rng = problem.parameters, np.random.default_rng(0)
    x = problem.x0 + 0.1 * rng.standard_normal((TICKS_RECORDED + 1, problem.nx))
    u = problem.bound * rng.uniform(-0.3, 0.3, (TICKS_RECORDED, problem.nu))
    transitions = [Transition(TICK_PERIOD * i, x[i], u[i], x[i + 1]) for i in range(TICKS_RECORDED)]
    state = {"tick": 0}
    planner.reset(problem.x0, u[0])

    def prepare() -> None:
        state["tick"] = (state["tick"] + 1) % TICKS_RECORDED

    def run() -> None:
        transition = transitions[state["tick"]]
        dynamics.update(transition)
        planner.plan(transition.x_next, dynamics.fit(transition.x_next, transition.u), parameters, transition.u)

    return prepare, run


def urdf() -> str:
    """Return a URDF with the kinematics of problems.CHAIN."""
    parts = ['<link name="link0"/>']
    for i, (a, d, alpha) in enumerate(CHAIN):
        offset = f"{a} {-d * np.sin(alpha):.9f} {d * np.cos(alpha):.9f}"
        parts.append(
            f'<link name="link{i + 1}"/><joint name="joint{i + 1}" type="revolute"><parent link="link{i}"/>'
            f'<child link="link{i + 1}"/><origin xyz="{offset}" rpy="{alpha:.9f} 0 0"/><axis xyz="0 0 1"/>'
            '<limit lower="-2.9" upper="2.9" velocity="2.2" effort="87"/></joint>'
        )
    return f'<robot name="chain">{"".join(parts)}</robot>'
