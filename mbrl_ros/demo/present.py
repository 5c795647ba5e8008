"""A run from beginning to end as a person sees it: progress, summary, report, comparison."""

from __future__ import annotations

import logging
from pathlib import Path

from tqdm import tqdm

from ..exceptions import MbrlError
from .metrics import summarise
from .report import write_report
from .run import Options, Processes, Run, logs
from .scenario import Scenario

_log = logging.getLogger(__name__)


def run(options: Options, folder: Path, *, label: str, picture: bool) -> dict:
    """Run one scenario with the real nodes and write its report into `folder`; the summary."""
    from ..nodes.demo_session import play
    folder.mkdir(parents=True, exist_ok=True)
    demo = Run(options)
    with Processes(demo.parameters(folder), folder) as processes, _bar(demo.scenario, label) as bar:
        play(demo.scenario, processes, demo.robot.root, lambda t: _show(bar, demo.scenario, t), bar.write)
        bar.set_description(f"{label}: done")
    truth, control = logs(folder)
    if not control["stamp"].size:
        raise MbrlError(f"no tick was recorded; see {folder / 'mpc_node.log'}")
    summary = summarise(demo.scenario, demo.robot, truth, control, rate_hz=demo.rate,
                        horizon=demo.configuration["planner"].horizon,
                        estimator=demo.configuration["dynamics"].estimator)
    write_report(folder, demo.scenario, demo.robot, truth, control, summary,
                 picture=_picture(demo, truth) if picture else None)
    return summary


def text(summary: dict) -> str:
    """The summary in a dozen lines."""
    lines = [f"seed {summary['seed']}, {summary['rate_hz']:g} Hz, horizon {summary['horizon']}, {summary['estimator']}"]
    for i, target in enumerate(summary["targets"], 1):
        reached = target["time_to_1cm_s"]
        when = "never within 1 cm" if reached is None else f"within 1 cm {reached:+.2f} s after its reference ends"
        lines.append(f"  target {i}: {when}, rest error {target['rest_error_mm']:.2f} mm")
    if summary["payload"]:
        p = summary["payload"]
        back = "not back within 1 cm" if p["recover_to_1cm_s"] is None else f"back within 1 cm after {p['recover_to_1cm_s']:.2f} s"
        lines.append(f"  +{p['mass_kg']:g} kg: moved by {p['bump_mm']:.1f} mm, {back}, rest error {p['rest_error_mm']:.2f} mm")
    if summary["feature_targets"]:
        errors = ", ".join(f"{100 * f['final_error_fraction']:.2f} %" for f in summary["feature_targets"])
        lines.append(f"  image targets, camera pose unknown: off by {errors} of the image's width")
    ticks = summary["ticks"]
    lines.append(f"  fastest joint {100 * summary['max_joint_speed_fraction']:.0f} % of its limit, "
                 f"{summary['limit_violations']} commands outside limits, NIS inside its 95 % bound "
                 f"{_percent(summary['prediction']['nis_coverage_95'])} of the time")
    lines.append(f"  {ticks['count']} ticks, {ticks['missed']} missed; computing {_three(ticks['compute_ms'], 'ms')}; "
                 f"state to command {_three(summary['message_to_command_ms'], 'ms')}")
    return "\n".join(lines)


def comparison(summaries: dict[str, dict]) -> str:
    """One line per controller."""
    head = f"{'controller':28s} {'before [mm]':>12s} {'bump [mm]':>10s} {'loaded [mm]':>12s} {'recovered [s]':>14s} {'speed':>6s}"
    lines = [head, "-" * len(head)]
    for label, summary in summaries.items():
        load = summary["payload"] or {}
        after = [t["rest_error_mm"] for t in summary["targets"]]
        split = max(1, len(after) - 2)
        recovered = load.get("recover_to_1cm_s")
        lines.append(f"{label:28s} {max(after[:split]):12.2f} {load.get('bump_mm', float('nan')):10.1f} "
                     f"{max([*after[split:], load.get('rest_error_mm', 0.0)]):12.2f} "
                     f"{'never' if recovered is None else f'{recovered:.2f}':>14s} {summary['max_joint_speed_fraction']:6.2f}")
    lines.append("before, loaded: the worst rest error of a target before and after the payload came; speed: fastest joint "
                 "over its limit")
    return "\n".join(lines)


def _bar(scenario: Scenario, label: str) -> tqdm:
    return tqdm(total=round(scenario.duration, 1), desc=f"{label}: starting", unit="s", dynamic_ncols=True,
                bar_format="{desc:32s} {percentage:3.0f} % |{bar}| {n:.1f}/{total:.0f} s [{elapsed}<{remaining}]")


def _show(bar: tqdm, scenario: Scenario, t: float) -> None:
    label = bar.desc.split(":")[0]
    slot = next((s for s in reversed(scenario.slots) if s.start <= t), None)
    what = "hold"
    if slot is not None:
        same = scenario.slots_of(slot.kind)
        name = {"point": "target", "features": "camera", "return": "return"}[slot.kind]
        what = f"{name} {same.index(slot) + 1}/{len(same)}"
        if scenario.payload_time is not None and t >= scenario.payload_time:
            what += f" +{scenario.payload_kg:g} kg"
    bar.set_description(f"{label}: {what}", refresh=False)
    bar.n = min(t, bar.total)
    bar.refresh()


def _picture(demo: Run, truth):
    """The robot as it stood when the payload came; None where nothing can be drawn."""
    try:
        from ..simulation.camera import CameraPose
        from ..simulation.picture import render
        from ..simulation.plant import Plant
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
