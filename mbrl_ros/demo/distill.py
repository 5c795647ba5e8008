"""The demo's distill scenario: teach, examine, disturb; in lockstep and in this process, so that the seed decides.

Three minutes of a teacher that knows nothing of the arm's dynamics at the start, then the student alone on 100 targets it has
never seen, again with the payload, then events it was not taught.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

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
from ..distillation.policy import Policy
from ..robots import load_robot
from ..robots.kinematics import Kinematics
from ..safety.supervisor import Supervisor
from ..simulation.plant import Plant
from ..types import Array
from .environment import Environment, draw_targets, teach
from .policy_evaluation import examine, inject, rise_and_fall

TEACHING, SLOT, EXAM_SLOT, PAYLOAD = 180.0, 2.0, 5.0, 1.5  # [s], [s], [s], [kg]
HOME = (0.0, -0.3, 0.0, -2.0, 0.0, 1.7, 0.8)
ANYWHERE = 1e9  # a bound nothing exceeds
TAUGHT = {"reference.posture": 1.0, "reference.home": HOME}  # the teacher's pose is a function of the target


def configuration(config: Path | None = None, **changes) -> Configuration:
    """The Panda's configuration with the teacher of this scenario; `changes`: dotted keys with __ for the dots."""
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    return load_configuration(config or config_file("panda"), {**TAUGHT, **changed, "features.points": 0})


def classroom(c: Configuration, seed: int, *, teaching: bool = False, policy: Policy | None = None) -> Environment:
    robot, rate = load_robot(c.robot), c.control.rate
    plant = Plant(PlantSettings(initial_position=HOME, rate=rate, seed=seed), robot)
    controller = PolicyController(robot, c, MpcController(robot, c), teaching=teaching)
    if policy is not None:
        controller.use(CompiledPolicy(policy, robot))
    return Environment(plant, controller, Supervisor(robot, c.supervisor, 1.0 / rate))


def lesson(
    c: Configuration, seconds: float, seed: int, fits: int = 6, progress=None, watch=None, keep=None
) -> tuple[Policy, Memory, Environment, dict]:
    """Teach for `seconds`; the policy, what it learned from, where, and what it took. progress, watch, keep: lesson.teach."""
    room, begin = classroom(c, seed, teaching=True), time.perf_counter()
    targets = draw_targets(room.plant.robot, round(seconds / SLOT) + 1, seed, np.array(HOME))
    policy, memory, reports = teach(
        room,
        targets,
        c.distillation,
        seconds=seconds,
        slot=SLOT,
        every=seconds / fits,
        payload_kg=PAYLOAD,
        seed=seed,
        progress=progress,
        watch=watch,
        keep=keep,
    )
    return (
        policy,
        memory,
        room,
        {
            "teaching_s": room.ticks * room.plant.period,
            "samples": memory.offered,
            "targets": len(room.errors),
            "fit_s": sum(report.seconds for report in reports),
            "wall_s": time.perf_counter() - begin,
            "max_speed_fraction": room.fastest,
            "outside_limits": room.outside,
        },
    )


def lesson_and_examination(method: str, seconds: float, seed: int, targets: int) -> dict:
    """One entry of the comparison of schools: no fall back, no planner beside the policy."""
    c = configuration(distillation__method=method, distillation__alpha_versions=3, distillation__watch=False)
    policy, _, _, _ = lesson(c, seconds, seed, fits=4)
    free = unbounded(policy)  # nothing but the student counts here
    unseen = draw_targets(load_robot(c.robot), targets, 1000 + seed, np.array(HOME))
    plain, loaded = (
        examine(lambda: classroom(c, 2000 + seed, policy=free), points, EXAM_SLOT, kg)
        for points, kg in ((unseen, 0.0), (unseen[: targets // 2], PAYLOAD))
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
    targets: int = 100,
    events: int = 50,
    method: str = "clone",
    config: Path | None = None,
    shown: Progress | None = None,
    keep: Callable[[Policy], None] | None = None,
) -> tuple[dict, Policy, dict[str, list[tuple]]]:
    """The whole scenario: {"distill": {...}}, the policy, and traces (lesson.Environment) of the teaching and of an event.
    shown: is told how far it is; keep: is given the policy after every fit.
    """
    c, shown = configuration(config, distillation__method=method), shown or Progress("distill", quiet=True)
    shown.note(f"teaching {seconds:g} s (school: {method})")

    def progress(now: float, report) -> None:
        shown.note(
            f"  {now:5.0f} s  held-out loss {report.held_out:.3f}, {report.iterations} iterations in "
            f"{report.seconds:.1f} s"
        )

    policy, _, taught_in, taught = lesson(
        c, seconds, seed, progress=progress, keep=keep, watch=lambda now: shown.show(f"teaching, of {seconds:g} s", now)
    )
    robot = load_robot(c.robot)
    shown.show("drawing targets")
    unseen = draw_targets(robot, targets, 1000 + seed, np.array(HOME))
    shown.note(f"examining: {targets} unseen targets, then {targets // 2} with {PAYLOAD:g} kg")
    plain = examine(
        lambda: classroom(c, seed + 1, policy=policy),
        unseen,
        EXAM_SLOT,
        0.0,
        watch=lambda i: shown.show(f"target {i + 1}/{targets}"),
    )
    loaded = examine(
        lambda: classroom(c, seed + 2, policy=policy),
        unseen[: targets // 2],
        EXAM_SLOT,
        PAYLOAD,
        watch=lambda i: shown.show(f"target {i + 1}/{targets // 2} with {PAYLOAD:g} kg"),
    )
    shown.note(f"disturbing: {events} events nobody taught")
    shown.show("drawing targets behind the base")
    upset = inject(
        lambda: classroom(c, seed + 3, policy=policy),
        unseen[:events],
        _behind(robot, events, seed),
        seed,
        watch=lambda i: shown.show(f"event {i + 1}/{events}"),
    )
    shown.show("an event, for the report")
    return (
        {
            "distill": {
                "success_1cm": plain["success_1cm"],
                "success_2cm": plain["success_2cm"],
                "payload_success_1cm": loaded["success_1cm"],
                "payload_success_2cm": loaded["success_2cm"],
                "fallback_rate": upset["fallback_rate"],
                "decision_us": plain["decision_us"],
                "teaching_s": taught["teaching_s"],
                "false_fallbacks": sum(plain["falls"].values()) + sum(loaded["falls"].values()),
                "seed": seed,
                "method": method,
                "unloaded": plain,
                "loaded": loaded,
                "events": upset,
                "teaching": taught,
            }
        },
        policy,
        {
            "teaching": taught_in.trace,
            "event": rise_and_fall(lambda: classroom(c, seed + 4, policy=policy), unseen[0], unseen[1], seed),
        },
    )


def text(summary: dict) -> str:
    """The summary for eyes."""
    d = summary["distill"]
    taught, upset = d["teaching"], d["events"]
    fastest = max(d[name]["max_speed_fraction"] for name in ("unloaded", "loaded"))
    rows = [
        ("taught", f"{d['teaching_s']:.0f} s simulated, {taught['targets']} targets, in {taught['wall_s']:.0f} s"),
        ("alone, unseen targets", f"{d['success_1cm']:.0%} within 1 cm, {d['success_2cm']:.0%} within 2 cm"),
        (
            f"alone, with {PAYLOAD:g} kg",
            f"{d['payload_success_1cm']:.0%} within 1 cm, {d['payload_success_2cm']:.0%} within 2 cm",
        ),
        ("decision", f"{d['decision_us']:.1f} us"),
        (
            "noticed events",
            f"{d['fallback_rate']:.0%} of {upset['events']}, at most {upset['largest_delay_s']:.3f} s late, "
            f"largest step {upset['largest_step']:.1%} of the command range",
        ),
        ("fell back without cause", f"{d['false_fallbacks']}"),
        (
            "outside limits",
            f"{d['unloaded']['outside_limits'] + d['loaded']['outside_limits']} ticks, fastest joint at "
            f"{fastest:.0%} of its limit",
        ),
    ]
    return "\n".join(f"{name:24} {value}" for name, value in rows)


def unbounded(policy: Policy) -> Policy:
    """A copy that never thinks itself outside of what it was taught."""
    one = np.ones_like(policy.states.mean)
    return dataclasses.replace(
        policy,
        states=dataclasses.replace(policy.states, bound=ANYWHERE, low=-ANYWHERE * one, high=ANYWHERE * one),
        spread_bound=ANYWHERE,
        targets=dataclasses.replace(policy.targets, bound=ANYWHERE),
    )


def _behind(robot, count: int, seed: int) -> Array:
    """Reachable points at least 40 cm behind the taught half space."""
    rng, kinematics, found = np.random.default_rng(seed), Kinematics(robot), []
    while len(found) < count:
        p = rng.uniform([-0.9, -0.7, -0.3], [-0.4, 0.7, 1.0])
        if kinematics.inverse(p, np.array(HOME))[1] < 1e-5:
            found.append(p)
    return np.array(found)
