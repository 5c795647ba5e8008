"""A run from beginning to end as a person sees it: progress, summary, report, comparison."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

from ..console.progress import Progress
from ..console.verdict import Verdict, late_machine
from ..exceptions import MbrlError
from .metrics import answered, lost_at, summarise, until
from .report import page, write_report
from .run import CouldNotStart, Options, Processes, Run, logs
from .scenario import Scenario
from .verdict import PRODUCT, of_run

_log = logging.getLogger(__name__)


def run(options: Options, folder: Path, *, label: str, picture: bool) -> dict:
    """Run one scenario with the real nodes and write its report into `folder`; the summary, which holds the verdict. A run in
    which a node failed has a summary of the verdict alone.
    """
    from .session import AFTERMATH, play

    demo, broken = Run(options), None
    folder.mkdir(parents=True, exist_ok=True)
    with Progress(label, demo.scenario.duration) as shown:
        with Processes(demo.parameters(folder), folder, options.domain) as processes:
            shown.note(
                f"{label}: {options.mode}, DDS domain {processes.domain}, on this machine only; from outside: "
                f"ROS_DOMAIN_ID={processes.domain} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST"
            )
            audience, begun = _Audience(demo.scenario, shown), time.monotonic()
            try:
                play(demo.scenario, processes, demo.robot.root, audience, options.ends_when_lost)
            except CouldNotStart:
                raise
            except MbrlError as error:
                broken = str(error)
            shown.show("ending the nodes")
            wall = time.monotonic() - (audience.begun or begun)
        shown.show("writing the report")
        if broken is None and not (folder / "control.npz").exists():
            broken = f"no tick was recorded; see {folder / 'mpc_node.log'}"
        if broken is not None:
            return _broken(folder, options.seed, broken)
        truth, control, facts = logs(folder)
        control = answered(truth, control)
        if not control["stamp"].size:
            return _broken(folder, options.seed, f"no tick was recorded; see {folder / 'mpc_node.log'}")
        lost = lost_at(control)
        if lost is not None and options.ends_when_lost:  # when the run ended after that depends on the machine
            truth, control = (until(lost + AFTERMATH, log) for log in (truth, control))
        summary = summarise(
            demo.scenario,
            demo.robot,
            truth,
            control,
            rate_hz=demo.rate,
            horizon=demo.configuration.planner.horizon,
            estimator=demo.configuration.dynamics.estimator,
        )
        summary["ticks"].update(mode=options.mode, wall_s=round(wall, 1), fallbacks=facts.get("fallbacks", []))
        summary["verdict"] = of_run(summary).to_json()
        write_report(
            folder,
            demo.scenario,
            demo.robot,
            truth,
            control,
            summary,
            given=given(demo),
            details=text(summary),
            picture=_picture(demo, truth) if picture else None,
        )
    return summary


def _broken(folder: Path, seed: int, error: str) -> dict:
    """What is left to say of a run that broke down."""
    first, _, rest = error.partition("\n")
    verdict = Verdict(False, first.rstrip(":"), None, f"{folder / 'mpc_node.log'} and sim_node.log beside it")
    summary = {"seed": seed, "verdict": verdict.to_json(), "error": rest}
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(
        page(f"mbrl_ros demo, seed {seed}", verdict, "The run broke down", error, summary, {}), encoding="utf-8"
    )
    return summary


def given(demo: Run) -> str:
    """What the controller knew and did, in a sentence that is true of this configuration."""
    control, dynamics = demo.configuration.control, demo.configuration.dynamics
    if control.controller == "pid":
        return "A PID with the gravity of the URDF moved it."
    known = (
        "It was given no model of gravity, friction or load"
        if dynamics.prior == "integrator"
        else f"It began with the prior '{dynamics.prior}'"
    )
    learning = (
        "the dynamics were refitted at every tick from what it saw"
        if dynamics.estimator == "refit"
        else f"the estimator was '{dynamics.estimator}'"
    )
    return f"{known}: {learning}."


class _Audience:
    """Tells a Progress what the session says."""

    def __init__(self, scenario: Scenario, shown: Progress):
        self._scenario, self._shown, self.begun = scenario, shown, None

    def waiting(self, what: str) -> None:
        self._shown.show(what)

    def progress(self, seconds: float) -> None:
        if self.begun is None:
            self.begun = time.monotonic()
        self._shown.show(_doing(self._scenario, seconds), min(seconds, self._scenario.duration))

    def note(self, text: str) -> None:
        self._shown.note(text)


def text(summary: dict) -> str:
    """The summary in a dozen lines."""
    if "targets" not in summary:
        return summary["error"]
    lines = [f"seed {summary['seed']}, {summary['rate_hz']:g} Hz, horizon {summary['horizon']}, {summary['estimator']}"]
    for i, target in enumerate(summary["targets"], 1):
        reached = target["time_to_1cm_s"]
        if target["rest_error_mm"] is None:
            lines.append(f"  target {i}: the run ended before")
            continue
        when = (
            "not within 1 cm"
            if reached is None
            else (f"within 1 cm {abs(reached):.2f} s {'before' if reached < 0.0 else 'after'} its reference ends")
        )
        lines.append(f"  target {i}: {when}, rest error {target['rest_error_mm']:.2f} mm")
    p = summary["payload"]
    if p and p["bump_mm"] is None:
        lines.append(f"  +{p['mass_kg']:g} kg: the run ended before")
    elif p:
        back = (
            "not back within 1 cm"
            if p["recover_to_1cm_s"] is None
            else f"back within 1 cm after {p['recover_to_1cm_s']:.2f} s"
        )
        lines.append(
            f"  +{p['mass_kg']:g} kg: moved by {p['bump_mm']:.1f} mm, {back}, rest error {p['rest_error_mm']:.2f} mm"
        )
    if summary["feature_targets"]:
        errors = ", ".join(
            "?" if f["final_error_fraction"] is None else f"{100 * f['final_error_fraction']:.2f} %"
            for f in summary["feature_targets"]
        )
        lines.append(f"  image targets, camera pose unknown: off by {errors} of the image's width")
    ticks = summary["ticks"]
    lines.append(
        f"  fastest joint {100 * summary['max_joint_speed_fraction']:.0f} % of its limit, "
        f"{summary['limit_violations']} commands outside limits, NIS inside its 95 % bound "
        f"{_percent(summary['prediction']['nis_coverage_95'])} of the time"
    )
    lines.append(
        f"  {ticks['count']} ticks, {ticks['missed']} missed, {ticks['late']} late; computing "
        f"{_three(ticks['compute_ms'], 'ms')}; state to command {_three(summary['message_to_command_ms'], 'ms')}"
    )
    lines.append(_conduct(summary))
    return "\n".join(lines + [f"  slow: without compiled code, {fallback}" for fallback in ticks.get("fallbacks", ())])


def _conduct(summary: dict) -> str:
    """The supervisor's line, and how real time was kept."""
    s, ticks = summary["supervisor"], summary["ticks"]
    cause = "" if s["cause"] == "none" else f" ({s['cause']})"
    line = f"  supervisor: {s['state']}{cause} since {s['since_s']:.2f} s"
    if s["tip_moved_mm"] is not None:
        line += f", after which the tip moved by up to {s['tip_moved_mm']:.0f} mm"
    if "wall_s" in ticks:
        line += f"; {ticks['mode']}, {ticks['count'] / summary['rate_hz']:.1f} s in {ticks['wall_s']:.1f} s"
    late = late_machine(ticks["late_fraction"])
    return f"{line}\n  {late}" if late else line


def comparison(summaries: dict[str, dict]) -> str:
    """One line per controller."""
    head = (
        f"{'controller':28s} {'before [mm]':>12s} {'bump [mm]':>10s} {'loaded [mm]':>12s} {'recovered [s]':>14s} "
        f"{'speed':>6s} arm"
    )
    lines = [head, "-" * (len(head) + 1)]
    for label, summary in summaries.items():
        if "targets" not in summary:
            lines.append(f"{label:28s} did not run: {summary['verdict']['why']}")
            continue
        load = summary["payload"] or {}
        after = [t["rest_error_mm"] for t in summary["targets"]]
        split = max(1, len(after) - 2)
        recovered, lost = load.get("recover_to_1cm_s"), summary["supervisor"]["lost_s"]
        lines.append(
            f"{label:28s} {_worst(after[:split]):>12s} {_worst([load.get('bump_mm')], 1):>10s} "
            f"{_worst([*after[split:], load.get('rest_error_mm', 0.0)]):>12s} "
            f"{'never' if recovered is None else f'{recovered:.2f}':>14s} {summary['max_joint_speed_fraction']:6.2f} "
            f"{'kept' if lost is None else f'lost at {lost:.2f} s'}"
        )
    lines.append(
        "before, loaded: the worst rest error of a target before and after the payload came; speed: fastest joint "
        "over its limit"
    )
    lost = [
        label
        for label, summary in summaries.items()
        if "targets" not in summary or summary["supervisor"]["lost_s"] is not None
    ]
    lines.append(f"lost the arm: {'; '.join(lost) or 'none'}. The verdict is that of '{PRODUCT}'.")
    return "\n".join(lines)


def _worst(values: list, digits: int = 2) -> str:
    return "?" if None in values else f"{max(values):.{digits}f}"


def _doing(scenario: Scenario, t: float) -> str:
    """What happens at t [s]."""
    slot = next((s for s in reversed(scenario.slots) if s.start <= t), None)
    if slot is None:
        return "hold"
    same = scenario.slots_of(slot.kind)
    name = {"point": "target", "features": "camera", "return": "return"}[slot.kind]
    loaded = scenario.payload_time is not None and t >= scenario.payload_time
    return f"{name} {same.index(slot) + 1}/{len(same)}{f' +{scenario.payload_kg:g} kg' if loaded else ''}"


def _picture(demo: Run, truth):
    """The robot as it stood when the payload came; None where nothing can be drawn."""
    try:
        from ..simulation.camera import CameraPose
        from ..simulation.plant import Plant
        from ..simulation.rendering import render

        at = demo.scenario.payload_time or 0.0
        q = truth["q"][min(int(at * demo.rate), len(truth["q"]) - 1)]
        pose = CameraPose.look_at([1.5, -1.1, 0.9], [0.25, 0.0, 0.4])
        return render(Plant(demo.plant, demo.robot), q, pose, size=(960, 640))
    except Exception as error:  # a picture is a courtesy: no driver, no picture
        _log.info("no picture of the robot: %s", error)
        return None


def _percent(value) -> str:
    return "?" if value is None else f"{100 * value:.1f} %"


def _three(values: dict, unit: str) -> str:
    if values["p50"] is None:
        return "not timed"
    return f"p50 {values['p50']:.2f}, p99 {values['p99']:.2f}, max {values['max']:.2f} {unit}"
