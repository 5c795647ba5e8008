"""Summaries of the demo's runs in words: a dozen lines for one run, a table for a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..console.verdict import late_machine
from .verdict import PRODUCT, near
from .visual.metrics import lines as visual_lines

Summary = Mapping[str, Any]


def text(summary: Summary) -> str:
    """Return the summary of one run in a dozen lines."""
    if "targets" not in summary:
        return summary["error"]
    ticks = summary["ticks"]
    lines = [f"seed {summary['seed']}, {summary['rate_hz']:g} Hz, horizon {summary['horizon']}, {summary['estimator']}"]
    lines += _targets(summary)
    lines.append(
        f"  fastest joint {100 * summary['max_joint_speed_fraction']:.0f} % of its limit, "
        f"{summary['limit_violations']} commands outside limits, NIS (normalised innovation squared) "
        f"inside its 95 % bound {_percent(summary['prediction']['nis_coverage_95'])} of the time"
    )
    lines.append(
        f"  {ticks['count']} ticks, {ticks['missed']} missed, {ticks['late']} late; computing "
        f"{_percentiles(ticks['compute_ms'], 'ms')}; state to command "
        f"{_percentiles(summary['message_to_command_ms'], 'ms')}"
    )
    lines.append(_supervisor(summary))
    return "\n".join(lines + [f"  slow: without compiled code, {fallback}" for fallback in ticks.get("fallbacks", ())])


def _targets(summary: Summary) -> Iterator[str]:
    close = near(summary)
    for i, target in enumerate(summary["targets"], 1):
        reached = target["time_to_1cm_s"]
        if target["rest_error_mm"] is None:
            yield f"  target {i}: the run ended before"
            continue
        when = (
            f"not within {close}"
            if reached is None
            else f"within {close} {abs(reached):.2f} s {'before' if reached < 0.0 else 'after'} the reference ends"
        )
        yield f"  target {i}: {when}, rest error {target['rest_error_mm']:.2f} mm"
    for i, pose in enumerate(summary.get("poses", ()), 1):
        yield f"  pose {i}: {_pose(pose)}"
    if "jog" in summary:
        jog = summary["jog"]
        yield (
            f"  jogging: {jog['answered']} of {jog['changes']} changes answered, from message to motion "
            f"{_percentiles(jog['latency_ms'], 'ms')}; the reference's jerk up to {jog['jerk_share']:.3f} of its limit"
        )
    if "pick" in summary:
        yield f"  scene: {scene_text(summary['pick'])}"
    if "visual" in summary:
        yield from visual_lines(summary["visual"])
    load = summary["payload"]
    if load and load["bump_mm"] is None:
        yield f"  +{load['mass_kg']:g} kg: the run ended before"
    elif load:
        back = (
            f"not back within {close}"
            if load["recover_to_1cm_s"] is None
            else f"back within {close} after {load['recover_to_1cm_s']:.2f} s"
        )
        yield (
            f"  +{load['mass_kg']:g} kg: peak deviation {load['bump_mm']:.1f} mm, {back}, "
            f"rest error {load['rest_error_mm']:.2f} mm"
        )
    if summary["feature_targets"]:
        fractions = [target["final_error_fraction"] for target in summary["feature_targets"]]
        errors = ", ".join("?" if fraction is None else f"{100 * fraction:.2f} %" for fraction in fractions)
        yield f"  image targets, camera pose unknown: errors {errors} of the image's width"


def _pose(pose: Summary) -> str:
    """Return how well a pose was reached."""
    if pose["rest_mm"] is None:
        return "the run ended before"
    ratio = "" if pose["speed_ratio"] is None else f", joints up to {pose['speed_ratio']:.2f} times as fast as it"
    return (
        f"rest error {pose['rest_mm']:.2f} mm and {pose['rest_deg']:.3f} degrees, joints at most "
        f"{pose['posture_rad']:.3f} rad from their reference{ratio}"
    )


def scene_text(pick: Summary) -> str:
    """Return what became of a scene."""
    return (
        f"{'a path was planned' if pick['planned'] else 'no path was planned'}, "
        f"{'reached' if pick['reached'] else 'not reached'}, at least {pick['least_distance_mm']:.0f} mm from "
        f"obstacles, {pick['least_own_distance_mm']:.0f} mm between links{', a contact' if pick['contact'] else ''}"
    )


def _supervisor(summary: Summary) -> str:
    """Return the line on the supervisor's state and on how real time was kept."""
    s, ticks = summary["supervisor"], summary["ticks"]
    cause = "" if s["cause"] == "none" else f" ({s['cause']})"
    line = f"  supervisor: {s['state']}{cause} since {s['since_s']:.2f} s"
    if s["tip_moved_mm"] is not None:
        line += f", after which the tip moved by up to {s['tip_moved_mm']:.0f} mm"
    if "wall_s" in ticks:
        line += f"; {ticks['mode']}, {ticks['count'] / summary['rate_hz']:.1f} s in {ticks['wall_s']:.1f} s"
    late = late_machine(ticks["late_fraction"])
    return f"{line}\n  {late}" if late else line


def comparison(summaries: Mapping[str, Summary]) -> str:
    """Return a table with one line per controller, {label: summary}."""
    head = (
        f"{'controller':28s} {'before [mm]':>12s} {'peak deviation [mm]':>20s} {'loaded [mm]':>12s} "
        f"{'recovered [s]':>14s} {'speed':>6s} arm"
    )
    lines = [head, "-" * (len(head) + 1), *(_row(label, summary) for label, summary in summaries.items())]
    lines.append(
        "before, loaded: the worst rest error of a target before and after the payload came; peak deviation: when it "
        "came; speed: fastest joint over its limit"
    )
    lost = [
        label
        for label, summary in summaries.items()
        if "targets" not in summary or summary["supervisor"]["lost_s"] is not None
    ]
    lines.append(f"lost the arm: {'; '.join(lost) or 'none'}. The verdict is that of '{PRODUCT}'.")
    return "\n".join(lines)


def _row(label: str, summary: Summary) -> str:
    if "targets" not in summary:
        return f"{label:28s} did not run: {summary['verdict']['why']}"
    load = summary["payload"] or {}
    after = [target["rest_error_mm"] for target in summary["targets"]]
    split = max(1, len(after) - 2)
    recovered, lost = load.get("recover_to_1cm_s"), summary["supervisor"]["lost_s"]
    return (
        f"{label:28s} {_worst(after[:split]):>12s} {_worst([load.get('bump_mm')], 1):>20s} "
        f"{_worst([*after[split:], load.get('rest_error_mm', 0.0)]):>12s} "
        f"{'never' if recovered is None else f'{recovered:.2f}':>14s} {summary['max_joint_speed_fraction']:6.2f} "
        f"{'kept' if lost is None else f'lost at {lost:.2f} s'}"
    )


def _worst(values: Sequence[float | None], digits: int = 2) -> str:
    known = [value for value in values if value is not None]
    return f"{max(known):.{digits}f}" if len(known) == len(values) else "?"


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{100 * value:.1f} %"


def _percentiles(values: Mapping[str, float | None], unit: str) -> str:
    if values["p50"] is None:
        return "not timed"
    return f"p50 {values['p50']:.2f}, p99 {values['p99']:.2f}, max {values['max']:.2f} {unit}"
