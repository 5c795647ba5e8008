"""The demo's distill scenario: teach a policy, evaluate it, disturb it.

It runs in lockstep and in this process, so that the result depends on the seed only. Three minutes of a planner that
knows nothing of the arm's dynamics at the start, then the policy alone on 100 targets it has never seen, again with
the payload, then events for which it was not trained.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..config.configuration import Configuration
from ..config.resources import config_file
from ..config.sections.simulation import PlantSettings
from ..config.settings_file import load_configuration
from ..console.progress import Progress
from ..controllers.mpc import MpcController
from ..controllers.policy import PolicyController
from ..distillation.compiled_policy import CompiledPolicy
from ..distillation.dataset import Memory
from ..distillation.fit import Report
from ..distillation.policy import Policy
from ..robots import Robot, load_robot
from ..robots.kinematics import Kinematics
from ..safety.factory import make_supervisor
from ..simulation.mechanism import USUAL_DAMPING
from ..simulation.plant import Plant
from ..types import Array
from .environment import Environment, TickRecord, draw_targets
from .policy_evaluation import evaluate_policy, inject_events, record_takeover
from .teaching import NO_CALLBACKS, Callbacks, Schedule, Teaching

TEACHING, TEACHING_SLOT, EVALUATION_SLOT, TEACHING_PAYLOAD = 180.0, 2.0, 5.0, 1.5  # [s], [s], [s], [kg]
UNSEEN_TARGETS = 100  # unseen ones; half as many with the payload, and half as many events
HOME_POSE = (0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8)
UNBOUNDED = 1e9
TAUGHT = {"reference.posture": 1.0, "reference.home": HOME_POSE}  # the pose of the teacher is a function of the target


def configuration(config: Path | None = None, **changes: Any) -> Configuration:
    """Return the Panda's configuration with the teacher of this scenario.

    Parameters
    ----------
    config
        YAML file; None: config/panda.yaml.
    changes
        Further settings, dotted keys with `__` for the dots.
    """
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    return load_configuration(config or config_file("panda"), {**TAUGHT, **changed, "features.points": 0})


def make_environment(
    c: Configuration, seed: int, *, teaching: bool = False, policy: Policy | None = None
) -> Environment:
    """Make an environment with a policy controller: one that teaches, or one with `policy` in shadow."""
    robot, rate = load_robot(c.robot), c.control.rate
    plant = Plant(PlantSettings(initial_position=HOME_POSE, rate=rate, seed=seed, damping=(USUAL_DAMPING,)), robot)
    controller = PolicyController(robot, c, MpcController(robot, c), teaching=teaching)
    if policy is not None:
        controller.use(CompiledPolicy(policy, robot))
    return Environment(plant, controller, make_supervisor(robot, c))


@dataclasses.dataclass(frozen=True, eq=False)
class Taught:
    """The result of teaching: the last policy, the samples, the environment, and the numbers of summary.json."""

    policy: Policy
    memory: Memory
    environment: Environment
    numbers: dict[str, Any]


def teach_policy(
    c: Configuration, seconds: float, seed: int, fits: int = 6, callbacks: Callbacks = NO_CALLBACKS
) -> Taught:
    """Teach a policy for `seconds` of simulated time, fitting it `fits` times."""
    environment, begin = make_environment(c, seed, teaching=True), time.perf_counter()
    targets = draw_targets(environment.plant.robot, round(seconds / TEACHING_SLOT) + 1, seed, np.array(HOME_POSE))
    schedule = Schedule(seconds, TEACHING_SLOT, seconds / fits, TEACHING_PAYLOAD, seed)
    teaching = Teaching(environment, c.distillation, schedule, callbacks)
    policy = teaching.run(targets)
    numbers = {
        "teaching_s": environment.time,
        "samples": teaching.memory.offered,
        "targets": len(environment.errors),
        "fit_s": sum(report.seconds for report in teaching.reports),
        "wall_s": time.perf_counter() - begin,
        "max_speed_fraction": environment.fastest,
        "outside_limits": environment.violations,
    }
    return Taught(policy, teaching.memory, environment, numbers)


def evaluate_method(method: str, seconds: float, seed: int, targets: int) -> dict[str, float]:
    """Teach with one imitation method and evaluate the policy, which acts whatever it observes."""
    c = configuration(distillation__method=method, distillation__alpha_versions=3, distillation__watch=False)
    policy = unbounded(teach_policy(c, seconds, seed, fits=4).policy)
    unseen = draw_targets(load_robot(c.robot), targets, 1000 + seed, np.array(HOME_POSE))
    plain, loaded = (
        evaluate_policy(lambda: make_environment(c, 2000 + seed, policy=policy), points, EVALUATION_SLOT, kg)
        for points, kg in ((unseen, 0.0), (unseen[: targets // 2], TEACHING_PAYLOAD))
    )
    return {
        "success_1cm": plain["success_1cm"],
        "success_2cm": plain["success_2cm"],
        "median_mm": plain["median_mm"],
        "payload_2cm": loaded["success_2cm"],
    }


def run(
    seed: int = 0,
    *,
    seconds: float = TEACHING,
    targets: int = UNSEEN_TARGETS,
    method: str = "clone",
    config: Path | None = None,
    shown: Progress | None = None,
    keep: Callable[[Policy], None] = lambda policy: None,
) -> tuple[dict[str, Any], Policy, dict[str, list[TickRecord]]]:
    """Run the whole scenario.

    Parameters
    ----------
    seed
        Of targets, noise and events.
    seconds
        Simulated time of teaching [s].
    targets
        Number of unseen targets; half as many, rounded up, come again with the payload, and half as many events.
    method
        Imitation method (distillation.method).
    config
        YAML file; None: config/panda.yaml.
    shown
        Shows the progress.
    keep
        Is given the policy after every fit.

    Returns
    -------
    summary
        {"distill": {...}}.
    policy
        The last policy.
    traces
        Of the teaching and of an event (environment.TickRecord).
    """
    c, shown = configuration(config, distillation__method=method), shown or Progress("distill", quiet=True)
    taught = _teach(c, seconds, seed, method, shown, keep)
    policy, robot = taught.policy, load_robot(c.robot)
    shown.show("drawing targets")
    unseen = draw_targets(robot, targets, 1000 + seed, np.array(HOME_POSE))
    half = (targets + 1) // 2
    shown.note(f"evaluating: {targets} unseen targets, then {half} with {TEACHING_PAYLOAD:g} kg")
    plain = _evaluate(c, policy, unseen, 0.0, seed + 1, shown)
    loaded = _evaluate(c, policy, unseen[:half], TEACHING_PAYLOAD, seed + 2, shown)
    shown.note(f"disturbing: {half} events for which the policy was not trained")
    shown.show("drawing targets behind the base")
    disturbed = inject_events(
        lambda: make_environment(c, seed + 3, policy=policy),
        unseen[:half],
        _behind(robot, half, seed),
        seed,
        progress=lambda i: shown.show(f"event {i + 1}/{half}"),
    )
    shown.show("an event, for the report")
    trace = record_takeover(lambda: make_environment(c, seed + 4, policy=policy), unseen[0], unseen[-1], seed)
    summary = {"seed": seed, "method": method, **_numbers(taught.numbers, plain, loaded, disturbed)}
    return {"distill": summary}, policy, {"teaching": taught.environment.trace, "event": trace}


def text(summary: dict[str, Any]) -> str:
    """Return the summary as a few lines to read."""
    d = summary["distill"]
    taught, disturbed = d["teaching"], d["events"]
    fastest = max(d[name]["max_speed_fraction"] for name in ("unloaded", "loaded"))
    rows = [
        ("taught", f"{d['teaching_s']:.0f} s simulated, {taught['targets']} targets, in {taught['wall_s']:.0f} s"),
        ("alone, unseen targets", f"{d['success_1cm']:.0%} within 1 cm, {d['success_2cm']:.0%} within 2 cm"),
        (
            f"alone, with {TEACHING_PAYLOAD:g} kg",
            f"{d['payload_success_1cm']:.0%} within 1 cm, {d['payload_success_2cm']:.0%} within 2 cm",
        ),
        ("time of a decision", f"{d['decision_us']:.1f} us"),
        (
            "events detected",
            f"{d['fallback_rate']:.0%} of {disturbed['events']}, at most {disturbed['largest_delay_s']:.3f} s late, "
            f"largest step {disturbed['largest_step']:.1%} of the command range",
        ),
        ("fallbacks without event", f"{d['false_fallbacks']}"),
        (
            "outside limits",
            f"{d['unloaded']['outside_limits'] + d['loaded']['outside_limits']} ticks, fastest joint at "
            f"{fastest:.0%} of its limit",
        ),
    ]
    return "\n".join(f"{name:24} {value}" for name, value in rows)


def unbounded(policy: Policy) -> Policy:
    """Return a copy that takes every state and every target for one that it was trained for."""
    far = np.full(2 * policy.shape.n, UNBOUNDED)
    everywhere = [
        dataclasses.replace(
            part,
            states=dataclasses.replace(part.states, bound=UNBOUNDED, low=-far, high=far),
            targets=dataclasses.replace(part.targets, bound=UNBOUNDED),
        )
        for part in policy.taught
    ]
    return dataclasses.replace(policy, taught=tuple(everywhere), spread_bound=UNBOUNDED)


def _teach(
    c: Configuration, seconds: float, seed: int, method: str, shown: Progress, keep: Callable[[Policy], None]
) -> Taught:
    def fitted(now: float, report: Report) -> None:
        shown.note(
            f"  {now:5.0f} s  held-out loss {report.held_out:.3f}, {report.iterations} iterations in "
            f"{report.seconds:.1f} s"
        )

    shown.note(f"teaching {seconds:g} s (method: {method})")
    callbacks = Callbacks(fitted, lambda now: shown.show(f"teaching ({seconds:g} s in all)", now), keep)
    return teach_policy(c, seconds, seed, callbacks=callbacks)


def _evaluate(
    c: Configuration, policy: Policy, targets: Array, payload_kg: float, seed: int, shown: Progress
) -> dict[str, Any]:
    load = f" with {payload_kg:g} kg" if payload_kg else ""
    return evaluate_policy(
        lambda: make_environment(c, seed, policy=policy),
        targets,
        EVALUATION_SLOT,
        payload_kg,
        progress=lambda i: shown.show(f"target {i + 1}/{len(targets)}{load}"),
    )


def _numbers(
    taught: dict[str, Any], plain: dict[str, Any], loaded: dict[str, Any], disturbed: dict[str, Any]
) -> dict[str, Any]:
    """Return the numbers of summary.json: the most important ones, then all of each part."""
    return {
        "success_1cm": plain["success_1cm"],
        "success_2cm": plain["success_2cm"],
        "payload_success_1cm": loaded["success_1cm"],
        "payload_success_2cm": loaded["success_2cm"],
        "fallback_rate": disturbed["fallback_rate"],
        "decision_us": plain["decision_us"],
        "teaching_s": taught["teaching_s"],
        "false_fallbacks": sum(plain["falls"].values()) + sum(loaded["falls"].values()),
        "unloaded": plain,
        "loaded": loaded,
        "events": disturbed,
        "teaching": taught,
    }


def _behind(robot: Robot, count: int, seed: int) -> Array:
    """Draw reachable points (count, 3) [m] at least 40 cm behind the half space of the training targets."""
    rng, kinematics = np.random.default_rng(seed), Kinematics(robot)
    found: list[Array] = []
    while len(found) < count:
        p = rng.uniform([-0.9, -0.7, -0.3], [-0.4, 0.7, 1.0])
        if kinematics.inverse(p, np.array(HOME_POSE))[1] < 1e-5:
            found.append(p)
    return np.array(found)
