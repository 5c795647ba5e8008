"""The demo's scenario with one planner: a simulated Panda, efforts, from the local model learned on the way.

In lockstep and in one process (demo/episode.py), so that a run depends on its seed alone and not on how long a decision
takes. `ddp` plans through a nonlinear prior: it gets a rigid body that is 20 % too light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ...config.resources import settings_path
from ...controllers.factory import build_controller
from ...demo.episode import run_episode
from ...demo.metrics import summarise
from ...demo.run import Options, Run
from ...demo.verdict import of_run
from ...safety.supervisor import Supervisor

NONLINEAR: dict[str, Any] = {"dynamics.prior": "rigid_body", "prior.rigid_body.mass_scale": 0.8}
DURATION = 11.5  # [s]: two targets, the payload, and a third one


def options(name: str, seed: int, config: str | Path = "panda") -> Options:
    """Return the options of the scenario with the planner `name`."""
    settings = {"control.planner": name, **(NONLINEAR if name == "ddp" else {})}
    return Options(settings_path(str(config)), seed, DURATION, lockstep=True, images=False, settings=settings)


def closed_loop(run: Run, progress: Callable[[range], Iterable[int]] | None = None) -> dict[str, Any]:
    """Run the scenario; return {"reached", "targets", "rest_mm", "cause"} and why a target was missed ("" if none)."""
    from ...simulation.plant import Plant  # needs MuJoCo

    configuration, robot = run.configuration, run.robot
    controller = build_controller(robot, configuration)
    supervisor = Supervisor(robot, configuration.supervisor, 1.0 / run.rate)
    truth, control = run_episode(Plant(run.plant, robot), controller, supervisor, run.scenario, progress=progress)
    summary = summarise(
        run.scenario,
        robot,
        truth,
        control,
        rate_hz=run.rate,
        horizon=configuration.planner.horizon,
        estimator=configuration.dynamics.estimator,
    )
    targets, verdict = summary["targets"], of_run(summary)
    rest = [target["rest_error_mm"] for target in targets if target["rest_error_mm"] is not None]
    return {
        "reached": sum(target["time_to_1cm_s"] is not None for target in targets),
        "targets": len(targets),
        "rest_mm": max(rest) if rest else None,
        "cause": "" if verdict.passed else verdict.why,
    }
